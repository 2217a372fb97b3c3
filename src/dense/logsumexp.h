/* Log-sum-exp of rows and columns of dense arrays. It is included for each (instruction set, real type).
 *
 * It is computed as in Milakov & Gimelshein, "Online normalizer calculation for softmax" (arXiv:1805.02867), but by
 * blocks: the maximum of a block comes first, then its sum with the block still in L1. Sums are REAL within a block and double
 * across blocks. Infinities and NaN need no branches: an element that equals the maximum is counted and not subtracted
 * from it (inf - inf), and the vector maximum passes over NaN, which the exponential then brings into the sum.
 */

enum {
    FN(BLOCK) = 16384 / sizeof(REAL), /* 16 KiB: a block stays in L1 from its maximum to its sum */
    FN(BAND) = 64,                   /* rows of a block of columns: few enough for the first-level TLB */
    FN(BAND_VECTORS) = 4,            /* adjacent vectors of such a block that are worked on at once */
    FN(LINE) = 64 / sizeof(REAL),     /* a cache line */
    FN(SHORT) = 24,
    FN(HELD) = 8, /* vectors of a row whose loops are unrolled: as many as UNROLLED has */
    FN(GROUP) = 4, /* short rows whose maxima are found one after another, so that nothing waits for any of them */
    FN(FEW) = 8 * VBYTES / sizeof(REAL), /* a second look at so few elements costs as much as a first */
};

/* What is needed soon goes into L2: into L1, the few fill buffers would bound the rate. */
INLINE void FN(prefetch_ahead)(const REAL *p, ptrdiff_t ahead) { __builtin_prefetch(p + ahead, 0, 2); }

INLINE void FN(prefetch)(const REAL *p) { FN(prefetch_ahead)(p, 2 * FN(BLOCK)); }

/* The next vector of x, -inf where its weight is zero: such elements do not exist, even infinite or NaN. */
INLINE V FN(load_logits)(const REAL *x, const REAL *b, ptrdiff_t n)
{
    V logits = FN(load_upto)(x, n, -INFINITY);
    return b ? FN(select)((VI)(FN(load_upto)(b, n, 0) == 0), FN(splat)(-INFINITY), logits) : logits;
}

/* What is subtracted before exp: the maximum, or 0 when there is nothing but -inf (and NaN) so far. */
INLINE V FN(shift)(V max) { return FN(select)((VI)(max == -INFINITY), FN(splat)(0), max); }

/* `unit` is the share of an element that equals the maximum: 1, or inf where infinite elements may cancel. */
INLINE void FN(add_exp)(V logits, V weights, V max, V shift, V unit, V *ties, V *rest)
{
    VI tie = (VI)(logits == max);
    V share = weights * FN(exp_below)(logits - shift);
    *ties += (V)((VI)(weights * unit) & tie);
    *rest += (V)((VI)share & ~tie);
}

/* Adds elements of maximum `max` (or the state's own, if larger) whose exponentials were shifted by that. */
INLINE void FN(lse_add)(LseState *state, double max, double ties, double rest)
{
    if (max > state->max) {
        if (state->max > -INFINITY)
            state->rest = (state->rest + state->ties) * exp(state->max - max);
        state->ties = 0;
        state->max = max;
    }
    state->ties += ties;
    state->rest += rest;
}

INLINE REAL FN(block_max)(const REAL *x, const REAL *b, ptrdiff_t n, REAL least)
{
    ptrdiff_t i = 0;
    V max0 = FN(splat)(least), max1 = max0, max2 = max0, max3 = max0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        max0 = FN(max)(FN(load_logits)(x + i, b ? b + i : b, LANES), max0);
        max1 = FN(max)(FN(load_logits)(x + i + LANES, b ? b + i + LANES : b, LANES), max1);
        max2 = FN(max)(FN(load_logits)(x + i + 2 * LANES, b ? b + i + 2 * LANES : b, LANES), max2);
        max3 = FN(max)(FN(load_logits)(x + i + 3 * LANES, b ? b + i + 3 * LANES : b, LANES), max3);
    }
    for (; i < n; i += LANES)
        max0 = FN(max)(FN(load_logits)(x + i, b ? b + i : b, n - i), max0);
    return FN(hmax)(FN(max)(FN(max)(max0, max1), FN(max)(max2, max3)));
}

