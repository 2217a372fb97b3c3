/* Weights kept in 16 or 8 bits, for prediction: they are widened to REAL where they are used, in registers or a few rows at
 * a time in the nearest cache. It is included for each (instruction set, real type), after tiles/gemm.h and csr/strips.h.
 *
 * All three types widen exactly. bfloat16 is the upper half of a float. float16 has its exponent and fraction in the lower
 * 15 bits: moved up by 13 they are a float 2^112 too small, subnormal or not. int8 has one scale a row of the matrix.
 */

INLINE float FN(one_float)(const int kind, const void *data, ptrdiff_t at)
{
    uint32_t bits, sign = 0;
    float x;
    if (kind == COMPACT_INT8)
        return ((const int8_t *)data)[at];
    bits = ((const uint16_t *)data)[at];
    if (kind == COMPACT_BFLOAT16) {
        bits <<= 16;
    } else {
        sign = (bits & 0x8000) << 16;
        bits = (bits & 0x7fff) << 13;
    }
    memcpy(&x, &bits, sizeof x);
    if (kind == COMPACT_FLOAT16)
        x *= 0x1p112f;
    memcpy(&bits, &x, sizeof x);
    bits |= sign;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The same, and of COMPACT_NONE, reals as they are. */
INLINE REAL FN(one_real)(const int kind, const void *data, ptrdiff_t at)
{
    return kind == COMPACT_NONE ? ((const REAL *)data)[at] : (REAL)FN(one_float)(kind, data, at);
}

/* One vector of elements from `at` on. `kind` is a constant at each call, here and below. */
INLINE V FN(widened)(const int kind, const void *data, ptrdiff_t at)
{
    if (kind == COMPACT_NONE)
        return FN(load)((const REAL *)data + at);
#if !defined(REAL_IS_DOUBLE) && defined(ISA_AVX512)
    if (kind == COMPACT_INT8)
        return (V)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)((const int8_t *)data + at))));
    const __m256i half = _mm256_loadu_si256((const void *)((const uint16_t *)data + at));
    return kind == COMPACT_FLOAT16 ? (V)_mm512_cvtph_ps(half) : (V)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
#elif !defined(REAL_IS_DOUBLE) && defined(ISA_AVX2)
    if (kind == COMPACT_INT8)
        return (V)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)((const int8_t *)data + at))));
    const __m128i half = _mm_loadu_si128((const void *)((const uint16_t *)data + at));
    return kind == COMPACT_FLOAT16 ? (V)_mm256_cvtph_ps(half) : (V)_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16);
#elif !defined(REAL_IS_DOUBLE) && defined(X86) && defined(__SSE2__)
    const __m128i zero = _mm_setzero_si128();
    if (kind == COMPACT_INT8) {
        int32_t four;
        memcpy(&four, (const int8_t *)data + at, sizeof four);
        const __m128i wide = _mm_unpacklo_epi16(zero, _mm_unpacklo_epi8(zero, _mm_cvtsi32_si128(four)));
        return (V)_mm_cvtepi32_ps(_mm_srai_epi32(wide, 24));
    }
    const __m128i half = _mm_loadl_epi64((const void *)((const uint16_t *)data + at));
    if (kind == COMPACT_BFLOAT16)
        return (V)_mm_unpacklo_epi16(zero, half);
    const VI wide = (VI)_mm_unpacklo_epi16(half, zero);
    const V size = (V)((wide & 0x7fff) << 13) * 0x1p112f;
    return (V)((VI)size | (wide & 0x8000) << 16);
#else
    REAL lane[VBYTES / sizeof(REAL)];
    for (ptrdiff_t l = 0; l < LANES; l++)
        lane[l] = FN(one_float)(kind, data, at + l);
    return FN(load)(lane);
#endif
}

INLINE REAL FN(compact_scale)(const Compact *a, ptrdiff_t row) { return a->scale ? ((const REAL *)a->scale)[row] : 1; }

