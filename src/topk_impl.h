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

/* Offers z[i, j], whose id is first_id + j, to the heap of row i. Empty places hold (-inf, INT64_MAX), worse than all. */
static void FN(topk_rows)(const REAL *z, ptrdiff_t n_rows, ptrdiff_t n_cols, ptrdiff_t stride, int64_t first_id,
                          ptrdiff_t k, REAL *values, int64_t *ids)
{
    for (ptrdiff_t i = 0; i < n_rows; i++, z += stride, values += k, ids += k) {
        ptrdiff_t j = 0;
        for (; j + 4 * LANES <= n_cols; j += 4 * LANES) { /* nearly always nothing: one look at four vectors */
            V best = FN(max)(FN(max)(FN(load)(z + j), FN(load)(z + j + LANES)),
                             FN(max)(FN(load)(z + j + 2 * LANES), FN(load)(z + j + 3 * LANES)));
            VI above = (VI)(best >= FN(splat)(values[0]));
            REAL_INT any = 0;
            for (ptrdiff_t l = 0; l < LANES; l++)
                any |= above[l];
            if (any)
                for (ptrdiff_t l = j; l < j + 4 * LANES; l++)
                    FN(heap_offer)(values, ids, k, z[l], first_id + l);
        }
        for (; j < n_cols; j++)
            FN(heap_offer)(values, ids, k, z[j], first_id + j);
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
