/* The softmax of a tile with its small probabilities rounded at random, as a list of the few that are left.
 * Included once per (instruction set, real type), after panels_impl.h.
 *
 * p >= threshold stays; a smaller p becomes the threshold with probability p / threshold, else 0: its expectation is p.
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

/* One bit a lane of a mask. */
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

static ptrdiff_t FN(round_panels)(const Panels *z, ptrdiff_t n_classes, int64_t first_class, const uint32_t *row_keys,
                                  const REAL *ratio, const REAL *scale, const REAL *unit, ptrdiff_t most,
                                  ptrdiff_t capacity, int32_t *classes_out, int32_t *rows_out, REAL *values_out)
{
    const V one = FN(splat)((REAL)0x1p31);
    double expected = 0;
    ptrdiff_t n = 0;
    for (ptrdiff_t i = 0; i < z->n_panels * z->width; i += LANES) {
        const REAL *at = (const REAL *)z->data + i / z->width * z->stride + i % z->width;
        const V r = FN(load)(ratio + i);
        V sum = {0};
        VU keys;
        for (ptrdiff_t l = 0; l < LANES; l++)
            keys[l] = row_keys[i + l];
        for (ptrdiff_t c = 0; c < n_classes; c++, at += z->width) {
            V x = r * FN(load)(at);
            sum += FN(min)(one, x); /* a NaN in x is the second operand: it stays */
            unsigned kept = FN(lane_bits)(~(VI)(x <= FN(draw)(keys, first_class + c)));
            if (__builtin_expect(!kept, 1))
                continue;
            if (n + LANES > capacity)
                return -1;
            for (; kept; kept &= kept - 1, n++) {
                ptrdiff_t l = __builtin_ctz(kept);
                classes_out[n] = (int32_t)c;
                rows_out[n] = (int32_t)(i + l);
                values_out[n] = ratio[i + l] * at[l] >= (REAL)0x1p31 ? scale[i + l] * at[l] : unit[i + l];
            }
        }
        expected += FN(hsum)(sum);
    }
    return expected <= most * 0x1p31 ? n : -1; /* -1 for NaN too */
}

#undef LOW_BITS
#undef VU
