/* Logits of listed classes. It is included for each (instruction set, real type). */

enum { FN(DOTS) = 8 }; /* at a time: as many independent sums as two multiply-add units need */

/* z[e] += bias + dot of `n` <= DOTS rows of V; `n` is a constant at the call that counts. */
INLINE void FN(add_some_dots)(const int32_t *ids, const ptrdiff_t n, const REAL *x, const REAL *V_, ptrdiff_t v_stride,
                              ptrdiff_t n_hidden, const REAL *bias, REAL *z)
{
    const REAL *rows[FN(DOTS)];
    V sums[FN(DOTS)];
    ptrdiff_t j = 0;
    for (ptrdiff_t u = 0; u < n; u++) {
        rows[u] = V_ + ids[u] * v_stride;
        sums[u] = FN(splat)(0);
    }
    for (; j + LANES <= n_hidden; j += LANES) {
        V h = FN(load)(x + j);
        for (ptrdiff_t u = 0; u < n; u++)
            sums[u] += h * FN(load)(rows[u] + j);
    }
    if (j < n_hidden) {
        V h = FN(load_part)(x + j, n_hidden - j, 0);
        for (ptrdiff_t u = 0; u < n; u++)
            sums[u] += h * FN(load_part)(rows[u] + j, n_hidden - j, 0);
    }
    for (ptrdiff_t u = 0; u < n; u++)
        z[u] += bias[ids[u]] + FN(hsum)(sums[u]);
}

/* z[e] += bias[ids[e]] + x . V[ids[e], :n_hidden]; rows of V are v_stride apart */
LEAF void FN(add_dots)(const int32_t *ids, ptrdiff_t n, const REAL *x, const REAL *V_, ptrdiff_t v_stride,
                       ptrdiff_t n_hidden, const REAL *bias, REAL *z)
{
    ptrdiff_t e = 0;
    for (; e + FN(DOTS) <= n; e += FN(DOTS)) {
        for (ptrdiff_t next = e + FN(DOTS); next < e + 2 * FN(DOTS) && next < n; next++) {
            const char *row = (const char *)(V_ + ids[next] * v_stride);
            for (ptrdiff_t byte = 0; byte < n_hidden * (ptrdiff_t)sizeof(REAL); byte += 64)
                __builtin_prefetch(row + byte);
            __builtin_prefetch(bias + ids[next]);
        }
        FN(add_some_dots)(ids + e, FN(DOTS), x, V_, v_stride, n_hidden, bias, z + e);
    }
    for (; e < n; e++)
        FN(add_some_dots)(ids + e, 1, x, V_, v_stride, n_hidden, bias, z + e);
}
