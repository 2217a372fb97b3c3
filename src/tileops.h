/* The leaf loops over tiles of logits, CSR batches and parameter rows: part of the table in rowops.h. */
#ifndef FASTSOFTMAX_TILEOPS_H
#define FASTSOFTMAX_TILEOPS_H

#include <stddef.h>
#include <stdint.h>

#define ROWOPS_FIELDS_TILES(real)

#endif
