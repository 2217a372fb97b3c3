/* The matrix products of linear softmax models, without BLAS. It is included for each (instruction set, real
 * type).
 *
 * One side of every product (rows of the batch, or features) lies in *panels*: n_v vectors wide, one after the other, so
 * that a step of the inner loop reads n_v adjacent vectors. The other side is read where it is, element by element, and
 * broadcast. ROWS x n_v vectors of sums stay in registers. BLAS packs both sides in every call, that is for every tile
 * of classes; here the batch is packed once, and the tiles of weights and of logits never are.
 */

enum {
#ifdef ISA_AVX512
    FN(ROWS) = 12, /* of 32 registers, 24 hold sums */
#else
    FN(ROWS) = 6, /* of 16 registers, 12 hold sums */
#endif
};

/* c[r, :] (+)= sum_k a(r, k) b[k, :] + bias[r] for r < n_rows; b and c are n_v vectors wide. The bias comes last: with a large
 * one, a sum that began with it would be rounded to its size at every step. */
INLINE void FN(multiply_rows)(const int n_rows, const int n_v, const int adjacent, const Factor *a, ptrdiff_t n_k,
                              const REAL *b, const REAL *bias, REAL *c, ptrdiff_t c_stride, int add)
{
    const REAL *at = (const REAL *)a->data;
    const ptrdiff_t row_stride = adjacent ? 1 : a->row_stride, k_stride = adjacent ? a->k_stride : 1;
    V sum[FN(ROWS)][2];
#pragma GCC unroll 12
    for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_v; v++)
            sum[r][v] = FN(splat)(0);
    for (ptrdiff_t left = n_k; left > 0; left -= a->k_block, at += a->block_stride) {
        const REAL *in_block = at;
        for (ptrdiff_t k = left < a->k_block ? left : a->k_block; k > 0; k--, in_block += k_stride, b += n_v * LANES) {
            V b0 = FN(load)(b), b1 = n_v == 2 ? FN(load)(b + LANES) : b0;
#pragma GCC unroll 12
            for (int r = 0; r < n_rows; r++) {
                V x = FN(splat)(in_block[r * row_stride]);
                sum[r][0] += x * b0;
                if (n_v == 2)
                    sum[r][1] += x * b1;
            }
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_v; v++) {
            REAL *out = c + r * c_stride + v * LANES;
            if (bias)
                sum[r][v] += FN(splat)(bias[r]);
            if (add)
                sum[r][v] += FN(load)(out);
            FN(store)(out, sum[r][v]);
        }
}

INLINE void FN(multiply_panel)(const int n_v, const int adjacent, Factor a, ptrdiff_t n_rows, ptrdiff_t n_k,
                               const REAL *b, const REAL *bias, REAL *c, ptrdiff_t c_stride, int add)
{
    ptrdiff_t r = 0;
#define BLOCK_OF(n)                                                                                                   \
    for (; r + (n) <= n_rows; r += (n)) {                                                                             \
        FN(multiply_rows)(n, n_v, adjacent, &a, n_k, b, bias ? bias + r : bias, c + r * c_stride, c_stride, add);     \
        a.data = (const REAL *)a.data + (n) * a.row_stride;                                                           \
    }
    BLOCK_OF(FN(ROWS))
    BLOCK_OF(4)
    BLOCK_OF(2)
    BLOCK_OF(1)
#undef BLOCK_OF
}

/* c[p][r, :] (+)= sum_k a(r, k) b[p][k, :] + bias[r] for r < n_rows and all panels p; bias may be NULL */
LEAF void FN(multiply)(const Factor *a, ptrdiff_t n_rows, ptrdiff_t n_k, const Panels *b, const REAL *bias, const Panels *c,
                       ptrdiff_t c_row_stride, int add)
{
    const int n_v = b->width == LANES ? 1 : 2, adjacent = a->row_stride == 1 && a->k_stride != 1;
    const REAL *b_panel = (const REAL *)b->data;
    REAL *c_panel = (REAL *)c->data;
    for (ptrdiff_t p = 0; p < b->n_panels; p++, b_panel += b->stride, c_panel += c->stride) {
#define PANEL(n_v, adjacent)                                                                                          \
    FN(multiply_panel)(n_v, adjacent, *a, n_rows, n_k, b_panel, bias, c_panel, c_row_stride, add)
        if (n_v == 1 && adjacent)
            PANEL(1, 1);
        else if (n_v == 1)
            PANEL(1, 0);
        else if (adjacent)
            PANEL(2, 1);
        else
            PANEL(2, 0);
#undef PANEL
    }
}
