/* Blocks of one-vs-all problems: losses of two labels with their derivatives, and the steps of conjugate gradients for many
 * problems side by side. It is included for each (instruction set, real type).
 *
 * Vectors run along the problems of a row, so no sum goes across a vector, and no problem touches another.
 */

enum { FN(SUMMED_ROWS) = 64 }; /* over so many rows sums in REAL do not lose digits */

/* The loss of the label -1 at logits z, its derivative and its second derivative: log(1 + e^z) or max(0, 1 + z)^2. */
INLINE V FN(negative_loss)(const int kind, V z, V *slope_out, V *curvature_out)
{
    const V zero = FN(splat)(0), one = FN(splat)(1);
    if (kind == BINARY_SQUARED_HINGE) {
        const V margin = FN(max)(zero, 1 + z); /* max: a NaN in z stays */
        *slope_out = margin + margin;
        *curvature_out = FN(select)((VI)(z > -1), one + one, zero);
        return margin * margin;
    }
    const V u = FN(exp_below)((V)((VI)z | (VI)FN(splat)((REAL)-0.0))); /* exp(-|z|) */
    const V p = FN(select)((VI)(z < 0), u, one) / (1 + u);
    *slope_out = p;
    *curvature_out = u / ((1 + u) * (1 + u));
    return FN(max)(zero, z) + FN(log1p_unit)(u);
}

INLINE void FN(one_loss)(const int kind, REAL z, double *loss_out, REAL *slope_out, REAL *curvature_out)
{
    REAL lane[3][VBYTES / sizeof(REAL)];
    V slope, curvature;
    FN(store)(lane[0], FN(negative_loss)(kind, FN(splat)(z), &slope, &curvature));
    FN(store)(lane[1], slope);
    FN(store)(lane[2], curvature);
    *loss_out = lane[0][0];
    *slope_out = lane[1][0];
    *curvature_out = lane[2][0];
}

INLINE void FN(binary_block)(const int kind, const BinaryBlock *block, const REAL *z, REAL *slopes, REAL *curvatures,
                             double *losses)
{
    const ptrdiff_t width = block->width;
    const REAL *row_weight = (const REAL *)block->row_weight, *positive_weight = (const REAL *)block->positive_weight;
    for (ptrdiff_t begin = 0; begin < block->n_rows; begin += FN(SUMMED_ROWS)) {
        const ptrdiff_t end = begin + FN(SUMMED_ROWS) < block->n_rows ? begin + FN(SUMMED_ROWS) : block->n_rows;
        for (ptrdiff_t k = 0; k < width; k += LANES) {
            V sum = FN(splat)(0);
            for (ptrdiff_t i = begin; i < end; i++) {
                V slope, curvature;
                const V loss = FN(negative_loss)(kind, FN(load)(z + i * width + k), &slope, &curvature);
                sum += row_weight[i] * loss;
                FN(store)(slopes + i * width + k, row_weight[i] * slope);
                FN(store)(curvatures + i * width + k, row_weight[i] * curvature);
            }
            REAL lane[VBYTES / sizeof(REAL)];
            FN(store)(lane, sum);
            for (ptrdiff_t l = 0; l < LANES; l++)
                losses[k + l] += lane[l];
        }
        for (ptrdiff_t i = begin; i < end; i++)
            for (int64_t e = block->indptr[i]; e < block->indptr[i + 1]; e++) {
                const ptrdiff_t k = block->problems[e], at = i * width + k;
                const REAL weight = row_weight[i] * positive_weight[k];
                double loss, negative;
                REAL slope, curvature;
                FN(one_loss)(kind, z[at], &negative, &slope, &curvature);
                FN(one_loss)(kind, -z[at], &loss, &slope, &curvature);
                losses[k] += weight * loss - row_weight[i] * negative;
                slopes[at] = -weight * slope;
                curvatures[at] = weight * curvature;
            }
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
