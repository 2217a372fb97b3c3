/* A CSR matrix times a dense one. It is included for each (instruction set, real type). */

/* One row of spmm for `n_vecs` vectors (and a part of one more): the sums stay in registers over all entries. */
INLINE void FN(spmm_columns)(const int32_t *indices, const REAL *data, ptrdiff_t n_entries, const REAL *dense,
                             ptrdiff_t dense_stride, const int64_t *ids, REAL *out, int accumulate, const int n_vecs,
                             ptrdiff_t n_part)
{
    V sum[8], part = FN(splat)(0);
    for (int v = 0; v < n_vecs; v++)
        sum[v] = accumulate ? FN(load)(out + v * LANES) : FN(splat)(0);
    if (n_part && accumulate)
        part = FN(load_part)(out + n_vecs * LANES, n_part, 0);
    for (ptrdiff_t e = 0; e < n_entries; e++) {
        const REAL *row = dense + (ids ? ids[indices[e]] : indices[e]) * dense_stride;
        V x = FN(splat)(data[e]);
        for (int v = 0; v < n_vecs; v++)
            sum[v] += x * FN(load)(row + v * LANES);
        if (n_part)
            part += x * FN(load_part)(row + n_vecs * LANES, n_part, 0);
    }
    for (int v = 0; v < n_vecs; v++)
        FN(store)(out + v * LANES, sum[v]);
    if (n_part)
        FN(store_part)(out + n_vecs * LANES, n_part, part);
}

/* out[i, :] (+)= sum over entries e of row i of data[e] * dense[row(e), :], row(e) = ids ? ids[indices[e]] : indices[e] */
LEAF void FN(spmm)(const ptrdiff_t *indptr, const int32_t *indices, const REAL *data, ptrdiff_t n_rows,
                   const REAL *dense, ptrdiff_t dense_stride, const int64_t *ids, ptrdiff_t n_cols, REAL *out,
                   ptrdiff_t out_stride, int accumulate)
{
    for (ptrdiff_t i = 0; i < n_rows; i++) {
        const int32_t *row_indices = indices + indptr[i];
        const REAL *row_data = data + indptr[i];
        ptrdiff_t n_entries = indptr[i + 1] - indptr[i], j = 0;
        if (accumulate && !n_entries)
            continue;
#define COLUMNS(n_vecs, n_part)                                                                                       \
    FN(spmm_columns)(row_indices, row_data, n_entries, dense + j, dense_stride, ids, out + i * out_stride + j,        \
                     accumulate, n_vecs, n_part)
        for (; j + 8 * LANES <= n_cols; j += 8 * LANES)
            COLUMNS(8, 0);
        for (; j + 4 * LANES <= n_cols; j += 4 * LANES)
            COLUMNS(4, 0);
        for (; j + LANES <= n_cols; j += LANES)
            COLUMNS(1, 0);
        if (j < n_cols)
            COLUMNS(0, n_cols - j);
#undef COLUMNS
    }
}

enum { FN(ENTRIES_AHEAD) = 8 };

/* out[rows[e], :] += values[e] * dense[row(e), :] for each entry e in turn, row(e) = ids ? ids[cols[e]] : cols[e]. It suits
 * entries in any order whose rows of `out` stay in a cache: each loads and stores its own. */
LEAF void FN(add_entries)(ptrdiff_t n_entries, const int32_t *rows, const int32_t *cols, const REAL *values,
                          const REAL *dense, ptrdiff_t dense_stride, const int64_t *ids, ptrdiff_t n_cols, REAL *out,
                          ptrdiff_t out_stride)
{
    for (ptrdiff_t e = 0; e < n_entries; e++) {
        if (e + FN(ENTRIES_AHEAD) < n_entries) {
            const int32_t col = cols[e + FN(ENTRIES_AHEAD)];
            const char *next = (const char *)(dense + (ids ? ids[col] : col) * dense_stride);
            for (ptrdiff_t b = 0; b < n_cols * (ptrdiff_t)sizeof(REAL); b += 64)
                __builtin_prefetch(next + b);
        }
        const REAL *from = dense + (ids ? ids[cols[e]] : cols[e]) * dense_stride;
        REAL *to = out + rows[e] * out_stride;
        const V x = FN(splat)(values[e]);
        ptrdiff_t j = 0;
        for (; j + 4 * LANES <= n_cols; j += 4 * LANES)
            for (int v = 0; v < 4; v++)
                FN(store)(to + j + v * LANES, FN(load)(to + j + v * LANES) + x * FN(load)(from + j + v * LANES));
        for (; j + LANES <= n_cols; j += LANES)
            FN(store)(to + j, FN(load)(to + j) + x * FN(load)(from + j));
        if (j < n_cols)
            FN(store_part)(to + j, n_cols - j, FN(load_part)(to + j, n_cols - j, 0) + x * FN(load_part)(from + j, n_cols - j, 0));
    }
}
