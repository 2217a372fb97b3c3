/* Logits of all classes from weights and rows in 8 bits, with bounds on their error: for the best classes without reading
 * float weights, and for an estimate of the log-sum-exp. It is included for each (instruction set, real type), after
 * tiles/topk.h; nothing in it but the heaps depends on the real type.
 *
 * Logits are in bits (times log2 e) here, so that an exponential is a power of two. Weights are kept as 128 + code, without
 * sign, since the products of bytes that x86 has take one factor of each kind. A row's codes go up to 63 only: two products
 * with bytes up to 255 then fit into 16 bits, where CPUs without VNNI add them up. So all instruction sets get the same sums.
 */

enum { FN(SCREEN_GROUP) = 16 }; /* classes */
#define SCREEN_INT FN(screen_int)
#define SCREEN_FLOAT FN(screen_float)
typedef int32_t SCREEN_INT __attribute__((vector_size(VBYTES), aligned(1), may_alias));
typedef float SCREEN_FLOAT __attribute__((vector_size(VBYTES), aligned(1), may_alias));
#define SCREEN_LANES ((ptrdiff_t)(VBYTES / 4))
#define SCREEN_VECTORS (FN(SCREEN_GROUP) / SCREEN_LANES) /* of a group */
#if defined(ISA_AVX512)
#define SCREEN_GROUPS 2 /* of a tile: its sums, one vector of codes a group and one of a row fit into the registers */
#define SCREEN_ROWS 6
#elif defined(ISA_AVX2)
#define SCREEN_GROUPS 1
#define SCREEN_ROWS 4
#else
#define SCREEN_GROUPS 1
#define SCREEN_ROWS 2
#endif

/* sum + four products of bytes in each lane */
INLINE SCREEN_INT FN(dot4)(const int has_vnni, SCREEN_INT sum, const uint8_t *codes, int32_t row)
{
#if defined(ISA_AVX512)
    const __m512i a = _mm512_loadu_si512(codes), b = _mm512_set1_epi32(row);
    if (has_vnni) { /* as assembly, so that the rest of the function needs no other target than its neighbours */
        __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
        return sum;
    }
    return sum + (SCREEN_INT)_mm512_madd_epi16(_mm512_maddubs_epi16(a, b), _mm512_set1_epi16(1));
#elif defined(ISA_AVX2)
    const __m256i a = _mm256_loadu_si256((const __m256i *)codes), b = _mm256_set1_epi32(row);
    return sum + (SCREEN_INT)_mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1));
#else
    int8_t b[4];
    memcpy(b, &row, sizeof b);
    for (ptrdiff_t l = 0; l < SCREEN_LANES; l++)
        for (ptrdiff_t j = 0; j < 4; j++)
            sum[l] += codes[4 * l + j] * b[j];
    return sum;
#endif
}

INLINE int FN(has_vnni)(void)
{
#if defined(ISA_AVX512)
    return __builtin_cpu_supports("avx512vnni") != 0;
#else
    return 0;
#endif
}

INLINE SCREEN_FLOAT FN(screen_splat)(float x) { return x - (SCREEN_FLOAT){0}; }

/* 2^x with a relative error of 7.5e-5, for x < 127: above, the result is at least 2^126; 0 or tiny below -126.
 * 2^floor(x) times a polynomial of the rest, minimax on [0, 1]. */
INLINE SCREEN_FLOAT FN(screen_exp2)(SCREEN_FLOAT x)
{
#if defined(ISA_AVX512)
    const SCREEN_FLOAT f = (SCREEN_FLOAT)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
    const SCREEN_FLOAT most = FN(screen_splat)(127), least = FN(screen_splat)(-126);
    x = (SCREEN_FLOAT)(((SCREEN_INT)x & (x < most)) | ((SCREEN_INT)most & ~(x < most)));
    x = (SCREEN_FLOAT)(((SCREEN_INT)x & (x > least)) | ((SCREEN_INT)least & ~(x > least)));
    const SCREEN_FLOAT magic = (x - 0.5f) + 0x1.8p23f; /* rounds to an integer, which is in its lowest bits */
    const SCREEN_FLOAT f = x - (magic - 0x1.8p23f);
#endif
    SCREEN_FLOAT p = f * 0.07802455906855402f + 0.22606745556318447f;
    p = p * f + 0.6958332362870299f;
    p = p * f + 0.9999252702688044f;
#if defined(ISA_AVX512)
    return (SCREEN_FLOAT)_mm512_scalef_ps((__m512)p, (__m512)x);
#else
    return p * (SCREEN_FLOAT)(((SCREEN_INT)magic << 23) + (127 << 23));
#endif
}

