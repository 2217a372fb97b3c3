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

/* GROUP rows or fewer of n_vectors, a constant, so that nothing is left of the loops; only the last may be in part. What
 * takes long, sums across lanes and quotients, is done for all of the rows before anything waits for it. */
INLINE void FN(softmax_unrolled_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, ptrdiff_t n_vectors, REAL *y_out)
{
    REAL max[FN(GROUP)], sum[FN(GROUP)];
    ptrdiff_t last = (n_vectors - 1) * LANES;
    for (ptrdiff_t r = 0; r < n_rows; r++)
        max[r] = FN(unrolled_max)(x + r * n, n, n_vectors, -INFINITY);
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        const REAL *row = x + r * n;
        V shift = FN(splat)(max[r]), sum0, sum1 = {0};
        FN(prefetch)(row);
        sum0 = FN(exp_below)(FN(load_upto)(row + last, n - last, -INFINITY) - shift);
        FN(store_upto)(y_out + r * n + last, n - last, sum0);
        for (ptrdiff_t i = 0; i < last; i += LANES) {
            FN(prefetch)(row + i + LANES);
            V e = FN(exp_below)(FN(load)(row + i) - shift);
            FN(store)(y_out + r * n + i, e);
            if (i / LANES % 2)
                sum0 += e;
            else
                sum1 += e;
        }
        sum[r] = FN(hsum)(sum0 + sum1);
    }
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        REAL *y = y_out + r * n;
        V least = FN(splat)(sum[r] * REAL_TINY), inverse = FN(splat)(1 / sum[r]);
        for (ptrdiff_t i = 0; i < last; i += LANES)
            FN(store)(y + i, FN(quotient)(FN(load)(y + i), least, inverse));
        FN(store_upto)(y + last, n - last, FN(quotient)(FN(load_upto)(y + last, n - last, 0), least, inverse));
    }
}

static void FN(softmax_held_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, REAL *y_out)
{
#define ROWS(k)                                                                                                       \
    case k:                                                                                                           \
        FN(softmax_unrolled_rows)(x, n_few, n, k, y_out);                                                             \
        break;
    for (ptrdiff_t r = 0; r < n_rows; r += FN(GROUP), x += FN(GROUP) * n, y_out += FN(GROUP) * n) {
        ptrdiff_t n_few = n_rows - r < FN(GROUP) ? n_rows - r : FN(GROUP);
        switch ((n + LANES - 1) / LANES) { UNROLLED(ROWS) }
    }
#undef ROWS
}

/* y <- e / sum; e may be y_out */
INLINE void FN(scale_row)(const REAL *e, ptrdiff_t n, double sum, int past, REAL *y_out)
{
    V least = FN(splat)((REAL)sum * REAL_TINY), inverse = FN(splat)((REAL)(1 / sum));
    ptrdiff_t head = past ? -((uintptr_t)y_out / sizeof(REAL)) % LANES : 0, i = head < n ? head : n;
    if (i) /* up to where y is aligned */
        FN(store_part)(y_out, i, FN(quotient)(FN(load_part)(e, i, 0), least, inverse));
    for (; i + LANES <= n; i += LANES)
        if (past)
            FN(store_past)(y_out + i, FN(quotient)(FN(load)(e + i), least, inverse));
        else
            FN(store)(y_out + i, FN(quotient)(FN(load)(e + i), least, inverse));
    if (i < n)
        FN(store_part)(y_out + i, n - i, FN(quotient)(FN(load_part)(e + i, n - i, 0), least, inverse));
}

/* n_rows <= GROUP. The exponentials go to `e_out`, which may be y_out. */
INLINE void FN(softmax_few_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, REAL *e_out, int past, REAL *y_out)
{
    REAL max[FN(GROUP)];
    double sum[FN(GROUP)] = {0};
    /* of long rows the whole next one, so that its maximum need not wait for memory */
    ptrdiff_t ahead = n > 2 * FN(BLOCK) && n <= 16 * FN(BLOCK) ? n : 2 * FN(BLOCK);
    for (ptrdiff_t r = 0; r < n_rows; r++)
        max[r] = FN(block_max)(x + r * n, NULL, n, -INFINITY);
    for (ptrdiff_t r = 0; r < n_rows; r++)
        for (ptrdiff_t start = r * n; start < (r + 1) * n; start += FN(BLOCK)) {
            ptrdiff_t left = (r + 1) * n - start;
            sum[r] += FN(block_sum)(x + start, left < FN(BLOCK) ? left : FN(BLOCK), max[r], ahead, e_out + start, NULL);
        }
    for (ptrdiff_t r = 0; r < n_rows; r++)
        FN(scale_row)(e_out + r * n, n, sum[r], past, y_out + r * n);
}

