/* The leaf loops over contiguous memory, as one table of functions per instruction set.
 *
 * rowops_impl.h and tileops_impl.h are compiled once for every (instruction set, real type) in rowops.c;
 * _rowops.pyx selects a table when the package is imported and hands its address to the other modules in a capsule.
 * A leaf loop does about a microsecond of work or more: the call through the table must not show.
 */
#ifndef FASTSOFTMAX_ROWOPS_H
#define FASTSOFTMAX_ROWOPS_H

#include <stddef.h>
#include <stdint.h>

#include "tileops.h"

/* sum exp(x) = exp(max) * (ties + rest): `ties` elements equal the maximum, `rest` is all others' share.
 * Kept apart so that log1p can keep the digits of `rest` when one element holds nearly all of the mass. */
typedef struct {
    double max, ties, rest;
} LseState;

#define ROWOPS_FIELDS_DENSE(real)                                                                                     \
    /* state <- state (+) x[0:n], one pass */                                                                         \
    void (*lse_accumulate)(const real *x, ptrdiff_t n, LseState *state);                                              \
    void (*exp_array)(const real *x, ptrdiff_t n, real *y_out);

#define ROWOPS_TABLE(real)                                                                                            \
    struct {                                                                                                          \
        ROWOPS_FIELDS_DENSE(real)                                                                                     \
        ROWOPS_FIELDS_TILES(real)                                                                                     \
    }

typedef struct {
    const char *name;
    ROWOPS_TABLE(float) f32;
    ROWOPS_TABLE(double) f64;
} RowOps;

/* The tables compiled in, worst first; NULL-terminated. */
extern const RowOps *const rowops_tables[];
/* Whether this CPU (and its operating system) can run the table. */
int rowops_supported(const RowOps *table);

/* The table in use, a copy that _rowops.pyx owns; every module sets its own pointer to it (import_rowops). */
static RowOps *rowops __attribute__((unused));

#endif