#undef UNROLLED
#define UNROLLED(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)

/* The same of n_vectors, a constant, of which only the last may be in part. */
INLINE REAL FN(unrolled_max)(const REAL *x, ptrdiff_t n, ptrdiff_t n_vectors, REAL least)
{
    ptrdiff_t last = (n_vectors - 1) * LANES;
    V max0 = FN(splat)(least), max1 = max0;
    max0 = FN(max)(FN(load_upto)(x + last, n - last, -INFINITY), max0);
    for (ptrdiff_t i = 0; i < last; i += LANES)
        if (i / LANES % 2)
            max0 = FN(max)(FN(load)(x + i), max0);
        else
            max1 = FN(max)(FN(load)(x + i), max1);
    return FN(hmax)(FN(max)(max0, max1));
}

/* sum exp(x - shift); the exponentials go to y_out unless that is NULL, and the largest x and *max_out to *max_out. What
 * lies `ahead` is fetched. */
INLINE REAL FN(block_sum)(const REAL *x, ptrdiff_t n, REAL shift, ptrdiff_t ahead, REAL *y_out, REAL *max_out)
{
    FN(Exp2) unit = FN(exp2_of)((VI){0});
    V minus_shift = FN(splat)(-shift), sum0 = {0}, sum1 = {0}, max0 = FN(splat)(max_out ? *max_out : 0), max1 = max0;
    V r0, r1, power0, power1;
    ptrdiff_t i = 0;
#define REDUCE(k, at)                                                                                                 \
    do {                                                                                                              \
        V logits = FN(load)(x + (at));                                                                                \
        if (max_out)                                                                                                  \
            max##k = FN(max)(logits, max##k);                                                                         \
        r##k = FN(exp_reduce)(unit, logits + minus_shift, &power##k);                                                 \
    } while (0)
#define SUM(k, at)                                                                                                    \
    do {                                                                                                              \
        V e = FN(exp_polynomial)(r##k, FN(splat)(1)) * power##k;                                                      \
        if (y_out)                                                                                                    \
            FN(store)(y_out + (at), e);                                                                               \
        sum##k += e;                                                                                                  \
    } while (0)
    if (n >= LANES) {
        REDUCE(0, 0);
        for (; i + 3 * LANES <= n; i += 2 * LANES) {
            FN(prefetch_ahead)(x + i, ahead);
            if (2 * LANES > FN(LINE))
                FN(prefetch_ahead)(x + i + LANES, ahead);
            REDUCE(1, i + LANES);
            SUM(0, i);
            REDUCE(0, i + 2 * LANES);
            SUM(1, i + LANES);
        }
        SUM(0, i);
        i += LANES;
    }
#undef REDUCE
#undef SUM
    for (; i < n; i += LANES) {
        V logits = FN(load_upto)(x + i, n - i, -INFINITY), e = FN(exp_below)(logits + minus_shift);
        if (max_out)
            max0 = FN(max)(logits, max0);
        sum0 += e;
        if (y_out)
            FN(store_upto)(y_out + i, n - i, e);
    }
    if (max_out)
        *max_out = FN(hmax)(FN(max)(max0, max1));
    return FN(hsum)(sum0 + sum1);
}

/* Adds up the elements that equal the maximum apart from the others, for sums with weights or that would lose digits. */
INLINE void FN(lse_block_apart)(const REAL *x, const REAL *b, ptrdiff_t n, REAL block_max, LseState *state)
{
    V max = FN(splat)(block_max), shift = FN(shift)(max), one = FN(splat)(1);
    V unit = b && block_max == INFINITY ? max : one;
    V ties0 = {0}, ties1 = {0}, rest0 = {0}, rest1 = {0};
    ptrdiff_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        FN(prefetch)(x + i);
        if (2 * LANES > FN(LINE))
            FN(prefetch)(x + i + LANES);
        FN(add_exp)(FN(load_logits)(x + i, b ? b + i : b, LANES), b ? FN(load)(b + i) : one, max, shift, unit, &ties0,
                    &rest0);
        FN(add_exp)(FN(load_logits)(x + i + LANES, b ? b + i + LANES : b, LANES), b ? FN(load)(b + i + LANES) : one,
                    max, shift, unit, &ties1, &rest1);
    }
    for (; i < n; i += LANES)
        FN(add_exp)(FN(load_logits)(x + i, b ? b + i : b, n - i), b ? FN(load_upto)(b + i, n - i, 0) : one, max, shift,
                    unit, &ties0, &rest0);
    FN(lse_add)(state, block_max, FN(hsum)(ties0 + ties1), FN(hsum)(rest0 + rest1));
}