/* `n_vectors`, a constant, of adjacent columns; or n_lanes of them where that is one vector. Several vectors hide how long
 * each waits for its own. The exponentials wait in `memory`, for they may not fit the registers. */
INLINE void FN(softmax_band)(const REAL *x, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t n_vectors, ptrdiff_t n_lanes, int log,
                             int past, V *memory, REAL *y_out)
{
    V max[FN(BAND_VECTORS)], sum[FN(BAND_VECTORS)], one = FN(splat)(1);
    for (ptrdiff_t k = 0; k < n_vectors; k++)
        max[k] = FN(splat)(-INFINITY);
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t k = 0; k < n_vectors; k++)
            max[k] = FN(max)(FN(load_upto)(x + r * stride + k * LANES, n_lanes, -INFINITY), max[k]);
    if (log) {
        V ties[FN(BAND_VECTORS)], rest[FN(BAND_VECTORS)], shift[FN(BAND_VECTORS)];
        for (ptrdiff_t k = 0; k < n_vectors; k++) {
            ties[k] = rest[k] = (V){0};
            shift[k] = FN(shift)(max[k]);
        }
        for (ptrdiff_t r = 0; r < n; r++)
            for (ptrdiff_t k = 0; k < n_vectors; k++)
                FN(add_exp)(FN(load_upto)(x + r * stride + k * LANES, n_lanes, -INFINITY), one, max[k], shift[k], one,
                            &ties[k], &rest[k]);
        for (ptrdiff_t k = 0; k < n_vectors; k++) {
            VI finite = (VI)(max[k] - max[k] == 0);
            sum[k] = FN(select)(finite, FN(log1p)((ties[k] - 1) + rest[k]), max[k] + rest[k]);
            shift[k] = FN(select)(finite, max[k], FN(splat)(0));
        }
        for (ptrdiff_t r = 0; r < n; r++)
            for (ptrdiff_t k = 0; k < n_vectors; k++) {
                V y = (FN(load_upto)(x + r * stride + k * LANES, n_lanes, 0) - shift[k]) - sum[k];
                if (past)
                    FN(store_past)(y_out + r * stride + k * LANES, y);
                else
                    FN(store_upto)(y_out + r * stride + k * LANES, n_lanes, y);
            }
    } else {
        V least[FN(BAND_VECTORS)];
        for (ptrdiff_t k = 0; k < n_vectors; k++)
            sum[k] = (V){0};
        for (ptrdiff_t r = 0; r < n; r++)
            for (ptrdiff_t k = 0; k < n_vectors; k++) {
                V e = FN(exp_below)(FN(load_upto)(x + r * stride + k * LANES, n_lanes, 0) - max[k]);
                memory[r * n_vectors + k] = e;
                sum[k] += e;
            }
        for (ptrdiff_t k = 0; k < n_vectors; k++) {
            least[k] = sum[k] * REAL_TINY;
            sum[k] = 1 / sum[k];
        }
        for (ptrdiff_t r = 0; r < n; r++)
            for (ptrdiff_t k = 0; k < n_vectors; k++) {
                V y = FN(quotient)(memory[r * n_vectors + k], least[k], sum[k]);
                if (past)
                    FN(store_past)(y_out + r * stride + k * LANES, y);
                else
                    FN(store_upto)(y_out + r * stride + k * LANES, n_lanes, y);
            }
    }
}

/* The same of the columns of x, (n <= SOFTMAX_COLUMN, n_columns) with rows `stride` apart. y is written past the caches if
 * `past`, as far as it can be. */