/* Whether any lane of x is at least the bar. */
INLINE int FN(screen_reaches)(SCREEN_FLOAT x, SCREEN_FLOAT bar)
{
#if defined(ISA_AVX512)
    return _mm512_cmp_ps_mask((__m512)x, (__m512)bar, _CMP_GE_OQ) != 0;
#elif defined(ISA_AVX2)
    return _mm256_movemask_ps((__m256)(x >= bar)) != 0;
#else
    const SCREEN_INT reached = x >= bar;
    int any = 0;
    for (ptrdiff_t l = 0; l < SCREEN_LANES; l++)
        any |= reached[l];
    return any;
#endif
}

/* Lists class `id` of row i, and raises the bar. Of a full list, those below the bar are dropped. */
INLINE void FN(screen_list)(const ScreenedBest *best, REAL *heap, int64_t *heap_ids, ptrdiff_t i, int64_t id, float upper,
                            float lower, float slack)
{
    int32_t *listed = best->listed + i * best->room;
    float *uppers = best->upper + i * best->room;
    ptrdiff_t n = best->n_listed[i];
    if (n >= 0) {
        if (n == best->room) {
            n = 0;
            for (ptrdiff_t j = 0; j < best->room; j++)
                if (uppers[j] >= best->bar[i]) {
                    listed[n] = listed[j];
                    uppers[n++] = uppers[j];
                }
            if (n > best->room / 2) /* so that this does not happen for each class */
                n = -1;
        }
        if (n >= 0) {
            listed[n] = (int32_t)id;
            uppers[n++] = upper;
        }
        best->n_listed[i] = n;
    }
    heap += i * best->k;
    heap_ids += i * best->k;
    if (lower > heap[0] || heap_ids[0] == INT64_MAX) {
        FN(heap_offer)(heap, heap_ids, best->k, lower, id);
        if (heap_ids[0] != INT64_MAX && (float)heap[0] - slack > best->bar[i])
            best->bar[i] = (float)heap[0] - slack;
    }
}

/* The same for n classes from `first` on, with their approximate logits z, where their upper bounds reach the bar. It is no
 * part of the loop that calls it, which needs all registers. */
static __attribute__((noinline)) void FN(screen_offer)(const Screened *s, ptrdiff_t first, ptrdiff_t n, const float *z,
                                                       const ScreenedRows *rows, ptrdiff_t i, float loose,
                                                       const ScreenedBest *best, REAL *heap, int64_t *heap_ids)
{
    for (ptrdiff_t c = 0; c < n && first + c < s->n_classes; c++) {
        const float off = rows->margin[i] * s->scale[first + c], upper = z[c] + off;
        if (upper >= best->bar[i])
            FN(screen_list)(best, heap, heap_ids, i, first + c, upper, z[c] - off, rows->slack[i]);
    }
    best->loose_bar[i] = best->bar[i] - rows->margin[i] * loose;
}

/* n_r rows from i on, and n_g groups of classes. `loose` is the most that a scale of these groups may be. */
INLINE void FN(screen_tile)(const int has_vnni, const int sums, const ptrdiff_t n_g, const ptrdiff_t n_r,
                            const Screened *s, ptrdiff_t group, const ScreenedRows *rows, ptrdiff_t i, float loose,
                            const ScreenedBest *best, REAL *heap, int64_t *heap_ids, float *sums_out)
{
    enum { N_V = SCREEN_GROUPS * (16 / (VBYTES / 4)) };
    const ptrdiff_t n_v = n_g * SCREEN_VECTORS, n_quads = s->n_quads;
    SCREEN_INT dot[SCREEN_ROWS][N_V];
    const uint8_t *codes[N_V];
    for (ptrdiff_t v = 0; v < n_v; v++)
        codes[v] = s->codes + (group + v / SCREEN_VECTORS) * n_quads * 64 + v % SCREEN_VECTORS * VBYTES;
    for (ptrdiff_t r = 0; r < n_r; r++)
        for (ptrdiff_t v = 0; v < n_v; v++)
            dot[r][v] = rows->offset[i + r] - (SCREEN_INT){0};
    const int8_t *of_row = rows->codes + i * 4 * n_quads;
    for (ptrdiff_t q = 0; q < n_quads; q++)
        for (ptrdiff_t r = 0; r < n_r; r++) {
            int32_t four;
            memcpy(&four, of_row + 4 * (r * n_quads + q), sizeof four);
            for (ptrdiff_t v = 0; v < n_v; v++)
                dot[r][v] = FN(dot4)(has_vnni, dot[r][v], codes[v] + 64 * q, four);
        }
#pragma GCC unroll 8 /* so that the sums stay in registers */
    for (ptrdiff_t r = 0; r < n_r; r++) {
        const SCREEN_FLOAT factor = FN(screen_splat)(rows->factor[i + r]), bar = FN(screen_splat)(best->loose_bar[i + r]);
        SCREEN_FLOAT z[N_V], total = FN(screen_splat)(0);
        if (sums)
            total = *(SCREEN_FLOAT *)(sums_out + (i + r) * SCREEN_LANES);
        int any = 0;
        for (ptrdiff_t v = 0; v < n_v; v++) {
            const SCREEN_FLOAT scale = *(const SCREEN_FLOAT *)(s->scale + 16 * group + v * SCREEN_LANES);
            const SCREEN_FLOAT bias = *(const SCREEN_FLOAT *)(s->bias + 16 * group + v * SCREEN_LANES);
            z[v] = (__builtin_convertvector(dot[r][v], SCREEN_FLOAT) * factor) * scale + bias;
            any |= FN(screen_reaches)(z[v], bar);
            if (sums)
                total += FN(screen_exp2)(z[v] - FN(screen_splat)(rows->shift[i + r]));
        }
        if (sums)
            *(SCREEN_FLOAT *)(sums_out + (i + r) * SCREEN_LANES) = total;
        if (__builtin_expect(any, 0)) {
            float lane[N_V * (VBYTES / 4)];
            for (ptrdiff_t v = 0; v < n_v; v++)
                *(SCREEN_FLOAT *)(lane + v * SCREEN_LANES) = z[v];
            FN(screen_offer)(s, 16 * group, 16 * n_g, lane, rows, i + r, loose, best, heap, heap_ids);
        }
    }
}

