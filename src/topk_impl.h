/* The k largest of each row: a heap of k per row, worst at the root. Included once per (instruction set, real type).
 * Order: larger value first, then smaller id; so the answer does not depend on how the classes were split. */

INLINE int FN(heap_worse)(REAL value_a, int64_t id_a, REAL value_b, int64_t id_b)
{
    return value_a < value_b || (value_a == value_b && id_a > id_b);
}

INLINE void FN(heap_place)(REAL *values, int64_t *ids, ptrdiff_t k, ptrdiff_t hole, REAL value, int64_t id)
{
    for (ptrdiff_t child; (child = 2 * hole + 1) < k; hole = child) {
        if (child + 1 < k && FN(heap_worse)(values[child + 1], ids[child + 1], values[child], ids[child]))
            child++;
        if (!FN(heap_worse)(values[child], ids[child], value, id))
            break;
        values[hole] = values[child];
        ids[hole] = ids[child];
    }
    values[hole] = value;
    ids[hole] = id;
}

INLINE void FN(heap_offer)(REAL *values, int64_t *ids, ptrdiff_t k, REAL value, int64_t id)
{
    if (FN(heap_worse)(values[0], ids[0], value, id))
        FN(heap_place)(values, ids, k, 0, value, id);
}

INLINE int FN(any)(VI mask)
{
#if defined(ISA_AVX512)
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(ISA_AVX2)
    return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
    REAL_INT any = 0;
    for (ptrdiff_t l = 0; l < LANES; l++)
        any |= mask[l];
    return any != 0;
#endif
}

/* What a logit must exceed to get into the heap: its worst, or a NaN (which nothing is below) while places are empty. */
INLINE REAL FN(heap_bar)(const REAL *values, const int64_t *ids) { return ids[0] == INT64_MAX ? NAN : values[0]; }

/* One vector of rows: z(c, l) for c < n_classes, `width` reals apart, against the heaps of n_lanes rows. */
INLINE void FN(topk_lanes)(const REAL *z, ptrdiff_t width, ptrdiff_t n_classes, ptrdiff_t n_lanes, int64_t first_id,
                           ptrdiff_t k, REAL *values, int64_t *ids)
{
    REAL bar_lane[VBYTES / sizeof(REAL)];
    for (ptrdiff_t l = 0; l < LANES; l++)
        bar_lane[l] = l < n_lanes ? FN(heap_bar)(values + l * k, ids + l * k) : INFINITY;
    V bar = FN(load)(bar_lane);
    for (ptrdiff_t c = 0; c < n_classes; c++) {
        VI above = ~(VI)(FN(load)(z + c * width) <= bar);
        if (__builtin_expect(!FN(any)(above), 1))
            continue;
        for (ptrdiff_t l = 0; l < n_lanes; l++)
            if (above[l]) {
                FN(heap_offer)(values + l * k, ids + l * k, k, z[c * width + l], first_id + c);
                bar_lane[l] = FN(heap_bar)(values + l * k, ids + l * k);
            }
        bar = FN(load)(bar_lane);
    }
}

/* Offers z(c, i), whose id is first_id + c, to the heap of row i, (n_rows, k), with classes in ascending order: of equal
 * logits the first stays. Empty places hold (-inf, INT64_MAX), worse than all. */
static void FN(topk_panels)(const Panels *z, ptrdiff_t n_classes, ptrdiff_t n_rows, int64_t first_id, ptrdiff_t k,
                            REAL *values, int64_t *ids)
{
    for (ptrdiff_t i = 0; i < n_rows; i += LANES) {
        const REAL *lanes = (const REAL *)z->data + i / z->width * z->stride + i % z->width;
        FN(topk_lanes)(lanes, z->width, n_classes, n_rows - i < LANES ? n_rows - i : LANES, first_id, k, values + i * k,
                       ids + i * k);
    }
}

/* Merges the heaps of all parts, each (n_rows, k), into that of the first part, and sorts it: best first. */
static void FN(topk_merge)(REAL *values, int64_t *ids, ptrdiff_t n_parts, ptrdiff_t part_stride, ptrdiff_t k)
{
    for (ptrdiff_t p = 1; p < n_parts; p++)
        for (ptrdiff_t j = 0; j < k; j++)
            FN(heap_offer)(values, ids, k, values[p * part_stride + j], ids[p * part_stride + j]);
    for (ptrdiff_t last = k - 1; last > 0; last--) {
        REAL value = values[last];
        int64_t id = ids[last];
        values[last] = values[0];
        ids[last] = ids[0];
        FN(heap_place)(values, ids, last, 0, value, id);
    }
}
