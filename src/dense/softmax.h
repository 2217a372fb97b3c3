/* Softmax of whole lines that stay in cache, so that x comes from memory once. It is included for each
 * (instruction set, real type), after logsumexp.h and normalize.h.
 *
 * Softmax needs no branch for a NaN, a +inf or nothing but -inf: x - max has a NaN then, and so has the sum.
 */

/* exponential / sum, or 0 where that would be subnormal: below `least`, which is the smallest normal number * sum */
INLINE V FN(quotient)(V exponential, V least, V inverse)
{
#ifdef ISA_AVX512
    return MM(maskz_mul)(MM_CMP_MASK(exponential, least, _CMP_NLT_UQ), exponential, inverse);
#else
    return (V)((VI)exponential & ~(VI)(exponential < least)) * inverse;
#endif
}

/* Copies whole lines past the caches, and what is left of a line at either end as usual. */
INLINE void FN(copy_past)(const REAL *x, ptrdiff_t n, REAL *y_out)
{
    ptrdiff_t head = -((uintptr_t)y_out / sizeof(REAL)) % LANES, i = head < n ? head : n;
    if (i)
        FN(store_part)(y_out, i, FN(load_part)(x, i, 0));
    for (; i + LANES <= n; i += LANES)
        FN(store_past)(y_out + i, FN(load)(x + i));
    if (i < n)
        FN(store_part)(y_out + i, n - i, FN(load_part)(x + i, n - i, 0));
}

/* A row of n_vectors, a constant, which stay in registers; only the last may be in part. */
INLINE void FN(softmax_held_row)(const REAL *x, ptrdiff_t n, ptrdiff_t n_vectors, REAL *y_out)
{
    V e[FN(HELD)], max, sum = {0};
    ptrdiff_t last = n_vectors - 1, n_last = n - last * LANES;
    e[last] = max = FN(load_upto)(x + last * LANES, n_last, -INFINITY);
    for (ptrdiff_t k = 0; k < last; k++)
        max = FN(max)(e[k] = FN(load)(x + k * LANES), max);
    max = FN(splat)(FN(hmax)(max));
    for (ptrdiff_t k = 0; k < n_vectors; k++)
        sum += e[k] = FN(exp_below)(e[k] - max);
    REAL total = FN(hsum)(sum);
    V least = FN(splat)(total * REAL_TINY), inverse = FN(splat)(1 / total);
    for (ptrdiff_t k = 0; k < last; k++)
        FN(store)(y_out + k * LANES, FN(quotient)(e[k], least, inverse));
    FN(store_upto)(y_out + last * LANES, n_last, FN(quotient)(e[last], least, inverse));
}

static void FN(softmax_held_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, REAL *y_out)
{
#define ROWS(k)                                                                                                       \
    case k:                                                                                                           \
        for (; x < end; x += n, y_out += n) {                                                                         \
            FN(prefetch)(x);                                                                                          \
            for (ptrdiff_t i = FN(LINE); i < n; i += FN(LINE))                                                         \
                FN(prefetch)(x + i);                                                                                  \
            FN(softmax_held_row)(x, n, k, y_out);                                                                     \
        }                                                                                                             \
        break;
    const REAL *end = x + n_rows * n;
    switch ((n + LANES - 1) / LANES) {
        ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8)
    }
#undef ROWS
}

