/* exp(x - shift) * coef or (x - shift) - coef, by row or by column. It is included for each (instruction set,
 * real type), after logsumexp.h. */

/* What is the same for all elements of a line. Of exp(x - shift) * coef, the exponent of coef goes with the exponential's
 * and the rest, a quarter of it, into the polynomial; the result is 0 where x - shift is below `least`. */
typedef struct {
    V shift, coef, least;
    FN(Exp2) scale;
} FN(Normal);

/* Results are cut off between 2^0.2 and 2^0.29 times REAL_TINY, for log2 m is from 0 to 0.09 above m - 1 where 1 <= m <= 2.
 * So none is subnormal, and none is 0 that is above sqrt(2) * REAL_TINY. exp_reduce cuts off at whole octaves, which coef would
 * move. This holds where |coef| is below 2^BIAS. */
INLINE FN(Normal) FN(normal)(V shift, V coef, int log)
{
    FN(Normal) line = {shift, coef};
    if (!log) {
        VI exponent = (((VI)coef >> FN(MANTISSA)) & (2 * FN(BIAS) + 1)) - FN(BIAS), most = (VI){0} + (FN(BIAS) - 1);
        VI above = exponent > most, below = exponent < -most;
        exponent = (exponent & ~(above | below)) | (most & above) | (-most & below);
        V m = coef * (V)((FN(BIAS) - exponent) << FN(MANTISSA));
        V size = FN(min)(FN(splat)(2), FN(max)(-m, m)); /* a NaN stays */
        line.coef = m * (REAL)0.25;
        line.scale = FN(exp2_of)(exponent + 2);
        line.least = line.scale.least + ((REAL)3.2 - size) * LN2;
    }
    return line;
}

/* The first step of exp(x - shift) * coef, see exp_reduce. An x below the least becomes one whose power is 0. */
INLINE V FN(normal_reduce)(const FN(Normal) *line, V x, V *power)
{
    x -= line->shift;
#if defined(ISA_AVX512)
    V cut = MM(mask_blend)(MM_CMP_MASK(x, line->least, _CMP_NLT_UQ), line->scale.least, x);
    return FN(exp_split)(line->scale.magic, cut, power);
#elif defined(ISA_AVX2)
    V cut = MM(blendv)(x, line->scale.least, MM(cmp)(x, line->least, _CMP_LT_OQ));
    return FN(exp_split)(line->scale.magic, cut, power);
#else /* nothing blends in one instruction */
    V r = FN(exp_reduce)(line->scale, x, power);
    *power = (V)((VI)*power & ~(VI)(x < line->least));
    return r;
#endif
}

INLINE V FN(normalized)(const FN(Normal) *line, V x, int log)
{
    if (log)
        return (x - line->shift) - line->coef;
    V power, r = FN(normal_reduce)(line, x, &power);
    return FN(exp_polynomial)(r, line->coef) * power;
}

/* One row; y is written past the caches if `past`. */
INLINE void FN(normalize_row)(const REAL *x, ptrdiff_t n, V shift, V coef, int log, int past, REAL *y_out)
{
    FN(Normal) line = FN(normal)(shift, coef, log);
    ptrdiff_t i = 0, head = past ? -((uintptr_t)y_out / sizeof(REAL)) % LANES : 0;
    if (head && head < n) { /* up to where y is aligned */
        FN(store_part)(y_out, head, FN(normalized)(&line, FN(load_part)(x, head, 0), log));
        i = head;
    }
#define REDUCE(k, at) r##k = FN(normal_reduce)(&line, FN(load)(x + (at)), &power##k)
#define STORE(at, y) (past ? FN(store_past)(y_out + (at), y) : FN(store)(y_out + (at), y))
    if (!log && i + LANES <= n) {
        V power0, power1, r0, r1;
        REDUCE(0, i);
        for (; i + 3 * LANES <= n; i += 2 * LANES) {
            REDUCE(1, i + LANES);
            STORE(i, FN(exp_polynomial)(r0, line.coef) * power0);
            REDUCE(0, i + 2 * LANES);
            STORE(i + LANES, FN(exp_polynomial)(r1, line.coef) * power1);
        }
        STORE(i, FN(exp_polynomial)(r0, line.coef) * power0);
        i += LANES;
    }
    for (; i + LANES <= n; i += LANES)
        STORE(i, FN(normalized)(&line, FN(load)(x + i), log));
#undef REDUCE
#undef STORE
    if (i < n)
        FN(store_part)(y_out + i, n - i, FN(normalized)(&line, FN(load_part)(x + i, n - i, 0), log));
}

/* y <- exp(x - shift) * coef, or (x - shift) - coef if `log`; shift and coef by row of x, (n_rows, n). Long rows are
 * written past the caches if `past`: for a y that is larger than they are, and is not x. `log` and `past` are constants at
 * each call of normalize_row. */
LEAF void FN(normalize_rows)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t n, const REAL *shift, const REAL *coef,
                             int log, int past, REAL *y_out)
{
    for (ptrdiff_t r = 0; r < n_rows; r++, x += n, y_out += n) {
        V s = FN(splat)(shift[r]), c = FN(splat)(coef[r]);
        if (past && n >= FN(BLOCK) && (uintptr_t)y_out % sizeof(REAL) == 0) {
            log ? FN(normalize_row)(x, n, s, c, 1, 1, y_out) : FN(normalize_row)(x, n, s, c, 0, 1, y_out);
            FN(fence)();
        } else {
            log ? FN(normalize_row)(x, n, s, c, 1, 0, y_out) : FN(normalize_row)(x, n, s, c, 0, 0, y_out);
        }
    }
}

/* `n_lanes` adjacent columns */
INLINE void FN(normalize_band)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t stride, ptrdiff_t n_lanes,
                                const REAL *shift, const REAL *coef, int log, REAL *y_out)
{
    FN(Normal) lines = FN(normal)(FN(load_upto)(shift, n_lanes, 0), FN(load_upto)(coef, n_lanes, 0), log);
    for (ptrdiff_t r = 0; r < n_rows; r++) {
        V y = FN(normalized)(&lines, FN(load_upto)(x + r * stride, n_lanes, 0), log);
        __builtin_prefetch(x + r * stride + FN(LINE));
        FN(store_upto)(y_out + r * stride, n_lanes, y);
    }
}

/* the same with shift and coef by column of x, (n_rows, n_columns) with rows `stride` apart */
LEAF void FN(normalize_columns)(const REAL *x, ptrdiff_t n_rows, ptrdiff_t stride, ptrdiff_t n_columns,
                                const REAL *shift, const REAL *coef, int log, REAL *y_out)
{
    for (ptrdiff_t start = 0; start < n_rows; start += FN(BAND)) {
        ptrdiff_t n_band = n_rows - start < FN(BAND) ? n_rows - start : FN(BAND);
        for (ptrdiff_t j = 0; j < n_columns; j += LANES) {
            ptrdiff_t n_lanes = n_columns - j < LANES ? n_columns - j : LANES, at = start * stride + j;
            if (log)
                FN(normalize_band)(x + at, n_band, stride, n_lanes, shift + j, coef + j, 1, y_out + at);
            else
                FN(normalize_band)(x + at, n_band, stride, n_lanes, shift + j, coef + j, 0, y_out + at);
        }
    }
}
