/* The k largest of each row: a heap of k per row, with the worst at the root. It is included for each (instruction set, real
 * type). A larger value comes first, and of equal values the smaller id; so the answer does not depend on how the classes
 * were split. */

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

/* Whether class `id` is excluded for row i: a binary search, made only where the class would get into the heap. */
INLINE int FN(is_excluded)(const Excluded *excluded, ptrdiff_t i, int64_t id)
{
    ptrdiff_t low = excluded->indptr[i], high = excluded->indptr[i + 1];
    while (low < high) {
        const ptrdiff_t middle = low + (high - low) / 2;
        if (excluded->class_ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < excluded->indptr[i + 1] && excluded->class_ids[low] == id;
}

/* One vector of rows, from row i on: z(c, l) for c < n_classes, or those in `listed`, `width` reals apart, against the
 * heaps of n_lanes rows. What is known when this is compiled: whether classes are listed, and whether any are excluded. */
INLINE void FN(topk_lanes)(const int is_listed, const int excludes, const REAL *z, ptrdiff_t width, ptrdiff_t n_classes,
                           const int64_t *listed, ptrdiff_t n_lanes, int64_t first_id, const Excluded *excluded, ptrdiff_t i,
                           ptrdiff_t k, REAL *values, int64_t *ids)
{
    REAL bar_lane[VBYTES / sizeof(REAL)];
    for (ptrdiff_t l = 0; l < LANES; l++)
        bar_lane[l] = l < n_lanes ? FN(heap_bar)(values + l * k, ids + l * k) : INFINITY;
    V bar = FN(load)(bar_lane);
    for (ptrdiff_t n = 0; n < n_classes; n++) {
        const ptrdiff_t c = is_listed ? listed[n] - first_id : n;
        VI above = ~(VI)(FN(load)(z + c * width) <= bar);
        if (__builtin_expect(!FN(any)(above), 1))
            continue;
        for (ptrdiff_t l = 0; l < n_lanes; l++)
            if (above[l] && !(excludes && FN(is_excluded)(excluded, i + l, first_id + c))) {
                FN(heap_offer)(values + l * k, ids + l * k, k, z[c * width + l], first_id + c);
                bar_lane[l] = FN(heap_bar)(values + l * k, ids + l * k);
            }
        bar = FN(load)(bar_lane);
    }
}

/* Offers z(c, i), whose id is first_id + c, to the heap of row i, (n_rows, k), for c < n_classes, or for these n_classes of
 * `listed` unless that is NULL. Classes come in ascending order: of equal logits the first stays. Empty places hold
 * (-inf, INT64_MAX), which is worse than all. */
LEAF void FN(topk_panels)(const Panels *z, ptrdiff_t n_classes, ptrdiff_t n_rows, int64_t first_id, const int64_t *listed,
                          const Excluded *excluded, ptrdiff_t k, REAL *values, int64_t *ids)
{
    for (ptrdiff_t i = 0; i < n_rows; i += LANES) {
        const REAL *lanes = (const REAL *)z->data + i / z->width * z->stride + i % z->width;
#define ROWS_OF(is_listed, excludes)                                                                                  \
    FN(topk_lanes)(is_listed, excludes, lanes, z->width, n_classes, listed, n_rows - i < LANES ? n_rows - i : LANES,  \
                   first_id, excluded, i, k, values + i * k, ids + i * k)
        if (listed && excluded->indptr)
            ROWS_OF(1, 1);
        else if (listed)
            ROWS_OF(1, 0);
        else if (excluded->indptr)
            ROWS_OF(0, 1);
        else
            ROWS_OF(0, 0);
#undef ROWS_OF
    }
}

/* The same bar for classes from `id` on, where the heap may have later ones: a logit that equals that of a later class has to
 * get in, so the bar is the next lower number. */
INLINE REAL FN(heap_bar_from)(const REAL *values, const int64_t *ids, int64_t id)
{
    const REAL bar = FN(heap_bar)(values, ids);
    if (__builtin_expect(ids[0] <= id || ids[0] == INT64_MAX, 1))
        return bar;
    if (bar == -INFINITY)
        return NAN;
    return sizeof(REAL) == sizeof(float) ? (REAL)nextafterf((float)bar, -INFINITY) : (REAL)nextafter(bar, -INFINITY);
}

/* The same for one row, whose logits z lie side by side; excluded for row i. Blocks of classes may come in any order. */
LEAF void FN(topk_row)(const REAL *z, ptrdiff_t n_classes, int64_t first_id, const int64_t *listed,
                       const Excluded *excluded, ptrdiff_t i, ptrdiff_t k, REAL *values, int64_t *ids)
{
    REAL bar = FN(heap_bar_from)(values, ids, first_id);
#define OFFER(c)                                                                                                      \
    if (!(z[c] <= bar) && !(excluded->indptr && FN(is_excluded)(excluded, i, first_id + (c)))) {                      \
        FN(heap_offer)(values, ids, k, z[c], first_id + (c));                                                         \
        bar = FN(heap_bar_from)(values, ids, first_id + (c));                                                         \
    }
    for (ptrdiff_t n = 0; listed && n < n_classes; n++)
        OFFER(listed[n] - first_id)
    for (ptrdiff_t c = 0; !listed && c < n_classes; c += LANES) {
        const ptrdiff_t end = n_classes - c < LANES ? n_classes : c + LANES;
        if (end - c == LANES && !FN(any)(~(VI)(FN(load)(z + c) <= FN(splat)(bar))))
            continue;
        for (ptrdiff_t j = c; j < end; j++)
            OFFER(j)
    }
#undef OFFER
}

/* Merges the heaps of all parts, each (n_rows, k), into that of the first part, and sorts it: best first. */
LEAF void FN(topk_merge)(REAL *values, int64_t *ids, ptrdiff_t n_parts, ptrdiff_t part_stride, ptrdiff_t k)
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