/* n_rows <= GROUP. The exponentials go to `e_out`, which may be y_out. */
INLINE void FN(softmax_few_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, ptrdiff_t ahead, REAL *e_out, int past, REAL *y_out)
{
    REAL max[FN(GROUP)];
    double sum[FN(GROUP)] = {0};
    for (ptrdiff_t r = 0; r < n_rows; r++)
        max[r] = FN(block_max)(x + r * n, NULL, n, -INFINITY);
    for (ptrdiff_t r = 0; r < n_rows; r++)
        for (ptrdiff_t start = r * n; start < (r + 1) * n; start += FN(BLOCK)) {
            ptrdiff_t left = (r + 1) * n - start;
            sum[r] += FN(block_sum)(x + start, left < FN(BLOCK) ? left : FN(BLOCK), max[r], ahead, e_out + start, NULL);
        }
    for (ptrdiff_t r = 0; r < n_rows; r++, y_out += n, e_out += n) {
        V least = FN(splat)((REAL)sum[r] * REAL_TINY), inverse = FN(splat)((REAL)(1 / sum[r]));
        ptrdiff_t i = 0, head = past ? -((uintptr_t)y_out / sizeof(REAL)) % LANES : 0;
        if (head && head < n) { /* up to where y is aligned */
            FN(store_part)(y_out, head, FN(quotient)(FN(load_part)(e_out, head, 0), least, inverse));
            i = head;
        }
        for (; i + LANES <= n; i += LANES)
            if (past)
                FN(store_past)(y_out + i, FN(quotient)(FN(load)(e_out + i), least, inverse));
            else
                FN(store)(y_out + i, FN(quotient)(FN(load)(e_out + i), least, inverse));
        if (i < n)
            FN(store_part)(y_out + i, n - i, FN(quotient)(FN(load_part)(e_out + i, n - i, 0), least, inverse));
    }
}

/* log(ties + rest), in double */
INLINE V FN(log_of_mass)(V ties, V rest)
{
    double lane[VBYTES / sizeof(REAL)];
    V log_mass;
    for (ptrdiff_t j = 0; j < LANES; j++)
        lane[j] = (ties[j] - 1.0) + rest[j];
    for (ptrdiff_t j = 0; j < LANES; j += VBYTES / sizeof(double))
        PASTE(store, f64, ISA_NAME)(lane + j, PASTE(log1p, f64, ISA_NAME)(PASTE(load, f64, ISA_NAME)(lane + j)));
    for (ptrdiff_t j = 0; j < LANES; j++)
        log_mass[j] = (REAL)lane[j];
    return log_mass;
}

/* `n_lanes` adjacent columns */
INLINE void FN(softmax_band)(const REAL *x, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t n_lanes, int log, REAL *y_out)
{
    V max = FN(splat)(-INFINITY), one = FN(splat)(1), ties = {0}, rest = {0};
    for (ptrdiff_t r = 0; r < n; r++)
        max = FN(max)(FN(load_upto)(x + r * stride, n_lanes, -INFINITY), max);
    if (log) {
        VI finite = (VI)(max - max == 0);
        V shift = FN(shift)(max);
        for (ptrdiff_t r = 0; r < n; r++)
            FN(add_exp)(FN(load_upto)(x + r * stride, n_lanes, -INFINITY), one, max, shift, one, &ties, &rest);
        V log_mass = FN(select)(finite, FN(log_of_mass)(ties, rest), max + rest);
        shift = FN(select)(finite, max, FN(splat)(0));
        for (ptrdiff_t r = 0; r < n; r++)
            FN(store_upto)(y_out + r * stride, n_lanes,
                           (FN(load_upto)(x + r * stride, n_lanes, 0) - shift) - log_mass);
    } else {
        V sum = {0};
        for (ptrdiff_t r = 0; r < n; r++) {
            V e = FN(exp_below)(FN(load_upto)(x + r * stride, n_lanes, 0) - max);
            FN(store_upto)(y_out + r * stride, n_lanes, e);
            sum += e;
        }
        V least = sum * REAL_TINY, inverse = 1 / sum;
        for (ptrdiff_t r = 0; r < n; r++)
            FN(store_upto)(y_out + r * stride, n_lanes,
                           FN(quotient)(FN(load_upto)(y_out + r * stride, n_lanes, 0), least, inverse));
    }
}

/* the same of the columns of x, (n, n_columns) with rows `stride` apart */
LEAF void FN(softmax_columns)(const REAL *x, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t n_columns, int log,
                              REAL *y_out)
{
    ptrdiff_t j = 0;
    for (; j + LANES <= n_columns; j += LANES)
        if (log)
            FN(softmax_band)(x + j, n, stride, LANES, 1, y_out + j);
        else
            FN(softmax_band)(x + j, n, stride, LANES, 0, y_out + j);
    if (j < n_columns)
        FN(softmax_band)(x + j, n, stride, n_columns - j, log, y_out + j);
}