/* out[0:n] <- scale * data[at : at + n] */
INLINE void FN(widen_row)(const int kind, const void *data, ptrdiff_t at, ptrdiff_t n, REAL scale, REAL *out)
{
    const V factor = FN(splat)(scale);
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        V x = FN(widened)(kind, data, at + j);
        if (kind == COMPACT_INT8)
            x *= factor;
        FN(store)(out + j, x);
    }
    for (; j < n; j++)
        out[j] = FN(one_float)(kind, data, at + j) * scale;
}

/* CALL(kind) with a constant, so that no loop in it has a branch on the kind */
#define FOR_KIND(kind, CALL)                                                                                          \
    switch (kind) {                                                                                                   \
    case COMPACT_FLOAT16:                                                                                             \
        CALL(COMPACT_FLOAT16);                                                                                        \
        break;                                                                                                        \
    case COMPACT_BFLOAT16:                                                                                            \
        CALL(COMPACT_BFLOAT16);                                                                                       \
        break;                                                                                                        \
    default:                                                                                                          \
        CALL(COMPACT_INT8);                                                                                           \
    }

enum {
    FN(DOT_ROWS) = 4,    /* batches of up to so many rows are dot products: no lane of a panel is wasted */
    FN(DOT_CLASSES) = 8, /* at a time: as many independent sums as two multiply-add units need, and as hsum8 takes */
    FN(GROUP_BYTES) = 16 << 10, /* of widened rows at a time: half of a first-level cache */
};

/* out[c] <- scale of row c * (row c of a) . x, of n_c <= DOT_CLASSES rows from `row` on. Equal rows have equal products to the
 * bit, however many there are: their lanes are added up by the same tree. */
INLINE void FN(compact_dots)(const int kind, const ptrdiff_t n_c, const Compact *a, ptrdiff_t row, ptrdiff_t n_k,
                             const REAL *x, REAL *out)
{
    const ptrdiff_t at = row * a->row_stride, stride = a->row_stride;
    V sum[FN(DOT_CLASSES)];
    ptrdiff_t k = 0;
    for (ptrdiff_t c = 0; c < n_c; c++)
        sum[c] = FN(splat)(0);
    for (; k + LANES <= n_k; k += LANES) {
        const V h = FN(load)(x + k);
        for (ptrdiff_t c = 0; c < n_c; c++)
            sum[c] += h * FN(widened)(kind, a->data, at + c * stride + k);
    }
    if (n_c == FN(DOT_CLASSES))
        FN(hsum8)(sum, out);
    else {
        REAL all[FN(DOT_CLASSES)];
        for (ptrdiff_t c = n_c; c < FN(DOT_CLASSES); c++)
            sum[c] = FN(splat)(0);
        FN(hsum8)(sum, all);
        memcpy(out, all, n_c * sizeof(REAL));
    }
    for (ptrdiff_t c = 0; c < n_c && k < n_k; c++)
        for (ptrdiff_t j = k; j < n_k; j++)
            out[c] += x[j] * FN(one_real)(kind, a->data, at + c * stride + j);
    for (ptrdiff_t c = 0; c < n_c && kind == COMPACT_INT8; c++)
        out[c] *= FN(compact_scale)(a, row + c);
}

/* out[c * class_stride + i * row_stride] <- init[c] + a(first + c) . x[i] for n_rows rows x, (n_rows, n_k); init may be NULL */
INLINE void FN(few_dots)(const int kind, const Compact *a, ptrdiff_t first, ptrdiff_t n_classes, ptrdiff_t n_k,
                         const REAL *x, ptrdiff_t n_rows, const REAL *init, REAL *out, ptrdiff_t class_stride,
                         ptrdiff_t row_stride)
{
    REAL dots[FN(DOT_CLASSES)];
    for (ptrdiff_t c = 0; c < n_classes; c += FN(DOT_CLASSES)) {
        const ptrdiff_t n = n_classes - c < FN(DOT_CLASSES) ? n_classes - c : FN(DOT_CLASSES);
        for (ptrdiff_t i = 0; i < n_rows; i++) {
            if (n == FN(DOT_CLASSES))
                FN(compact_dots)(kind, FN(DOT_CLASSES), a, first + c, n_k, x + i * n_k, dots);
            else
                for (ptrdiff_t j = 0; j < n; j++)
                    FN(compact_dots)(kind, 1, a, first + c + j, n_k, x + i * n_k, dots + j);
            for (ptrdiff_t j = 0; j < n; j++)
                out[(c + j) * class_stride + i * row_stride] = dots[j] + (init ? init[c + j] : 0);
        }
    }
}

