/* Vectors of VBYTES bytes of REAL: the few operations that the leaf loops need, and exp.
 *
 * GCC's and clang's vector extensions give arithmetic, comparison and shifts on every target; only max, 2^n scaling
 * and partial loads have a faster instruction worth naming. It is included for each (instruction set, real type), whose names
 * FN() makes. Comparisons give masks of all ones or all zeros.
 */
#define V FN(vec)
#define VI FN(veci)
typedef REAL V __attribute__((vector_size(VBYTES), aligned(1), may_alias));
typedef REAL_INT VI __attribute__((vector_size(VBYTES), aligned(1), may_alias));
#define LANES ((ptrdiff_t)(VBYTES / sizeof(REAL)))
#define INLINE static inline __attribute__((always_inline, unused))
#define LEAF static /* generate.py looks for it */

INLINE V FN(splat)(REAL x) { return x - (V){0}; } /* x - 0, not x + 0: keeps -0.0 */

INLINE V FN(load)(const REAL *p) { return *(const V *)p; }

INLINE void FN(store)(REAL *p, V x) { *(V *)p = x; }

INLINE V FN(select)(VI mask, V if_true, V if_false) { return (V)(((VI)if_true & mask) | ((VI)if_false & ~mask)); }

/* MM(op): the intrinsic of this instruction set, such as _mm512_max_ps. */
#if defined(ISA_AVX512)
#define MM_PREFIX _mm512_
#elif defined(ISA_AVX2)
#define MM_PREFIX _mm256_
#elif defined(X86) && defined(__SSE2__)
#define MM_PREFIX _mm_
#endif
#ifdef REAL_IS_DOUBLE
#define MM_SUFFIX _pd
#define MM_MASK __mmask8
#else
#define MM_SUFFIX _ps
#define MM_MASK __mmask16
#endif
#define MM__(prefix, op, suffix) prefix##op##suffix
#define MM_(prefix, op, suffix) MM__(prefix, op, suffix)
#define MM(op) MM_(MM_PREFIX, op, MM_SUFFIX)
#define MM_CMP_MASK(a, b, how) MM_(MM(cmp), _mask, )(a, b, how)

/* The larger / smaller of the two; `b` where either is NaN. */
#ifdef MM_PREFIX
INLINE V FN(max)(V a, V b) { return MM(max)(a, b); }
INLINE V FN(min)(V a, V b) { return MM(min)(a, b); }
#else
INLINE V FN(max)(V a, V b) { return FN(select)((VI)(a > b), a, b); }
INLINE V FN(min)(V a, V b) { return FN(select)((VI)(a < b), a, b); }
#endif

#ifdef ISA_AVX2
/* All ones in the first n < LANES lanes. */
INLINE __m256i FN(first)(ptrdiff_t n)
{
    static const REAL_INT ones_and_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(ones_and_zeros + 8 - n));
}
#endif

/* p[0:n] with n < LANES, the other lanes `fill`: nothing beyond p[n-1] is read. */
INLINE V FN(load_part)(const REAL *p, ptrdiff_t n, REAL fill)
{
#if defined(ISA_AVX512)
    return MM(mask_loadu)(FN(splat)(fill), (1u << n) - 1, p);
#elif defined(ISA_AVX2)
    return FN(select)((VI)FN(first)(n), MM(maskload)(p, FN(first)(n)), FN(splat)(fill));
#else
    REAL lane[VBYTES / sizeof(REAL)];
    for (ptrdiff_t i = 0; i < LANES; i++)
        lane[i] = i < n ? p[i] : fill;
    return FN(load)(lane);
#endif
}

INLINE void FN(store_part)(REAL *p, ptrdiff_t n, V x)
{
#if defined(ISA_AVX512)
    MM(mask_storeu)(p, (1u << n) - 1, x);
#elif defined(ISA_AVX2)
    MM(maskstore)(p, FN(first)(n), x);
#else
    REAL lane[VBYTES / sizeof(REAL)];
    FN(store)(lane, x);
    for (ptrdiff_t i = 0; i < n; i++)
        p[i] = lane[i];
#endif
}

/* The same for any n > 0: a whole vector from LANES on. */
INLINE V FN(load_upto)(const REAL *p, ptrdiff_t n, REAL fill)
{
    return n < LANES ? FN(load_part)(p, n, fill) : FN(load)(p);
}

