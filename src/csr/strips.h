/* Products of CSR rows and weights (features, classes), a strip of STRIP_BYTES of classes at a time.
 * It is included for each (instruction set, real type), after rules/update.h.
 *
 * A batch numbers its features by falling frequency: the strip's packed weights are read over and over, and those of the
 * features that occur most lie side by side in the nearest cache. A wider strip pushes them out (256 bytes take 1.5 times
 * as long a logit), a narrower one has too little work for each entry. What goes to memory goes there once a strip, in
 * pieces of a strip's width that no hardware prefetcher foresees: so they are asked for PREFETCH features ahead.
 * With 10,000 classes and 2.6 entries a feature, a step takes 1.4 times as long with 16 as with 64; 128 gains nothing. */
enum { FN(STRIP) = STRIP_BYTES / sizeof(REAL) };
#define STRIP_VECS (STRIP_BYTES / VBYTES)
#define ENTRIES (8 / STRIP_VECS) /* at a time: eight sums in registers */
#define PREFETCH 64
#define GRAD_FEATURES 16 /* whose gradient is on the stack */

/* `block` without its first `start` columns, and `state`, laid out as it, likewise. */
INLINE Block FN(columns_from)(Block block, ptrdiff_t start, REAL **state)
{
    if (block.col_ids) {
        block.col_ids += start;
        return block;
    }
    block.data = (REAL *)block.data + start * block.col_stride;
    if (*state)
        *state += start * block.col_stride;
    return block;
}

INLINE const REAL *FN(block_row)(const Block *block, ptrdiff_t i)
{
    return (const REAL *)block->data + (block->row_ids ? block->row_ids[i] : i) * block->row_stride;
}

INLINE void FN(prefetch_strip)(const REAL *p, ptrdiff_t n_cols, const int to_write)
{
    for (ptrdiff_t byte = 0; byte < n_cols * (ptrdiff_t)sizeof(REAL); byte += 64)
        __builtin_prefetch((const char *)p + byte, to_write);
    __builtin_prefetch(p + n_cols - 1, to_write); /* where it starts amid a cache line */
}

/* out (n_rows, STRIP) <- columns start to start + n_cols <= STRIP of weights; zeros beyond */
LEAF void FN(pack_strip)(const Block *weights, ptrdiff_t start, ptrdiff_t n_rows, ptrdiff_t n_cols, REAL *restrict out)
{
    REAL *no_state = NULL;
    const Block block = FN(columns_from)(*weights, start, &no_state);
    if (n_cols < FN(STRIP))
        memset(out, 0, n_rows * STRIP_BYTES);
    if (block.col_stride == 1 && !block.col_ids) {
        for (ptrdiff_t i = 0; i < n_rows; i++) {
            if (i + PREFETCH < n_rows)
                FN(prefetch_strip)(FN(block_row)(&block, i + PREFETCH), n_cols, 0);
            if (n_cols == FN(STRIP))
                memcpy(out + i * FN(STRIP), FN(block_row)(&block, i), STRIP_BYTES);
            else
                memcpy(out + i * FN(STRIP), FN(block_row)(&block, i), n_cols * sizeof(REAL));
        }
        return;
    }
    /* Class-major weights are read row by row, into as much of `out` as stays in cache. */
    const ptrdiff_t step = block.row_stride < block.col_stride ? 128 : 1;
    for (ptrdiff_t begin = 0; begin < n_rows; begin += step)
        for (ptrdiff_t j = 0; j < n_cols; j++) {
            const ptrdiff_t end = begin + step < n_rows ? begin + step : n_rows;
            const ptrdiff_t at = (block.col_ids ? block.col_ids[j] : j) * block.col_stride;
            for (ptrdiff_t i = begin; i < end; i++)
                out[i * FN(STRIP) + j] = FN(block_row)(&block, i)[at];
        }
}

/* sums <- sum over entries e of data[e] * dense[indices[e] * stride : + STRIP] */
INLINE void FN(strip_sums)(const int32_t *indices, const REAL *data, ptrdiff_t n_entries, const REAL *dense,
                           ptrdiff_t stride, V *sums)
{
    V s[ENTRIES][STRIP_VECS];
    ptrdiff_t e = 0;
    for (int u = 0; u < ENTRIES; u++)
        for (int v = 0; v < STRIP_VECS; v++)
            s[u][v] = FN(splat)(0);
    for (; e + ENTRIES <= n_entries; e += ENTRIES)
        for (int u = 0; u < ENTRIES; u++) {
            const REAL *row = dense + indices[e + u] * stride;
            V x = FN(splat)(data[e + u]);
            for (int v = 0; v < STRIP_VECS; v++)
                s[u][v] += x * FN(load)(row + v * LANES);
        }
    for (; e < n_entries; e++) {
        const REAL *row = dense + indices[e] * stride;
        V x = FN(splat)(data[e]);
        for (int v = 0; v < STRIP_VECS; v++)
            s[0][v] += x * FN(load)(row + v * LANES);
    }
    for (int v = 0; v < STRIP_VECS; v++) {
        sums[v] = s[0][v];
        for (int u = 1; u < ENTRIES; u++)
            sums[v] += s[u][v];
    }
}