/* out[i * out_stride + c] <- init[c] + a(first + c) . x[i] for c < n_classes and the rows x, (n_rows, n_k); init may be NULL.
 * `a` may also be of reals: COMPACT_NONE. */
LEAF void FN(few_logits)(const Compact *a, ptrdiff_t first, ptrdiff_t n_classes, ptrdiff_t n_k, const REAL *x,
                         ptrdiff_t n_rows, const REAL *init, REAL *out, ptrdiff_t out_stride)
{
#define FEW(kind) FN(few_dots)(kind, a, first, n_classes, n_k, x, n_rows, init, out, 1, out_stride)
    if (a->kind == COMPACT_NONE)
        FEW(COMPACT_NONE);
    else
        FOR_KIND(a->kind, FEW)
#undef FEW
}

/* The same of any number of rows, in panels b: a group of rows of `a` is widened, then multiplied. */
INLINE void FN(compact_many)(const int kind, const Compact *a, ptrdiff_t first, ptrdiff_t n_classes, ptrdiff_t n_k,
                             const Panels *b, const REAL *init, const Panels *z, ptrdiff_t group, REAL *scratch)
{
    const Factor rows = {scratch, n_k, 1, n_k, 0};
    Panels out = *z;
    for (ptrdiff_t c = 0; c < n_classes; c += group) {
        const ptrdiff_t n = n_classes - c < group ? n_classes - c : group;
        for (ptrdiff_t j = 0; j < n; j++)
            FN(widen_row)(kind, a->data, (first + c + j) * a->row_stride, n_k, FN(compact_scale)(a, first + c + j),
                          scratch + j * n_k);
        out.data = (REAL *)z->data + c * z->width;
        FN(multiply)(&rows, n, n_k, b, init ? init + c : init, &out, z->width, 0);
    }
}

/* reals of scratch that compact_logits needs */
LEAF ptrdiff_t FN(compact_scratch)(ptrdiff_t n_k)
{
    const ptrdiff_t fitting = FN(GROUP_BYTES) / (ptrdiff_t)sizeof(REAL) / n_k / FN(ROWS) * FN(ROWS);
    return (fitting < FN(ROWS) ? FN(ROWS) : fitting) * n_k; /* and no less than DOT_ROWS rows */
}

/* z(c, i) <- init[c] + a(first + c) . b(i) for c < n_classes and n_rows rows in panels; init may be NULL */
LEAF void FN(compact_logits)(const Compact *a, ptrdiff_t first, ptrdiff_t n_classes, ptrdiff_t n_k, const Panels *b,
                             ptrdiff_t n_rows, const REAL *init, const Panels *z, REAL *scratch)
{
    if (n_rows == 0)
        return;
    if (n_rows <= FN(DOT_ROWS)) {
        FN(unpack_panels)(b, n_rows, n_k, scratch, n_k);
        memset((REAL *)z->data, 0, n_classes * z->width * sizeof(REAL)); /* the lanes beyond the rows */
#define FEW(kind) FN(few_dots)(kind, a, first, n_classes, n_k, scratch, n_rows, init, (REAL *)z->data, z->width, 1)
        FOR_KIND(a->kind, FEW)
#undef FEW
        return;
    }
    const ptrdiff_t group = FN(compact_scratch)(n_k) / n_k;
#define MANY(kind) FN(compact_many)(kind, a, first, n_classes, n_k, b, init, z, group, scratch)
    FOR_KIND(a->kind, MANY)
#undef MANY
}

