/* Vectors of VBYTES bytes of REAL: the few operations that the leaf loops need, and exp.
 *
 * GCC's and clang's vector extensions give arithmetic, comparison and shifts on every target; only max, 2^n scaling
 * and partial loads have a faster instruction worth naming. Included once per (instruction set, real type): FN() makes
 * the names. Comparisons give masks of all ones or all zeros.
 */
#define V FN(vec)
#define VI FN(veci)
typedef REAL V __attribute__((vector_size(VBYTES), aligned(1), may_alias));
typedef REAL_INT VI __attribute__((vector_size(VBYTES), aligned(1), may_alias));
#define LANES ((ptrdiff_t)(VBYTES / sizeof(REAL)))
#define INLINE static inline __attribute__((always_inline, unused))

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

/* Across the lanes, pairwise: log2(LANES) dependent steps, the same tree whatever the caller. */
INLINE REAL FN(hmax)(V x)
{
#ifdef ISA_AVX512
    return MM(reduce_max)(x);
#else
    REAL lane[VBYTES / sizeof(REAL)];
    FN(store)(lane, x);
    for (ptrdiff_t step = LANES / 2; step; step /= 2)
        for (ptrdiff_t i = 0; i < step; i++)
            lane[i] = lane[i] > lane[i + step] ? lane[i] : lane[i + step];
    return lane[0];
#endif
}

INLINE REAL FN(hsum)(V x)
{
#ifdef ISA_AVX512
    return MM(reduce_add)(x);
#else
    REAL lane[VBYTES / sizeof(REAL)];
    FN(store)(lane, x);
    for (ptrdiff_t step = LANES / 2; step; step /= 2)
        for (ptrdiff_t i = 0; i < step; i++)
            lane[i] += lane[i + step];
    return lane[0];
#endif
}

#ifdef REAL_IS_DOUBLE
enum { FN(BIAS) = 1023, FN(MANTISSA) = 52 };
#define EXP_MIN (-0x1.6232bdd7abcd2p+9) /* log of the smallest normal number, rounded up */
#define REAL_TINY 0x1p-1022              /* the smallest normal number */
#define EXP_MAX 710.0                   /* overflows */
#else
enum { FN(BIAS) = 127, FN(MANTISSA) = 23 };
#define REAL_TINY 0x1p-126f
#define EXP_MIN (-0x1.5d589ep+6f)
#define EXP_MAX 89.0f
#endif

/* exp(x), or 0 where x < least; for least >= EXP_MIN and x <= EXP_MAX. Error at most 1.2 ULP (tests/test_rowops.py);
 * NaN stays. There are no subnormal results: on x86, arithmetic that makes one takes 50 times as long.
 * Cody-Waite: x = n ln2 + r, |r| <= ln2 / 2, exp(x) = 2^n (1 + r + r^2 q(r)); q is the minimax polynomial of relative
 * error 3e-9 (float) and 4e-18 (double), fitted in 60 digits. n ln2_hi is exact, with or without FMA. */
INLINE V FN(exp_from)(V least, V x)
{
#ifdef REAL_IS_DOUBLE
    static const double MAGIC = 0x1.8p52; /* adding 1.5 * 2^52 rounds to an integer */
    static const double LOG2E = 0x1.71547652b82fep0, LN2_HI = 0x1.62e42feep-1, LN2_LO = 0x1.a39ef35793c76p-33;
#else
    static const float MAGIC = 0x1.8p23f;
    static const float LOG2E = 0x1.715476p0f, LN2_HI = 0x1.63p-1f, LN2_LO = -0x1.bd0106p-13f;
#endif
#ifdef ISA_AVX512
    MM_MASK stays = MM_CMP_MASK(x, least, _CMP_NLT_UQ);
#else
    VI vanishes = (VI)(x < least);
    x = FN(max)(least, x); /* a NaN in x is the second operand: it stays */
#endif
    V shifted = x * LOG2E + MAGIC, n = shifted - MAGIC;
    V r = (x - n * LN2_HI) - n * LN2_LO;
#ifdef REAL_IS_DOUBLE
    V q = r * 2.4999890857648211895e-8 + 2.7630376454878873308e-7;
    q = q * r + 2.7557587569914551314e-6;
    q = q * r + 2.4801492768477112881e-5;
    q = q * r + 1.9841269504518893255e-4;
    q = q * r + 1.3888888943917590018e-3;
    q = q * r + 8.3333333334957351009e-3;
    q = q * r + 4.1666666666529206435e-2;
    q = q * r + 1.6666666666666410055e-1;
    q = q * r + 5.0000000000000107188e-1;
#else
    V q = r * 1.3814531138429207989e-3f + 8.3687799227786355544e-3f;
    q = q * r + 4.1668393218982197790e-2f;
    q = q * r + 1.6666520112576415409e-1f;
    q = q * r + 4.9999993415509697621e-1f;
#endif
    V y = (q * r + 1) * r + 1;
#ifdef ISA_AVX512
    return MM(maskz_scalef)(stays, y, n);
#else
    /* 2^n in two factors: n = BIAS + 1 is beyond the exponents of normal numbers */
    VI n_int = (VI)shifted - (VI)FN(splat)(MAGIC), half = n_int >> 1;
    y = (y * (V)((half + FN(BIAS)) << FN(MANTISSA))) * (V)((n_int - half + FN(BIAS)) << FN(MANTISSA));
    return (V)((VI)y & ~vanishes);
#endif
}

/* The same for any x: 0 where the result would be subnormal, inf where it overflows. */
INLINE V FN(exp)(V x) { return FN(exp_from)(FN(splat)(EXP_MIN), FN(min)(FN(splat)(EXP_MAX), x)); }

/* The least x for which exp(x) * |factor| is certainly a normal number. */
INLINE V FN(exp_least)(V factor)
{
    static const REAL LN2 = (REAL)0x1.62e42fefa39efp-1;
    VI exponent = (((VI)factor >> FN(MANTISSA)) & (2 * FN(BIAS) + 1)) - FN(BIAS);
    return FN(max)(FN(splat)(EXP_MIN), EXP_MIN - LN2 * __builtin_convertvector(exponent, V));
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
#endif