INLINE void FN(screen_rows)(const int has_vnni, const int sums, const ptrdiff_t n_g, const Screened *s, ptrdiff_t group,
                            const ScreenedRows *rows, float loose, const ScreenedBest *best, REAL *heap,
                            int64_t *heap_ids, float *sums_out)
{
    ptrdiff_t i = 0;
#define TILE(n_r) FN(screen_tile)(has_vnni, sums, n_g, n_r, s, group, rows, i, loose, best, heap, heap_ids, sums_out)
    for (; i + SCREEN_ROWS <= rows->n_rows; i += SCREEN_ROWS)
        TILE(SCREEN_ROWS);
#if SCREEN_ROWS > 4
    if (i + 4 <= rows->n_rows) {
        TILE(4);
        i += 4;
    }
#endif
    if (i + 2 <= rows->n_rows && SCREEN_ROWS > 2) {
        TILE(2);
        i += 2;
    }
    if (i < rows->n_rows)
        TILE(1);
#undef TILE
}

INLINE void FN(screen_all)(const int has_vnni, const int sums, const Screened *s, ptrdiff_t group, ptrdiff_t n_groups,
                           const ScreenedRows *rows, const ScreenedBest *best, REAL *heap, int64_t *heap_ids,
                           float *sums_out)
{
    enum { AHEAD = 4 << 10 }; /* bytes */
    float loose = 0;
    for (ptrdiff_t c = 16 * group; c < 16 * (group + n_groups); c++)
        loose = s->scale[c] > loose ? s->scale[c] : loose;
    for (ptrdiff_t i = 0; i < rows->n_rows; i++)
        best->loose_bar[i] = best->bar[i] - rows->margin[i] * loose;
    ptrdiff_t g = 0;
    for (; g + SCREEN_GROUPS <= n_groups; g += SCREEN_GROUPS) {
        const uint8_t *codes = s->codes + (group + g) * s->n_quads * 64;
        for (ptrdiff_t j = 0; j < SCREEN_GROUPS * s->n_quads; j++)
            __builtin_prefetch(codes + AHEAD + 64 * j);
        FN(screen_rows)(has_vnni, sums, SCREEN_GROUPS, s, group + g, rows, loose, best, heap, heap_ids, sums_out);
    }
    for (; g < n_groups; g++)
        FN(screen_rows)(has_vnni, sums, 1, s, group + g, rows, loose, best, heap, heap_ids, sums_out);
}

/* Offers the classes of n_groups groups to the lists and heaps of the rows, and adds to sums_out[i] the sum of the exponentials
 * of their approximate logits less the shift; sums_out may be NULL. scratch has VBYTES for each row. */
LEAF void FN(screen)(const Screened *s, ptrdiff_t group, ptrdiff_t n_groups, const ScreenedRows *rows,
                     const ScreenedBest *best, REAL *heap, int64_t *heap_ids, double *sums_out, float *scratch)
{
    if (sums_out)
        memset(scratch, 0, rows->n_rows * VBYTES);
#define ALL(has_vnni, sums)                                                                                           \
    FN(screen_all)(has_vnni, sums, s, group, n_groups, rows, best, heap, heap_ids, scratch)
    if (FN(has_vnni)()) {
        if (sums_out)
            ALL(1, 1);
        else
            ALL(1, 0);
    } else {
        if (sums_out)
            ALL(0, 1);
        else
            ALL(0, 0);
    }
#undef ALL
    for (ptrdiff_t i = 0; i < rows->n_rows && sums_out; i++)
        for (ptrdiff_t l = 0; l < SCREEN_LANES; l++)
            sums_out[i] += scratch[i * SCREEN_LANES + l];
}
#undef SCREEN_INT
#undef SCREEN_FLOAT
#undef SCREEN_LANES
#undef SCREEN_VECTORS
#undef SCREEN_GROUPS
#undef SCREEN_ROWS
