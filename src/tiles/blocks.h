/* Blocks of parameters, and partial sums. It is included for each (instruction set, real type); these are plain loops, which
 * the compiler vectorises well. */

/* out[i, j] <- block[i, j] for i < n_rows, j < n_cols; out is C contiguous */
LEAF void FN(gather_block)(const Block *block, ptrdiff_t n_rows, ptrdiff_t n_cols, REAL *restrict out)
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

/* parts[0:n] <- the sum over parts p, in order, of parts[p * part_stride + (0:n)] */
LEAF void FN(sum_parts)(REAL *parts, ptrdiff_t n_parts, ptrdiff_t part_stride, ptrdiff_t n)
{
    for (ptrdiff_t p = 1; p < n_parts; p++)
        for (ptrdiff_t i = 0; i < n; i++)
            parts[i] += parts[p * part_stride + i];
}