/* One row of compact_spmm, `n_vecs` vectors from column j on: the sums stay in registers over all entries. */
INLINE void FN(compact_columns)(const int kind, const int n_vecs, const int32_t *indices, const REAL *data,
                                ptrdiff_t n_entries, const Compact *a, const int64_t *ids, ptrdiff_t j, REAL *out)
{
    V sum[8];
    for (int v = 0; v < n_vecs; v++)
        sum[v] = FN(splat)(0);
    for (ptrdiff_t e = 0; e < n_entries; e++) {
        const ptrdiff_t row = ids ? ids[indices[e]] : indices[e], at = row * a->row_stride + j;
        const V x = FN(splat)(kind == COMPACT_INT8 ? data[e] * FN(compact_scale)(a, row) : data[e]);
        for (int v = 0; v < n_vecs; v++)
            sum[v] += x * FN(widened)(kind, a->data, at + v * LANES);
    }
    for (int v = 0; v < n_vecs; v++)
        FN(store)(out + j + v * LANES, sum[v]);
}

INLINE void FN(compact_row)(const int kind, const int32_t *indices, const REAL *data, ptrdiff_t n_entries,
                            const Compact *a, const int64_t *ids, ptrdiff_t n_cols, REAL *out)
{
    ptrdiff_t j = 0;
    for (; j + 8 * LANES <= n_cols; j += 8 * LANES)
        FN(compact_columns)(kind, 8, indices, data, n_entries, a, ids, j, out);
    for (; j + 2 * LANES <= n_cols; j += 2 * LANES)
        FN(compact_columns)(kind, 2, indices, data, n_entries, a, ids, j, out);
    for (; j + LANES <= n_cols; j += LANES)
        FN(compact_columns)(kind, 1, indices, data, n_entries, a, ids, j, out);
    for (; j < n_cols; j++) {
        out[j] = 0;
        for (ptrdiff_t e = 0; e < n_entries; e++) {
            const ptrdiff_t row = ids ? ids[indices[e]] : indices[e];
            const REAL x = kind == COMPACT_INT8 ? data[e] * FN(compact_scale)(a, row) : data[e];
            out[j] += x * FN(one_float)(kind, a->data, row * a->row_stride + j);
        }
    }
}

/* as spmm, of a compact matrix */
LEAF void FN(compact_spmm)(const ptrdiff_t *indptr, const int32_t *indices, const REAL *data, ptrdiff_t n_rows,
                           const Compact *a, const int64_t *ids, ptrdiff_t n_cols, REAL *out, ptrdiff_t out_stride)
{
    for (ptrdiff_t i = 0; i < n_rows; i++) {
#define ROW(kind)                                                                                                     \
    FN(compact_row)(kind, indices + indptr[i], data + indptr[i], indptr[i + 1] - indptr[i], a, ids, n_cols,           \
                    out + i * out_stride)
        FOR_KIND(a->kind, ROW)
#undef ROW
    }
}

INLINE void FN(compact_strip_rows)(const int kind, const Compact *a, const int64_t *row_ids, ptrdiff_t start,
                                   ptrdiff_t n_rows, ptrdiff_t n_cols, REAL *out)
{
    enum { AHEAD = 16 }; /* as pack_strip */
    const ptrdiff_t itemsize = kind == COMPACT_INT8 ? 1 : 2;
    for (ptrdiff_t i = 0; i < n_rows; i++, out += FN(STRIP)) {
        if (i + AHEAD < n_rows) {
            const char *next = (const char *)a->data + (row_ids[i + AHEAD] * a->row_stride + start) * itemsize;
            __builtin_prefetch(next);
            __builtin_prefetch(next + n_cols * itemsize - 1);
        }
        FN(widen_row)(kind, a->data, row_ids[i] * a->row_stride + start, n_cols, FN(compact_scale)(a, row_ids[i]), out);
        for (ptrdiff_t j = n_cols; j < FN(STRIP); j++)
            out[j] = 0;
    }
}

/* as pack_strip, of a compact matrix */
LEAF void FN(compact_strip)(const Compact *a, const int64_t *row_ids, ptrdiff_t start, ptrdiff_t n_rows, ptrdiff_t n_cols,
                            REAL *out)
{
#define STRIP_ROWS(kind) FN(compact_strip_rows)(kind, a, row_ids, start, n_rows, n_cols, out)
    FOR_KIND(a->kind, STRIP_ROWS)
#undef STRIP_ROWS
}
