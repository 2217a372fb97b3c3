/* Blocks of one-vs-all problems: losses of two labels with their derivatives, and the steps of conjugate gradients for many
 * problems side by side. It is included for each (instruction set, real type).
 *
 * Vectors run along the problems of a row, so no sum goes across a vector, and no problem touches another.
 */

enum { FN(SUMMED_ROWS) = 64 }; /* over so many rows sums in REAL do not lose digits */

/* weight times the loss of the label -1 at logits z, log(1 + e^z) or max(0, 1 + z)^2, and weight times its first and second
 * derivative. The loss of the label 1 is that of -1 at -z. NaN stays. */
INLINE V FN(negative_loss)(const int kind, V z, V weight, V *slope_out, V *curvature_out)
{
    const V zero = FN(splat)(0), one = FN(splat)(1);
    if (kind == BINARY_SQUARED_HINGE) {
        const V margin = FN(max)(zero, 1 + z), weighted = weight * margin; /* 0 where the weight is, however large z */
        *slope_out = weighted + weighted;
        *curvature_out = FN(select)((VI)(z > -1), weight + weight, zero);
        return weighted * margin;
    }
    const V u = FN(exp_below)((V)((VI)z | (VI)FN(splat)((REAL)-0.0))); /* exp(-|z|) */
    const V p = FN(select)((VI)(z < 0), u, one) / (1 + u);
    *slope_out = weight * p;
    *curvature_out = weight * (u / ((1 + u) * (1 + u)));
    return weight * (FN(max)(zero, z) + FN(log1p_unit)(u));
}

INLINE void FN(binary_block)(const int kind, const BinaryBlock *block, const REAL *z, REAL *slopes, REAL *curvatures,
                             double *losses)
{
    const ptrdiff_t width = block->width;
    const REAL *row_weight = (const REAL *)block->row_weight, *positive_weight = (const REAL *)block->positive_weight;
    REAL side[MAX_PROBLEMS], factor[MAX_PROBLEMS]; /* -1 and positive_weight at the positives of a row, else 1 */
    for (ptrdiff_t k = 0; k < width; k++)
        side[k] = factor[k] = 1;
    for (ptrdiff_t begin = 0; begin < block->n_rows; begin += FN(SUMMED_ROWS)) {
        const ptrdiff_t end = begin + FN(SUMMED_ROWS) < block->n_rows ? begin + FN(SUMMED_ROWS) : block->n_rows;
        REAL sum[MAX_PROBLEMS] = {0};
        for (ptrdiff_t i = begin; i < end; i++) {
            for (int64_t e = block->indptr[i]; e < block->indptr[i + 1]; e++) {
                const ptrdiff_t k = block->problems[e];
                side[k] = -1;
                factor[k] = positive_weight[k];
            }
            for (ptrdiff_t k = 0; k < width; k += LANES) {
                const ptrdiff_t at = i * width + k;
                const V sign = FN(load)(side + k), weight = row_weight[i] * FN(load)(factor + k);
                V slope, curvature;
                const V loss = FN(negative_loss)(kind, sign * FN(load)(z + at), weight, &slope, &curvature);
                FN(store)(sum + k, FN(load)(sum + k) + loss);
                FN(store)(slopes + at, sign * slope);
                FN(store)(curvatures + at, curvature);
            }
            for (int64_t e = block->indptr[i]; e < block->indptr[i + 1]; e++)
                side[block->problems[e]] = factor[block->problems[e]] = 1;
        }
        for (ptrdiff_t k = 0; k < width; k++)
            losses[k] += sum[k];
    }
}

/* losses_out[k] <- the sum over rows of weight times loss, by problem; slopes_out, curvatures_out <- weight times its first
 * and second derivative by the logit. A row's weight is row_weight, for its positives times positive_weight. */
LEAF void FN(binary_derivatives)(int kind, const BinaryBlock *block, const REAL *z, REAL *slopes_out, REAL *curvatures_out,
                                 double *losses_out)
{
    memset(losses_out, 0, block->width * sizeof(double));
    if (kind == BINARY_SQUARED_HINGE)
        FN(binary_block)(BINARY_SQUARED_HINGE, block, z, slopes_out, curvatures_out, losses_out);
    else
        FN(binary_block)(BINARY_LOGISTIC, block, z, slopes_out, curvatures_out, losses_out);
}

/* a, b: n rows of `width` elements. b <- b + scale a, and dots_out[k] <- the sum over rows of a b; scale may be 0. */
LEAF void FN(add_and_dot)(const REAL *a, REAL *b, ptrdiff_t n, ptrdiff_t width, REAL scale, double *dots_out)
{
    memset(dots_out, 0, width * sizeof(double));
    for (ptrdiff_t begin = 0; begin < n; begin += FN(SUMMED_ROWS)) {
        const ptrdiff_t end = begin + FN(SUMMED_ROWS) < n ? begin + FN(SUMMED_ROWS) : n;
        for (ptrdiff_t k = 0; k < width; k += LANES) {
            V sum = FN(splat)(0);
            for (ptrdiff_t i = begin; i < end; i++) {
                const V x = FN(load)(a + i * width + k), y = FN(load)(b + i * width + k) + scale * x;
                FN(store)(b + i * width + k, y);
                sum += x * y;
            }
            REAL lane[VBYTES / sizeof(REAL)];
            FN(store)(lane, sum);
            for (ptrdiff_t l = 0; l < LANES; l++)
                dots_out[k + l] += lane[l];
        }
    }
}

/* A step of conjugate gradients: x += length p, r -= length q, dots_out[k] <- the sum over rows of inverse[i] r^2. length is
 * by problem, and inverse, of the preconditioner, by row. */
LEAF void FN(advance_cg)(const REAL *length, const REAL *p, const REAL *q, const REAL *inverse, ptrdiff_t n,
                         ptrdiff_t width, REAL *x, REAL *r, double *dots_out)
{
    memset(dots_out, 0, width * sizeof(double));
    for (ptrdiff_t begin = 0; begin < n; begin += FN(SUMMED_ROWS)) {
        const ptrdiff_t end = begin + FN(SUMMED_ROWS) < n ? begin + FN(SUMMED_ROWS) : n;
        for (ptrdiff_t k = 0; k < width; k += LANES) {
            const V a = FN(load)(length + k);
            V sum = FN(splat)(0);
            for (ptrdiff_t i = begin; i < end; i++) {
                const ptrdiff_t at = i * width + k;
                FN(store)(x + at, FN(load)(x + at) + a * FN(load)(p + at));
                const V residual = FN(load)(r + at) - a * FN(load)(q + at);
                FN(store)(r + at, residual);
                sum += inverse[i] * residual * residual;
            }
            REAL lane[VBYTES / sizeof(REAL)];
            FN(store)(lane, sum);
            for (ptrdiff_t l = 0; l < LANES; l++)
                dots_out[k + l] += lane[l];
        }
    }
}

/* The next direction: p <- inverse r + ratio p. */
LEAF void FN(turn_cg)(const REAL *ratio, const REAL *r, const REAL *inverse, ptrdiff_t n, ptrdiff_t width, REAL *p)
{
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < width; k += LANES) {
            const ptrdiff_t at = i * width + k;
            FN(store)(p + at, inverse[i] * FN(load)(r + at) + FN(load)(ratio + k) * FN(load)(p + at));
        }
}