/* z(c, i) += sum over entries e of row i of data[e] * packed[indices[e], c], for c < n_cols <= STRIP. A panel's worth of
 * rows is summed at a time, and added to z the other way round while the sums are in cache. */
LEAF void FN(csr_logits)(const ptrdiff_t *indptr, const int32_t *indices, const REAL *data, ptrdiff_t n_rows,
                         const REAL *packed, ptrdiff_t n_cols, const Panels *z)
{
    V sums[FN(PANEL_WIDTH)][STRIP_VECS];
    REAL *panel = (REAL *)z->data;
    for (ptrdiff_t i = 0; i < n_rows; i += z->width, indptr += z->width, panel += z->stride) {
        const ptrdiff_t n = n_rows - i < z->width ? n_rows - i : z->width;
        for (ptrdiff_t l = 0; l < n; l++)
            FN(strip_sums)(indices + indptr[l], data + indptr[l], indptr[l + 1] - indptr[l], packed, FN(STRIP), sums[l]);
        FN(transpose_into)((const REAL *)sums, FN(STRIP), n, n_cols, panel, z->width, 1);
    }
}

/* The step of `n_strips` whole strips of contiguous classes, from registers into the weights. A feature's strips lie side by
 * side: they are taken together. `kind` is a constant at each call. */
INLINE void FN(step_strips)(const int kind, const Rule *rule, const Block *weights, REAL *state, const ptrdiff_t *indptr,
                            const int32_t *rows, const REAL *data, ptrdiff_t n_features, const REAL *dz,
                            ptrdiff_t stride, ptrdiff_t n_strips)
{
    const REAL learning_rate = (REAL)rule->learning_rate, epsilon = (REAL)rule->epsilon, alpha = (REAL)rule->alpha;
    const ptrdiff_t ahead = n_strips < PREFETCH / 2 ? PREFETCH / n_strips : 2;
    for (ptrdiff_t f = 0; f < n_features; f++) {
        REAL *w = (REAL *)FN(block_row)(weights, f), *s = state ? state + (w - (REAL *)weights->data) : w;
        const REAL *next = f + ahead < n_features ? FN(block_row)(weights, f + ahead) : NULL;
        for (ptrdiff_t j = 0; j < n_strips * FN(STRIP); j += FN(STRIP)) {
            V sums[STRIP_VECS];
            if (next) {
                FN(prefetch_strip)(next + j, FN(STRIP), 1);
                if (RULE_HAS_STATE(kind))
                    FN(prefetch_strip)(state + (next - (REAL *)weights->data) + j, FN(STRIP), 1);
            }
            FN(strip_sums)(rows + indptr[f], data + indptr[f], indptr[f + 1] - indptr[f], dz + j, stride, sums);
            if (alpha != 0)
                for (int v = 0; v < STRIP_VECS; v++)
                    sums[v] += alpha * FN(load)(w + j + v * LANES);
            FN(update_row)(kind, w + j, 1, NULL, FN(STRIP), (const REAL *)sums, s + j, learning_rate, epsilon);
        }
    }
}

/* Columns start to start + n_cols of weights, and their state, take the rule's step with the gradient
 * [f, j] = sum over entries e of column f of data[e] * dz[rows[e], j]. stride: a multiple of STRIP, >= n_cols. */
LEAF void FN(csr_step)(const Rule *rule, const Block *weights, REAL *state, ptrdiff_t start, const ptrdiff_t *indptr,
                       const int32_t *rows, const REAL *data, ptrdiff_t n_features, const REAL *dz, ptrdiff_t stride,
                       ptrdiff_t n_cols)
{
    const ptrdiff_t n_strips = weights->col_stride == 1 && !weights->col_ids ? n_cols / FN(STRIP) : 0;
    REAL *block_state = state, grad[GRAD_FEATURES * FN(STRIP)];
    Block block = FN(columns_from)(*weights, start, &block_state);
#define STEP(kind) \
    FN(step_strips)(kind, rule, &block, block_state, indptr, rows, data, n_features, dz, stride, n_strips)
    if (n_strips)
        FOR_RULE(rule->kind, STEP)
#undef STEP
    /* a part of a strip, or any other layout */
    for (ptrdiff_t j = n_strips * FN(STRIP); j < n_cols; j += FN(STRIP)) {
        const ptrdiff_t width = n_cols - j < FN(STRIP) ? n_cols - j : FN(STRIP);
        block_state = state;
        block = FN(columns_from)(*weights, start + j, &block_state);
        for (ptrdiff_t begin = 0; begin < n_features; begin += GRAD_FEATURES) {
            const ptrdiff_t n = n_features - begin < GRAD_FEATURES ? n_features - begin : GRAD_FEATURES;
            for (ptrdiff_t f = 0; f < n; f++) {
                V sums[STRIP_VECS];
                const ptrdiff_t first = indptr[begin + f];
                FN(strip_sums)(rows + first, data + first, indptr[begin + f + 1] - first, dz + j, stride, sums);
                memcpy(grad + f * width, sums, width * sizeof(REAL));
            }
            FN(update_block)(rule, &block, n, width, grad, width, block_state);
            block.row_ids += n;
        }
    }
}
#undef STRIP_VECS
#undef ENTRIES
#undef PREFETCH
#undef GRAD_FEATURES
