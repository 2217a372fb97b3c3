/* Leaf loops over CSR batches and blocks of parameters.
 * Included once per (instruction set, real type), after vec.h; plain loops where the compiler vectorises them well. */

static void FN(gather_block)(const Block *block, ptrdiff_t n_rows, ptrdiff_t n_cols, REAL *restrict out)
{
    const ptrdiff_t col_stride = block->col_stride;
    const int64_t *col_ids = block->col_ids;
    for (ptrdiff_t i = 0; i < n_rows; i++, out += n_cols) {
        const REAL *row = (const REAL *)block->data + (block->row_ids ? block->row_ids[i] : i) * block->row_stride;
        if (col_ids)
            for (ptrdiff_t j = 0; j < n_cols; j++)
                out[j] = row[col_ids[j] * col_stride];
        else if (col_stride == 1)
            memcpy(out, row, n_cols * sizeof(REAL));
        else
            for (ptrdiff_t j = 0; j < n_cols; j++)
                out[j] = row[j * col_stride];
    }
}

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

static void FN(spmm)(const ptrdiff_t *indptr, const int32_t *indices, const REAL *data, ptrdiff_t n_rows,
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
    FN(spmm_columns)(row_indices, row_data, n_entries, dense + j, dense_stride, ids, out + i * out_stride + j, accumulate, n_vecs, n_part)
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

INLINE double FN(mean_square)(const REAL *x, ptrdiff_t n)
{
    V sum0 = FN(splat)(0), sum1 = sum0;
    ptrdiff_t j = 0;
    for (; j + 2 * LANES <= n; j += 2 * LANES) {
        V a = FN(load)(x + j), b = FN(load)(x + j + LANES);
        sum0 += a * a;
        sum1 += b * b;
    }
    double rest = 0;
    for (; j < n; j++)
        rest += (double)x[j] * x[j];
    return (FN(hsum)(sum0 + sum1) + rest) / n;
}

/* One element of the rules that need no other: `state` is the element's own. */
INLINE REAL FN(updated)(int kind, REAL w, REAL g, REAL *state, REAL learning_rate, REAL epsilon)
{
    if (kind == RULE_ADD)
        return w + g;
    if (kind == RULE_SGD)
        return w - learning_rate * g;
    REAL square = *state + g * g;
    *state = square;
#ifdef REAL_IS_DOUBLE
    return w - learning_rate * g / (sqrt(square) + epsilon);
#else
    return w - learning_rate * g / (sqrtf(square) + epsilon);
#endif
}

/* `kind` is a constant at each call, so that every loop here is one without a branch. */
INLINE void FN(update_row)(const int kind, REAL *row, ptrdiff_t col_stride, const int64_t *col_ids, ptrdiff_t n_cols,
                           const REAL *restrict grad, REAL *state, REAL learning_rate, REAL epsilon)
{
    if (col_stride == 1 && !col_ids) {
        REAL *restrict w = row, *restrict s = state;
        for (ptrdiff_t j = 0; j < n_cols; j++)
            w[j] = FN(updated)(kind, w[j], grad[j], s + j, learning_rate, epsilon);
        return;
    }
    for (ptrdiff_t j = 0; j < n_cols; j++) {
        ptrdiff_t at = (col_ids ? col_ids[j] : j) * col_stride;
        row[at] = FN(updated)(kind, row[at], grad[j], state + at, learning_rate, epsilon);
    }
}

static void FN(update_block)(const Rule *rule, const Block *block, ptrdiff_t n_rows, ptrdiff_t n_cols, REAL *grad,
                             ptrdiff_t grad_stride, REAL *state)
{
    const REAL epsilon = (REAL)rule->epsilon, alpha = (REAL)rule->alpha;
    for (ptrdiff_t i = 0; i < n_rows; i++, grad += grad_stride) {
        ptrdiff_t id = block->row_ids ? block->row_ids[i] : i;
        REAL *row = (REAL *)block->data + id * block->row_stride;
        REAL *row_state = state ? state + id * block->row_stride : row;
        REAL learning_rate = (REAL)rule->learning_rate;
        if (alpha != 0)
            for (ptrdiff_t j = 0; j < n_cols; j++)
                grad[j] += alpha * row[(block->col_ids ? block->col_ids[j] : j) * block->col_stride];
#define ROW(kind)                                                                                                     \
    FN(update_row)(kind, row, block->col_stride, block->col_ids, n_cols, grad, row_state, learning_rate, epsilon)
        if (rule->kind == RULE_ADAGRAD && rule->state_per_row) {
            state[id] += (REAL)FN(mean_square)(grad, n_cols);
            learning_rate = (REAL)(rule->learning_rate / (sqrt((double)state[id]) + rule->epsilon));
            row_state = row; /* SGD with the row's own rate: no state of elements */
            ROW(RULE_SGD);
        } else if (rule->kind == RULE_ADAGRAD) {
            ROW(RULE_ADAGRAD);
        } else if (rule->kind == RULE_SGD) {
            ROW(RULE_SGD);
        } else {
            ROW(RULE_ADD);
        }
#undef ROW
    }
}

static void FN(sum_parts)(REAL *parts, ptrdiff_t n_parts, ptrdiff_t part_stride, ptrdiff_t n)
{
    for (ptrdiff_t p = 1; p < n_parts; p++)
        for (ptrdiff_t i = 0; i < n; i++)
            parts[i] += parts[p * part_stride + i];
}