/* What log_softmax subtracts from x, after its maximum: log(ties + rest). Where the maximum is infinite, it is not
 * subtracted, and the result is SciPy's: NaN at +inf and -inf elsewhere, or NaN where there is nothing but -inf. */
INLINE double FN(log_mass)(const LseState *state, double log_mass)
{
    return isfinite(state->max) ? log_mass : state->max + state->rest;
}

/* n_rows <= SOFTMAX_ROWS */
INLINE void FN(log_softmax_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, int past, REAL *y_out)
{
    LseState states[SOFTMAX_ROWS];
    double log_masses[SOFTMAX_ROWS];
    for (ptrdiff_t r = 0; r < n_rows; r++)
        states[r] = EMPTY_LSE;
    FN(lse_rows)(x, NULL, 0, n_rows, n, states);
    PASTE(lse_log_masses, f64, ISA_NAME)(states, n_rows, log_masses);
    for (ptrdiff_t r = 0; r < n_rows; r++)
        FN(normalize_row)(x + r * n, n, FN(splat)(isfinite(states[r].max) ? (REAL)states[r].max : 0),
                          FN(splat)((REAL)FN(log_mass)(&states[r], log_masses[r])), 1, past, y_out + r * n);
}

static void FN(softmax_short_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, int log, REAL *y_out)
{
    REAL columns[FN(SHORT) * VBYTES / sizeof(REAL)] = {0};
    for (ptrdiff_t start = 0; start < n_rows; start += LANES) {
        ptrdiff_t n_lanes = n_rows - start < LANES ? n_rows - start : LANES;
        FN(transpose)(x + start * n, n_lanes, n, columns);
        FN(softmax_band)(columns, n, LANES, LANES, log, columns);
        for (ptrdiff_t r = 0; r < n_lanes; r++)
            for (ptrdiff_t k = 0; k < n; k++)
                y_out[(start + r) * n + k] = columns[k * LANES + r];
    }
}

/* As many rows as are worked on at once. */
INLINE void FN(softmax_some_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, int log, REAL *y_out)
{
    ptrdiff_t at_once = FN(GROUP) * n > FN(BLOCK) ? 1 : FN(GROUP);
    if (n <= FN(SHORT))
        FN(softmax_short_rows)(x, n_rows, n, log, y_out);
    else if (log)
        FN(log_softmax_rows)(x, n_rows, n, 0, y_out);
    else if (n <= FN(HELD) * LANES)
        FN(softmax_held_rows)(x, n_rows, n, y_out);
    else
        for (ptrdiff_t r = 0; r < n_rows; r += at_once)
            FN(softmax_few_rows)(x + r * n, n_rows - r < at_once ? n_rows - r : at_once, n, 2 * FN(BLOCK), y_out + r * n, 0, y_out + r * n);
}

/* y <- softmax(x) of each row of x, (n_rows <= SOFTMAX_ROWS, n), or log_softmax if `log`. With a `buffer` of n elements, y is
 * written past the caches: for a y that is larger than they are, and is not x. */
LEAF void FN(softmax_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, int log, REAL *buffer, REAL *y_out)
{
    if (!buffer || (uintptr_t)y_out % sizeof(REAL)) {
        FN(softmax_some_rows)(x, n_rows, n, log, y_out);
        return;
    }
    ptrdiff_t ahead = n > 2 * FN(BLOCK) && n * sizeof(REAL) <= (1 << 18) ? n : 2 * FN(BLOCK);
    if (n <= FN(BLOCK) / FN(GROUP)) { /* rows whose ends would be too many parts of lines */
        ptrdiff_t at_once = FN(BLOCK) / n;
        for (ptrdiff_t r = 0; r < n_rows; r += at_once) {
            ptrdiff_t some = n_rows - r < at_once ? n_rows - r : at_once;
            FN(softmax_some_rows)(x + r * n, some, n, log, buffer);
            FN(copy_past)(buffer, some * n, y_out + r * n);
        }
    } else if (log) {
        FN(log_softmax_rows)(x, n_rows, n, 1, y_out);
    } else {
        for (ptrdiff_t r = 0; r < n_rows; r++)
            FN(softmax_few_rows)(x + r * n, 1, n, ahead, buffer, 1, y_out + r * n);
    }
    FN(fence)();
}
