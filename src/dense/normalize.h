/* exp(x - shift) * coef or (x - shift) - coef, by row or by column. It is included for each (instruction set,
 * real type), after logsumexp.h. */

/* What is the same for all elements of a line. */
typedef struct {
    V shift, coef;
    FN(Exp2) scale;
} FN(Normal);

/* Of exp(x - shift) * coef, the exponent of coef goes with the exponential's: so the product is never subnormal. */
INLINE FN(Normal) FN(normal)(V shift, V coef, int log)
{
    FN(Normal) line = {shift, coef};
    if (!log) {
        VI exponent = (((VI)coef >> FN(MANTISSA)) & (2 * FN(BIAS) + 1)) - FN(BIAS), most = (VI){0} + (FN(BIAS) - 1);
        VI above = exponent > most, below = exponent < -most;
        exponent = (exponent & ~(above | below)) | (most & above) | (-most & below);
        line.coef = coef * (V)((FN(BIAS) - exponent) << FN(MANTISSA));
        line.scale = FN(exp2_of)(exponent);
    }
    return line;
}

INLINE V FN(normalized)(const FN(Normal) *line, V x, int log)
{
    if (log)
        return (x - line->shift) - line->coef;
    V power, r = FN(exp_reduce)(line->scale, x - line->shift, &power);
    return FN(exp_polynomial)(r) * power * line->coef;
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
#define REDUCE(k, at) r##k = FN(exp_reduce)(line.scale, FN(load)(x + (at)) - shift, &power##k)
#define STORE(at, y) (past ? FN(store_past)(y_out + (at), y) : FN(store)(y_out + (at), y))
    if (!log && i + LANES <= n) {
        V power0, power1, r0, r1;
        REDUCE(0, i);
        for (; i + 3 * LANES <= n; i += 2 * LANES) {
            REDUCE(1, i + LANES);
            STORE(i, FN(exp_polynomial)(r0) * power0 * line.coef);
            REDUCE(0, i + 2 * LANES);
            STORE(i + LANES, FN(exp_polynomial)(r1) * power1 * line.coef);
        }
        STORE(i, FN(exp_polynomial)(r0) * power0 * line.coef);
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