/* `max` is the largest of x and state->max. */
INLINE void FN(lse_block)(const REAL *x, ptrdiff_t n, REAL max, LseState *state)
{
    if (n > FN(FEW) && max - max == 0) {
        double sum = FN(block_sum)(x, n, max, 2 * FN(BLOCK), NULL, NULL);
        int below = max == state->max; /* or equal: then the sum of all is at least 2, and has no digits to lose */
        if (below || !(sum < 1.25)) { /* sum - 1 has lost two bits at most */
            FN(lse_add)(state, max, below ? 0 : 1, below ? sum : sum - 1);
            return;
        }
    }
    FN(lse_block_apart)(x, NULL, n, max, state);
}

/* Where the last block has not raised the maximum, the next is expected not to either, and is read only once if that holds. */
static void FN(lse_row)(const REAL *x, ptrdiff_t n, LseState *state)
{
    int steady = 0;
    for (ptrdiff_t start = 0; start < n; start += FN(BLOCK)) {
        ptrdiff_t len = n - start < FN(BLOCK) ? n - start : FN(BLOCK);
        REAL before = (REAL)state->max, max = before;
        if (steady) {
            REAL sum = FN(block_sum)(x + start, len, before, 2 * FN(BLOCK), NULL, &max);
            if (max == before) {
                state->rest += sum;
                continue;
            }
        } else {
            max = FN(block_max)(x + start, NULL, len, before);
        }
        steady = max == before && isfinite(max);
        FN(lse_block)(x + start, len, max, state);
    }
}

static void FN(lse_block_weighted)(const REAL *x, const REAL *b, ptrdiff_t n, LseState *state)
{
    FN(lse_block_apart)(x, b, n, FN(block_max)(x, b, n, state->max), state);
}

/* `n_lanes` adjacent columns, n_rows <= BAND. */
INLINE void FN(lse_band)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t stride, ptrdiff_t n_lanes, LseState *states)
{
    REAL lane[VBYTES / sizeof(REAL)], ties_lane[VBYTES / sizeof(REAL)], rest_lane[VBYTES / sizeof(REAL)];
    for (ptrdiff_t j = 0; j < LANES; j++)
        lane[j] = j < n_lanes ? states[j].max : -INFINITY;
    V max = FN(load)(lane);
    for (ptrdiff_t r = 0; r < n_rows; r++)
        max = FN(max)(FN(load_upto)(x + r * stride, n_lanes, -INFINITY), max);

    V shift = FN(shift)(max), one = FN(splat)(1), ties = {0}, rest = {0};
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        __builtin_prefetch(x + r * stride + FN(LINE));
        FN(add_exp)(FN(load_upto)(x + r * stride, n_lanes, -INFINITY), one, max, shift, one, &ties, &rest);
    }
    FN(store)(lane, max);
    FN(store)(ties_lane, ties);
    FN(store)(rest_lane, rest);
    for (ptrdiff_t j = 0; j < n_lanes; j++)
        FN(lse_add)(&states[j], lane[j], ties_lane[j], rest_lane[j]);
}

