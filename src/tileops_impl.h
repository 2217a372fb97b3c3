/* Leaf loops over tiles of logits, CSR batches and parameter rows. Included once per (instruction set, real type), after vec.h. */
