/* The softmax of a tile with its small probabilities rounded at random, as a list of the few that are left.
 * It is included for each (instruction set, real type), after panels.h.
 *
 * A p >= threshold stays; a smaller p becomes the threshold with probability p / threshold, else 0: its expectation is p.
 * The draw is a hash of (key of the row, number of the class) alone, so it does not depend on tiles or threads.
 */
#ifdef REAL_IS_DOUBLE
typedef uint64_t FN(vecu) __attribute__((vector_size(VBYTES), may_alias));
#else
typedef uint32_t FN(vecu) __attribute__((vector_size(VBYTES), may_alias));
#endif
#define VU FN(vecu)

#define LOW_BITS(x) ((x) & 0xffffffffu) /* of the 64 in a lane of doubles; nothing to do in one of floats */

/* Uniform integers below 2^31: two rounds of shift, xor, multiply. */
INLINE V FN(draw)(VU row_keys, int64_t class_number)
{
    VU x = LOW_BITS(row_keys + (uint32_t)((uint32_t)class_number * 0x9e3779b1u));
    x ^= x >> 16;
    x = LOW_BITS(x * 0x7feb352du);
    x ^= x >> 15;
    x = LOW_BITS(x * 0x846ca68bu);
    x >>= 1;
#ifdef REAL_IS_DOUBLE
    return (V)(x | 0x4330000000000000u) - 0x1p52; /* AVX2 converts no integers of 64 bits */
#else
    return __builtin_convertvector((VI)x, V);
#endif
}

/* One bit for each lane of a mask. */
INLINE unsigned FN(lane_bits)(VI mask)
{
#if defined(ISA_AVX512) && defined(REAL_IS_DOUBLE)
    return _mm512_movepi64_mask((__m512i)mask);
#elif defined(ISA_AVX512)
    return _mm512_movepi32_mask((__m512i)mask);
#elif defined(MM_PREFIX)
    return MM(movemask)((V)mask);
#else
    unsigned bits = 0;
    for (ptrdiff_t l = 0; l < LANES; l++)
        bits |= (unsigned)(mask[l] & 1) << l;
    return bits;
#endif
}

/* The lists that a tile's entries go to. */
typedef struct {
    ptrdiff_t n, capacity;
    int32_t *classes, *rows;
    REAL *values;
} FN(Entries);

/* One panel, n_v vectors wide, of round_panels, whose first row is `row`. Returns the sum of min(2^31, ratio z). */
INLINE double FN(round_panel)(const int n_v, const REAL *z, ptrdiff_t n_classes, int64_t first_class, int32_t row,
                              const uint32_t *row_keys, const REAL *ratio, const REAL *scale, const REAL *unit,
                              FN(Entries) *entries)
{
    const V one = FN(splat)((REAL)0x1p31);
    int32_t *restrict classes = entries->classes, *restrict rows = entries->rows;
    REAL *restrict values = entries->values;
    V r[2], sum[2] = {{0}, {0}};
    VU keys[2];
    for (int v = 0; v < n_v; v++) {
        REAL_INT key_lane[VBYTES / sizeof(REAL)];
        for (ptrdiff_t l = 0; l < LANES; l++)
            key_lane[l] = (REAL_INT)row_keys[v * LANES + l];
        memcpy(&keys[v], key_lane, VBYTES);
        r[v] = FN(load)(ratio + v * LANES);
    }
    for (ptrdiff_t c = 0; c < n_classes; c++, z += n_v * LANES) {
        V x[2];
        unsigned kept = 0;
        for (int v = 0; v < n_v; v++) {
            x[v] = r[v] * FN(load)(z + v * LANES);
            sum[v] += FN(min)(one, x[v]); /* a NaN in x is the second operand: it stays */
            kept |= FN(lane_bits)(~(VI)(x[v] <= FN(draw)(keys[v], first_class + c))) << (v * LANES);
        }
        if (__builtin_expect(!kept, 1))
            continue;
        if (entries->n + n_v * LANES > entries->capacity)
            return NAN;
        REAL value[2 * VBYTES / sizeof(REAL)];
        for (int v = 0; v < n_v; v++) {
            V exact = FN(load)(scale + v * LANES) * FN(load)(z + v * LANES);
            FN(store)(value + v * LANES, FN(select)((VI)(x[v] >= one), exact, FN(load)(unit + v * LANES)));
        }
        ptrdiff_t n = entries->n;
        for (; kept; kept &= kept - 1, n++) {
            int32_t l = __builtin_ctz(kept);
            classes[n] = (int32_t)c;
            rows[n] = row + l;
            values[n] = value[l];
        }
        entries->n = n;
    }
    return FN(hsum)(sum[0] + sum[1]);
}

/* The entries (class, row, value) of a tile z whose rounded probability is not zero. ratio z is 2^31 p / threshold, and the
 * value is scale z where p >= threshold, else unit; row_keys, ratio, scale and unit are by row. Returns their number; or -1
 * where more than `most` are expected, there is no room for them, or something is NaN. */
LEAF ptrdiff_t FN(round_panels)(const Panels *z, ptrdiff_t n_classes, int64_t first_class, const uint32_t *row_keys,
                                const REAL *ratio, const REAL *scale, const REAL *unit, ptrdiff_t most,
                                ptrdiff_t capacity, int32_t *classes_out, int32_t *rows_out, REAL *values_out)
{
    const double most_expected = most * 0x1p31;
    FN(Entries) entries = {0, capacity, classes_out, rows_out, values_out};
    const REAL *panel = (const REAL *)z->data;
    double expected = 0;
    for (ptrdiff_t i = 0; i < z->n_panels * z->width; i += z->width, panel += z->stride) {
#define PANEL(n_v)                                                                                                    \
    FN(round_panel)(n_v, panel, n_classes, first_class, (int32_t)i, row_keys + i, ratio + i, scale + i, unit + i, &entries)
        expected += z->width == LANES ? PANEL(1) : PANEL(2);
#undef PANEL
        if (!(expected <= most_expected)) /* or NaN */
            return -1;
    }
    return entries.n;
}

#undef LOW_BITS
#undef VU
