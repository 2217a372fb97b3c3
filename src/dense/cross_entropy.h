/* The part of cross-entropy that soft targets add, row by row. It is included for each (instruction set, real type). */

/* sum t (shift - x): the loss of target distribution t, up to its mass times the log-sum-exp of x - shift */
LEAF double FN(soft_target_loss)(const REAL *x, const REAL *t, ptrdiff_t n, REAL shift)
{
    double loss = 0;
    for (ptrdiff_t start = 0; start < n; start += FN(BLOCK)) {
        ptrdiff_t end = n - start < FN(BLOCK) ? n : start + FN(BLOCK), i = start;
        V shifts = FN(splat)(shift), sum0 = {0}, sum1 = {0};
        for (; i + 2 * LANES <= end; i += 2 * LANES) {
            sum0 += FN(load)(t + i) * (shifts - FN(load)(x + i));
            sum1 += FN(load)(t + i + LANES) * (shifts - FN(load)(x + i + LANES));
        }
        for (; i < end; i += LANES)
            sum0 += FN(load_upto)(t + i, end - i, 0) * (shifts - FN(load_upto)(x + i, end - i, shift));
        loss += FN(hsum)(sum0 + sum1);
    }
    return loss;
}

/* y <- y - scale t */
LEAF void FN(subtract_scaled)(const REAL *t, ptrdiff_t n, REAL scale, REAL *y_out)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        FN(store)(y_out + i, FN(load)(y_out + i) - scale * FN(load)(t + i));
    for (; i < n; i++)
        y_out[i] -= scale * t[i];
}