LEAF void FN(softmax_columns)(const REAL *x, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t n_columns, int log, int past,
                              REAL *y_out)
{
    enum { N = FN(BAND_VECTORS) };
    V memory[SOFTMAX_COLUMN * N];
    ptrdiff_t j = 0, head = -((uintptr_t)y_out / sizeof(REAL)) % LANES;
    past = past && stride % LANES == 0 && (uintptr_t)y_out % sizeof(REAL) == 0 && head < n_columns;
    if (past && head) { /* up to where y is aligned */
        FN(softmax_band)(x, n, stride, 1, head, log, 0, memory, y_out);
        j = head;
    }
#define BANDS(n_vectors, log, past)                                                                                   \
    for (; j + (n_vectors) * LANES <= n_columns; j += (n_vectors) * LANES)                                            \
        FN(softmax_band)(x + j, n, stride, n_vectors, LANES, log, past, memory, y_out + j);
    if (log && past)
        BANDS(N, 1, 1)
    else if (log)
        BANDS(N, 1, 0)
    else if (past)
        BANDS(N, 0, 1)
    else
        BANDS(N, 0, 0)
#undef BANDS
    for (; j < n_columns; j += LANES)
        FN(softmax_band)(x + j, n, stride, 1, n_columns - j < LANES ? n_columns - j : LANES, log, 0, memory, y_out + j);
    if (past)
        FN(fence)();
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
        FN(softmax_band)(columns, n, LANES, 1, LANES, log, 0, (V *)columns, columns);
        for (ptrdiff_t r = 0; r < n_lanes; r++)
            for (ptrdiff_t k = 0; k < n; k++)
                y_out[(start + r) * n + k] = columns[k * LANES + r];
    }
}

static void FN(softmax_longer_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, REAL *buffer, REAL *y_out)
{
    ptrdiff_t at_once = FN(GROUP) * n > FN(BLOCK) ? 1 : FN(GROUP);
    for (ptrdiff_t r = 0; r < n_rows; r += at_once, x += at_once * n, y_out += at_once * n) {
        ptrdiff_t n_few = n_rows - r < at_once ? n_rows - r : at_once;
        if (buffer)
            FN(softmax_few_rows)(x, n_few, n, buffer, 1, y_out);
        else
            FN(softmax_few_rows)(x, n_few, n, y_out, 0, y_out);
    }
}

static void FN(softmax_shorter_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, int log, REAL *y_out)
{
    if (n <= FN(SHORT))
        FN(softmax_short_rows)(x, n_rows, n, log, y_out);
    else if (log)
        FN(log_softmax_rows)(x, n_rows, n, 0, y_out);
    else
        FN(softmax_held_rows)(x, n_rows, n, y_out);
}

/* y <- softmax(x) of each row of x, (n_rows <= SOFTMAX_ROWS, n), or log_softmax if `log`. With a `buffer` of n or BLOCK
 * elements, whichever is more, y is written past the caches: for a y that is larger than they are, and is not x. */
LEAF void FN(softmax_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, int log, REAL *buffer, REAL *y_out)
{
    if ((uintptr_t)y_out % sizeof(REAL))
        buffer = NULL;
    if (n > FN(HELD) * LANES && n > FN(SHORT)) {
        if (!log)
            FN(softmax_longer_rows)(x, n_rows, n, buffer, y_out);
        else if (buffer)
            FN(log_softmax_rows)(x, n_rows, n, 1, y_out);
        else
            FN(log_softmax_rows)(x, n_rows, n, 0, y_out);
    } else if (!buffer) {
        FN(softmax_shorter_rows)(x, n_rows, n, log, y_out);
    } else { /* rows whose ends would be too many parts of lines */
        ptrdiff_t at_once = FN(BLOCK) / n;
        for (ptrdiff_t r = 0; r < n_rows; r += at_once) {
            ptrdiff_t some = n_rows - r < at_once ? n_rows - r : at_once;
            FN(softmax_shorter_rows)(x + r * n, some, n, log, buffer);
            FN(copy_past)(buffer, some * n, y_out + r * n);
        }
    }
    if (buffer)
        FN(fence)();
}