INLINE void FN(store_upto)(REAL *p, ptrdiff_t n, V x)
{
    if (n < LANES)
        FN(store_part)(p, n, x);
    else
        FN(store)(p, x);
}

/* Stores x where p is aligned to VBYTES, past the caches: then the line is not read before it is written. A fence must
 * follow before another thread reads it. */
INLINE void FN(store_past)(REAL *p, V x)
{
#ifdef MM_PREFIX
    MM(stream)(p, x);
#else
    FN(store)(p, x);
#endif
}

INLINE void FN(fence)(void)
{
#ifdef MM_PREFIX
    _mm_sfence();
#endif
}

/* Maxima and sums across the lanes are taken pairwise: in log2(LANES) dependent steps, by the same tree for every caller. */
#ifdef ISA_AVX2
#ifdef REAL_IS_DOUBLE
#define HREDUCE(op, x)                                                                                                \
    __m128d half = _mm_##op##_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));                             \
    return _mm_cvtsd_f64(_mm_##op##_sd(half, _mm_unpackhi_pd(half, half)));
#else
#define HREDUCE(op, x)                                                                                                \
    __m128 half = _mm_##op##_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));                              \
    half = _mm_##op##_ps(half, _mm_movehl_ps(half, half));                                                            \
    return _mm_cvtss_f32(_mm_##op##_ss(half, _mm_movehdup_ps(half)));
#endif
INLINE REAL FN(hmax)(V x) { HREDUCE(max, x) }
INLINE REAL FN(hsum)(V x) { HREDUCE(add, x) }
#undef HREDUCE
#elif defined(ISA_AVX512)
INLINE REAL FN(hmax)(V x) { return MM(reduce_max)(x); }
INLINE REAL FN(hsum)(V x) { return MM(reduce_add)(x); }
#else
INLINE REAL FN(hmax)(V x)
{
    REAL lane[VBYTES / sizeof(REAL)];
    FN(store)(lane, x);
    for (ptrdiff_t step = LANES / 2; step; step /= 2)
        for (ptrdiff_t i = 0; i < step; i++)
            lane[i] = lane[i] > lane[i + step] ? lane[i] : lane[i + step];
    return lane[0];
}

INLINE REAL FN(hsum)(V x)
{
    REAL lane[VBYTES / sizeof(REAL)];
    FN(store)(lane, x);
    for (ptrdiff_t step = LANES / 2; step; step /= 2)
        for (ptrdiff_t i = 0; i < step; i++)
            lane[i] += lane[i + step];
    return lane[0];
}
#endif

/* out[i] <- the sum of the lanes of x[i], for eight vectors: together they take a quarter of the instructions. */
INLINE void FN(hsum8)(const V *x, REAL *out)
{
#if defined(ISA_AVX2) || defined(ISA_AVX512)
#ifdef REAL_IS_DOUBLE
#define HALF __m256d
#define HADD _mm256_hadd_pd
#define BOTH(a, b)                                                                                                    \
    _mm256_add_pd(_mm256_permute2f128_pd(a, b, 0x20), _mm256_permute2f128_pd(a, b, 0x31)) /* of two pairs of vectors */
#else
#define HALF __m256
#define HADD _mm256_hadd_ps
#define BOTH(a, b) _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31))
#endif
    HALF half[8];
    for (int i = 0; i < 8; i++)
#if defined(ISA_AVX2)
        half[i] = (HALF)x[i];
#elif defined(REAL_IS_DOUBLE)
        half[i] = _mm256_add_pd(_mm512_castpd512_pd256(x[i]), _mm512_extractf64x4_pd(x[i], 1));
#else
        half[i] = _mm256_add_ps(_mm512_castps512_ps256(x[i]), _mm512_extractf32x8_ps(x[i], 1));
#endif
    for (int i = 0; i < 4; i++)
        half[i] = HADD(half[2 * i], half[2 * i + 1]);
#ifdef REAL_IS_DOUBLE
    _mm256_storeu_pd(out, BOTH(half[0], half[1]));
    _mm256_storeu_pd(out + 4, BOTH(half[2], half[3]));
#else
    _mm256_storeu_ps(out, BOTH(HADD(half[0], half[1]), HADD(half[2], half[3])));
#endif
#undef HALF
#undef HADD
#undef BOTH
#else
    for (int i = 0; i < 8; i++)
        out[i] = FN(hsum)(x[i]);
#endif
}

#ifdef REAL_IS_DOUBLE
enum { FN(BIAS) = 1023, FN(MANTISSA) = 52 };
#define REAL_TINY 0x1p-1022 /* the smallest normal number */
#define EXP_MAX 710.0       /* exp overflows */
#else
enum { FN(BIAS) = 127, FN(MANTISSA) = 23 };
#define REAL_TINY 0x1p-126f
#define EXP_MAX 89.0f
#endif
#define LN2 ((REAL)0x1.62e42fefa39efp-1)

/* What exp_reduce multiplies by, 2^exponent, as the number that rounds to integers when added, and the x below which
 * all is 0. Both are by lane; exponents run from 1 - BIAS to BIAS, or BIAS + 1 for x <= 0. */
typedef struct {
    V magic, least;
} FN(Exp2);

INLINE FN(Exp2) FN(exp2_of)(VI exponent)
{
#ifdef REAL_IS_DOUBLE
    static const double ROUNDS = 0x1.8p52; /* at 1.5 * 2^MANTISSA the numbers are the integers */
#else
    static const float ROUNDS = 0x1.8p23f;
#endif
    V e = __builtin_convertvector(exponent + (FN(BIAS) - 1), V);
    return (FN(Exp2)){ROUNDS + e, -e * LN2};
}

/* 2^exponent * exp(x) = exp_polynomial(the result) * *power, for -inf <= x <= EXP_MAX. It is 0 where it would be below
 * sqrt(2) * REAL_TINY, so that nothing is subnormal: on x86, arithmetic that makes such numbers takes 50 times as long.
 * A NaN stays. The error is at most 1.2 ULP (tests/library/kernels/test_dispatch.py).
 *
 * Cody-Waite: x = n ln2 + r, |r| <= ln2 / 2, exp(x) = 2^n exp(r). n ln2_hi is exact, with or without FMA.
 * The sum with `magic` has n + exponent + BIAS - 1 in its lowest bits; shifted up they are the power of two, with all
 * other bits shifted out, and 0 for the least x. The factor 2 that is missing is in the polynomial.
 *
 * exp_split is without the cut: for x from there on, or where the caller sees to it.
 *
 * There are two steps, so that a loop can begin the next vector before it ends this one: as one chain of fifteen instructions,
 * too few of them fit into the registers that a CPU has for what is not finished. */
INLINE V FN(exp_split)(V magic, V x, V *power)
{
#ifdef REAL_IS_DOUBLE
    static const double LOG2E = 0x1.71547652b82fep0, LN2_HI = 0x1.62e42feep-1, LN2_LO = 0x1.a39ef35793c76p-33;
#else
    static const float LOG2E = 0x1.715476p0f, LN2_HI = 0x1.63p-1f, LN2_LO = -0x1.bd0106p-13f;
#endif
    V shifted = x * LOG2E + magic, n = shifted - magic;
    *power = (V)((VI)shifted << FN(MANTISSA));
    return (x - n * LN2_HI) - n * LN2_LO;
}

INLINE V FN(exp_reduce)(FN(Exp2) scale, V x, V *power)
{
    return FN(exp_split)(scale.magic, FN(max)(scale.least, x), power); /* a NaN in x is the second operand: it stays */
}

/* 2 exp(r) coef = coef (2 + 2 r + r^2 q(r)), q minimax of relative error 3e-9 (float) and 4e-18 (double), fitted in 60
 * digits. Its constants times coef are made once, outside the loop. */
INLINE V FN(exp_polynomial)(V r, V coef)
{
#ifdef REAL_IS_DOUBLE
    V q = r * (coef * (2 * 2.4999890857648211895e-8)) + coef * (2 * 2.7630376454878873308e-7);
    q = q * r + coef * (2 * 2.7557587569914551314e-6);
    q = q * r + coef * (2 * 2.4801492768477112881e-5);
    q = q * r + coef * (2 * 1.9841269504518893255e-4);
    q = q * r + coef * (2 * 1.3888888943917590018e-3);
    q = q * r + coef * (2 * 8.3333333334957351009e-3);
    q = q * r + coef * (2 * 4.1666666666529206435e-2);
    q = q * r + coef * (2 * 1.6666666666666410055e-1);
    q = q * r + coef * (2 * 5.0000000000000107188e-1);
#else
    V q = r * (coef * (2 * 1.3814531138429207989e-3f)) + coef * (2 * 8.3687799227786355544e-3f);
    q = q * r + coef * (2 * 4.1668393218982197790e-2f);
    q = q * r + coef * (2 * 1.6666520112576415409e-1f);
    q = q * r + coef * (2 * 4.9999993415509697621e-1f);
#endif
    return (q * r + 2 * coef) * r + 2 * coef;
}

/* exp(x) for x <= EXP_MAX; 0 where that would be below sqrt(2) * REAL_TINY */
INLINE V FN(exp_below)(V x)
{
    V power, r = FN(exp_reduce)(FN(exp2_of)((VI){0}), x, &power);
    return FN(exp_polynomial)(r, FN(splat)(1)) * power;
}

/* The same for any x: inf where it overflows. */
INLINE V FN(exp)(V x) { return FN(exp_below)(FN(min)(FN(splat)(EXP_MAX), x)); }

/* log(1 + u) for 0 <= u <= 1, NaN stays: 2 atanh(h / 2) with h = u / (1 + u / 2), which is h (1 + h^2 q(h^2)); q minimax
 * of relative error 5e-9 (float) and 2e-18 (double), fitted in 60 digits. h^2 is kept from becoming subnormal. */
INLINE V FN(log1p_unit)(V u)
{
    V h = u / (1 + u * (REAL)0.5), root = FN(max)(FN(splat)((REAL)0x1p-40), h), z = root * root;
#ifdef REAL_IS_DOUBLE
    V q = z * 8.1150876915868127917e-8 + 1.5907484054271323708e-7;
    q = q * z + 9.2362105790649855576e-7;
    q = q * z + 4.0591350175605391688e-6;
    q = q * z + 1.8782421777459473267e-5;
    q = q * z + 8.87780465091259946e-5;
    q = q * z + 4.340278119087272917e-4;
    q = q * z + 2.2321428553010904588e-3;
    q = q * z + 1.2500000000049138165e-2;
    q = q * z + 8.3333333333332879756e-2;
#else
    V q = z * 5.4735271576194849703e-4f + 2.1874328933368783626e-3f;
    q = q * z + 1.2506780956783088149e-2f;
    q = q * z + 8.3333016415844007666e-2f;
#endif
    return h * (q * z) + h; /* ends in a sum, so that callers' sums cannot be fused with it in more ways than one */
}

#ifdef REAL_IS_DOUBLE
/* log(1 + u) for u >= 0, NaN stays. 1 + u = 2^n m, m within a factor of sqrt(2) of 1, s = (m - 1) / (m + 1):
 * log m = 2 atanh s = 2 s + s^3 q(s^2), q minimax of relative error 5e-18; then the rounding error of 1 + u. */
INLINE V FN(log1p)(V u)
{
    static const double LN2_HI = 0x1.62e42feep-1, LN2_LO = 0x1.a39ef35793c76p-33;
    V w = 1 + u;
    VI n = ((VI)w - (VI)FN(splat)(0x1.6a09e667f3bcdp-1)) >> FN(MANTISSA);
    V m = (V)((VI)w - (n << FN(MANTISSA))), f = m - 1, s = f / (m + 1), z = s * s;
    V q = z * 0.1461644968504340586 + 0.15331721600556041269;
    q = q * z + 0.1818288912526172208;
    q = q * z + 0.22222211134795079855;
    q = q * z + 0.28571428625975484921;
    q = q * z + 0.3999999999989950449;
    q = q * z + 0.66666666666666696862;
    V n_real = __builtin_convertvector(n, V), lost = (u - (w - 1)) / w;
    return n_real * LN2_HI + ((s * z * q + 2 * s) + (n_real * LN2_LO + lost));
}
#else
/* log(1 + u) for 0 <= u < 2^24, NaN stays: log 2^k + log(1 + v) with 1 + u = 2^k (1 + v), 0 <= v < 1. Where k > 0, the
 * rounding error of 1 + u is small against the result; where k = 0, v is u itself. */
INLINE V FN(log1p)(V u)
{
    V w = 1 + u;
    VI k = ((VI)w >> FN(MANTISSA)) - FN(BIAS);
    V above = w * (V)((FN(BIAS) - k) << FN(MANTISSA)) - 1; /* a product, so that a NaN stays */
    return __builtin_convertvector(k, V) * LN2 + FN(log1p_unit)(FN(select)((VI)(k == 0), u, above));
}
#endif
