"""The passes over the logits of a batch, around the kernels: over tiles of classes, and over the pairs of a sparse W.

Every loss and every training step runs them. May import: `losses`, `optimizers`, `validation`, `kernels`, `runtime`.
"""
