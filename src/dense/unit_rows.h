/* Rows that are brought to one length, and the gradient on its way back. It is included for each (instruction set, real type),
 * after update.h. */

enum { FN(LEAST_EXPONENT) = -60, FN(MOST_EXPONENT) = 90 }; /* of squared lengths, in which sums of REAL lose no digits */

/* Rows that are shorter than 1e-30 count as zeros: what brings them to a length would overflow in float. */
#define LEAST_SQUARE 1e-60

INLINE double FN(squared_length)(const REAL *x, ptrdiff_t n)
{
    double square = FN(mean_square)(x, n) * n;
    if (square > ldexp(1, FN(LEAST_EXPONENT)) && square < ldexp(1, FN(MOST_EXPONENT)))
        return square;
    square = 0;
    for (ptrdiff_t j = 0; j < n; j++)
        square += (double)x[j] * x[j];
    return square;
}

/* a[id] *= factor, which makes its length `norm`; id = ids ? ids[i] : i; factors_out may be NULL. Rows of zeros stay. */
LEAF void FN(scale_rows)(REAL *a, ptrdiff_t n_rows, ptrdiff_t n, const int64_t *ids, double norm, REAL *factors_out)
{
    for (ptrdiff_t i = 0; i < n_rows; i++) {
        REAL *row = a + (ids ? ids[i] : i) * n;
        double square = FN(squared_length)(row, n);
        REAL factor = square < LEAST_SQUARE ? 0 : (REAL)(norm / sqrt(square));
        for (ptrdiff_t j = 0; j < n; j++)
            row[j] *= factor;
        if (factors_out)
            factors_out[i] = factor;
    }
}

/* gradient <- factor (gradient - scaled (gradient . scaled) / norm^2): what a row grows along itself is scaled away */
LEAF void FN(scale_rows_back)(const REAL *restrict scaled, const REAL *factors, ptrdiff_t n_rows, ptrdiff_t n,
                              double norm, REAL *restrict gradient)
{
    for (ptrdiff_t i = 0; i < n_rows; i++, scaled += n, gradient += n) {
        V sum = FN(splat)(0);
        ptrdiff_t j = 0;
        for (; j + LANES <= n; j += LANES)
            sum += FN(load)(scaled + j) * FN(load)(gradient + j);
        double along = FN(hsum)(sum);
        for (; j < n; j++)
            along += (double)scaled[j] * gradient[j];
        const REAL share = (REAL)(along / (norm * norm)), factor = factors[i];
        for (j = 0; j < n; j++)
            gradient[j] = factor * (gradient[j] - share * scaled[j]);
    }
}
#undef LEAST_SQUARE
