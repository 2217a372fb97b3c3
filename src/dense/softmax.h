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

/* n_rows <= GROUP */
INLINE void FN(softmax_few_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, REAL *y_out)
{
    REAL max[FN(GROUP)];
    double sum[FN(GROUP)] = {0};
    for (ptrdiff_t r = 0; r < n_rows; r++)
        max[r] = FN(block_max)(x + r * n, NULL, n, -INFINITY);
    for (ptrdiff_t r = 0; r < n_rows; r++)
        for (ptrdiff_t start = r * n; start < (r + 1) * n; start += FN(BLOCK)) {
            ptrdiff_t left = (r + 1) * n - start;
            sum[r] += FN(block_sum)(x + start, left < FN(BLOCK) ? left : FN(BLOCK), max[r], y_out + start, NULL);
        }
    for (ptrdiff_t r = 0; r < n_rows; r++, y_out += n) {
        V least = FN(splat)((REAL)sum[r] * REAL_TINY), inverse = FN(splat)((REAL)(1 / sum[r]));
        ptrdiff_t i = 0;
        for (; i + LANES <= n; i += LANES)
            FN(store)(y_out + i, FN(quotient)(FN(load)(y_out + i), least, inverse));
        if (i < n)
            FN(store_part)(y_out + i, n - i, FN(quotient)(FN(load_part)(y_out + i, n - i, 0), least, inverse));
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
static void FN(log_softmax_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, REAL *y_out)
{
    LseState states[SOFTMAX_ROWS];
    double log_masses[SOFTMAX_ROWS];
    for (ptrdiff_t r = 0; r < n_rows; r++)
        states[r] = EMPTY_LSE;
    FN(lse_rows)(x, NULL, 0, n_rows, n, states);
    PASTE(lse_log_masses, f64, ISA_NAME)(states, n_rows, log_masses);
    for (ptrdiff_t r = 0; r < n_rows; r++)
        FN(normalize_row)(x + r * n, n, FN(splat)(isfinite(states[r].max) ? (REAL)states[r].max : 0),
                          FN(splat)((REAL)FN(log_mass)(&states[r], log_masses[r])), 1, 0, y_out + r * n);
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

/* y <- softmax(x) of each row of x, (n_rows <= SOFTMAX_ROWS, n), or log_softmax if `log` */
LEAF void FN(softmax_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, int log, REAL *y_out)
{
    ptrdiff_t at_once = FN(GROUP) * n > FN(BLOCK) ? 1 : FN(GROUP);
    if (n <= FN(SHORT))
        FN(softmax_short_rows)(x, n_rows, n, log, y_out);
    else if (log)
        FN(log_softmax_rows)(x, n_rows, n, y_out);
    else
        for (ptrdiff_t r = 0; r < n_rows; r += at_once)
            FN(softmax_few_rows)(x + r * n, n_rows - r < at_once ? n_rows - r : at_once, n, y_out + r * n);
}
