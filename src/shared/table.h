/* The leaf loops over contiguous memory, as one table of functions per instruction set.
 *
 * The *_impl.h are compiled once for every (instruction set, real type) in rowops.c;
 * _rowops.pyx selects a table when the package is imported and hands its address to the other modules in a capsule.
 * A leaf loop does about a microsecond of work or more: the call through the table must not show.
 */
#ifndef FASTSOFTMAX_ROWOPS_H
#define FASTSOFTMAX_ROWOPS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "compact/structs.h"
#include "pairs/structs.h"
#include "tiles/structs.h"

/* sum b exp(x) = exp(max) * (ties + rest), b = 1 without weights: `ties` is the share of the elements that equal the
 * maximum, `rest` that of all others. Kept apart so that log1p can keep the digits of `rest` when one element holds
 * nearly all of the mass. A NaN among the elements is a NaN in `rest`. */
typedef struct {
    double max, ties, rest;
} LseState;

static const LseState EMPTY_LSE = {-INFINITY, 0, 0};

enum { SOFTMAX_ROWS = 256 };

/* state <- state of the union of two disjoint sets of elements */
static inline void lse_merge(LseState *state, const LseState *other)
{
    LseState high = *state, low = *other;
    if (low.max > high.max) {
        high = *other;
        low = *state;
    }
    if (low.max == high.max) {
        high.ties += low.ties;
        high.rest += low.rest;
    } else {
        high.rest += (low.ties + low.rest) * exp(low.max - high.max);
    }
    *state = high;
}

/* log |ties + rest|; lse_log_masses is faster, for sums without weights */
static inline double lse_log_mass(const LseState *state)
{
    double mass = state->ties + state->rest, sign = mass < 0 ? -1 : 1;
    double above_one = (sign * state->ties - 1) + sign * state->rest;
    return fabs(above_one) < 0.5 ? log1p(above_one) : log(fabs(mass));
}

#define ROWOPS_FIELDS_DENSE(real)                                                                                     \
    /* states[r] <- states[r] (+) row r of x, (n_rows, n), with weights b unless NULL; rows of b are b_stride apart */ \
    void (*lse_rows)(const real *x, const real *b, ptrdiff_t b_stride, ptrdiff_t n_rows, ptrdiff_t n,                  \
                     LseState *states);                                                                               \
    /* states[j] <- states[j] (+) column j of x, (n_rows, n_columns) with rows `stride` apart */                      \
    void (*lse_columns)(const real *x, ptrdiff_t n_rows, ptrdiff_t stride, ptrdiff_t n_columns, LseState *states);    \
    /* y <- exp(x - shift) * coef, or (x - shift) - coef if `log`; shift and coef by row of x, (n_rows, n). Long rows \
       are written past the caches if `past`: for a y that is larger, and is not x. */                                \
    void (*normalize_rows)(const real *x, ptrdiff_t n_rows, ptrdiff_t n, const real *shift, const real *coef,         \
                           int log, int past, real *y_out);                                                           \
    /* the same with shift and coef by column */                                                                      \
    void (*normalize_columns)(const real *x, ptrdiff_t n_rows, ptrdiff_t stride, ptrdiff_t n_columns,                 \
                              const real *shift, const real *coef, int log, real *y_out);                             \
    /* y <- softmax(x) of each row of x, (n_rows <= SOFTMAX_ROWS, n), or log_softmax if `log` */                      \
    void (*softmax_rows)(const real *x, ptrdiff_t n_rows, ptrdiff_t n, int log, real *y_out);                         \
    /* the same of columns of x, (n, n_columns) with rows `stride` apart */                                           \
    void (*softmax_columns)(const real *x, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t n_columns, int log, real *y_out); \
    /* sum t (shift - x): the loss of target distribution t, up to its mass times the log-sum-exp of x - shift */     \
    double (*soft_target_loss)(const real *x, const real *t, ptrdiff_t n, real shift);                                \
    /* y <- y - scale t */                                                                                            \
    void (*subtract_scaled)(const real *t, ptrdiff_t n, real scale, real *y_out);                                     \
    void (*exp_array)(const real *x, ptrdiff_t n, real *y_out);

#define ROWOPS_TABLE(real)                                                                                            \
    struct {                                                                                                          \
        ROWOPS_FIELDS_DENSE(real)                                                                                     \
        ROWOPS_FIELDS_TILES(real)                                                                                     \
        ROWOPS_FIELDS_COMPACT(real)                                                                                   \
        ROWOPS_FIELDS_SUPPORT(real)                                                                                   \
    }

typedef struct {
    const char *name;
    /* log(ties + rest) of states without weights, not empty */
    void (*lse_log_masses)(const LseState *states, ptrdiff_t n, double *log_masses_out);
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
