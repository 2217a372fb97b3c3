/* The running log-sum-exp of a set of elements. */
#ifndef FASTSOFTMAX_DENSE_STRUCTS_H
#define FASTSOFTMAX_DENSE_STRUCTS_H

#include <math.h>

/* sum b exp(x) = exp(max) * (ties + rest), b = 1 without weights: `ties` is the share of the elements that equal the
 * maximum, `rest` that of all others. They are kept apart so that log1p can keep the digits of `rest` when one element holds
 * nearly all of the mass. A NaN among the elements is a NaN in `rest`. */
typedef struct {
    double max, ties, rest;
} LseState;

enum {
    SOFTMAX_ROWS = 256,  /* that softmax_rows takes at most */
    SOFTMAX_COLUMN = 64, /* elements of a column that softmax_columns takes at most */
};

static const LseState EMPTY_LSE = {-INFINITY, 0, 0};

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

#endif