/* states[j] <- states[j] merged with column j of x, (n_rows, n_columns) with rows `stride` apart */
LEAF void FN(lse_columns)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t stride, ptrdiff_t n_columns, LseState *states)
{
    for (ptrdiff_t r = 0; r < n_rows; r += FN(BAND)) {
        ptrdiff_t n_band = n_rows - r < FN(BAND) ? n_rows - r : FN(BAND), j = 0;
        for (; j + LANES <= n_columns; j += LANES)
            FN(lse_band)(x + r * stride + j, n_band, stride, LANES, &states[j]);
        if (j < n_columns)
            FN(lse_band)(x + r * stride + j, n_band, stride, n_columns - j, &states[j]);
    }
}

/* Rows of at most SHORT elements are worked on as columns of their transpose: nothing is summed across a vector. */
INLINE void FN(transpose)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, REAL *columns_out)
{
    for (ptrdiff_t r = 0; r < n_rows; r++)
        for (ptrdiff_t k = 0; k < n; k++)
            columns_out[k * LANES + r] = x[r * n + k];
}

static void FN(lse_short_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, LseState *states)
{
    REAL columns[FN(SHORT) * VBYTES / sizeof(REAL)];
    for (ptrdiff_t r = 0; r < n_rows; r += LANES) {
        ptrdiff_t n_lanes = n_rows - r < LANES ? n_rows - r : LANES;
        FN(transpose)(x + r * n, n_lanes, n, columns);
        FN(lse_columns)(columns, n, LANES, n_lanes, &states[r]);
    }
}

/* states[r] <- states[r] merged with row r of x, (n_rows, n), with weights b unless that is NULL; rows of b are b_stride
 * apart */
LEAF void FN(lse_rows)(const REAL *x, const REAL *b, ptrdiff_t b_stride, ptrdiff_t n_rows, ptrdiff_t n,
                       LseState *states)
{
    if (n <= FN(SHORT) && !b) {
        FN(lse_short_rows)(x, n_rows, n, states);
        return;
    }
    for (ptrdiff_t r = 0; b && r < n_rows; r++)
        for (ptrdiff_t start = 0; start < n; start += FN(BLOCK))
            FN(lse_block_weighted)(x + r * n + start, b + r * b_stride + start,
                                   n - start < FN(BLOCK) ? n - start : FN(BLOCK), &states[r]);
    if (b)
        return;
    if (FN(GROUP) * n > FN(BLOCK)) {
        for (ptrdiff_t r = 0; r < n_rows; r++)
            FN(lse_row)(x + r * n, n, &states[r]);
        return;
    }
    for (ptrdiff_t r = 0; r < n_rows; r += FN(GROUP)) {
        ptrdiff_t end = n_rows - r < FN(GROUP) ? n_rows : r + FN(GROUP);
        REAL max[FN(GROUP)];
        for (ptrdiff_t i = r; i < end; i++)
            max[i - r] = FN(block_max)(x + i * n, NULL, n, (REAL)states[i].max);
        for (ptrdiff_t i = r; i < end; i++)
            FN(lse_block)(x + i * n, n, max[i - r], &states[i]);
    }
}

/* y <- exp(x) */
LEAF void FN(exp_array)(const REAL *x, ptrdiff_t n, REAL *y_out)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        FN(store)(y_out + i, FN(exp)(FN(load)(x + i)));
    if (i < n)
        FN(store_part)(y_out + i, n - i, FN(exp)(FN(load_part)(x + i, n - i, 0)));
}

#ifdef REAL_IS_DOUBLE
INLINE void FN(log_masses)(const LseState *states, ptrdiff_t n_lanes, double *log_masses_out)
{
    double above_one[VBYTES / sizeof(double)] = {0};
    for (ptrdiff_t j = 0; j < n_lanes; j++)
        above_one[j] = (states[j].ties - 1) + states[j].rest;
    V log_masses = FN(log1p)(FN(load)(above_one));
    FN(store_upto)(log_masses_out, n_lanes, log_masses);
}

static void FN(lse_log_masses)(const LseState *states, ptrdiff_t n, double *log_masses_out)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        FN(log_masses)(states + i, LANES, log_masses_out + i);
    if (i < n)
        FN(log_masses)(states + i, n - i, log_masses_out + i);
}
#endif
