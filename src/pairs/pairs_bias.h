/* The bias of a model whose weights are pairs (feature, class). It is included for each (instruction set, real type), double
 * first: its exponentials are double's. */

enum { FN(WIDE) = 64 }; /* elements that are widened to double at a time */

#ifdef REAL_IS_DOUBLE
/* x <- exp(x); the sum. x <= EXP_MAX. */
INLINE double FN(exp_some)(double *x, ptrdiff_t n)
{
    V sum = {0};
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        V e = FN(exp_below)(FN(load_upto)(x + i, n - i, -INFINITY));
        FN(store_upto)(x + i, n - i, e);
        sum += e;
    }
    return FN(hsum)(sum);
}
#endif

/* exp(x - shift) of n elements, to out unless that is NULL; returns their sum. x <= shift + 1. */
LEAF double FN(exp_wide)(const REAL *x, ptrdiff_t n, double shift, double *out)
{
    double sum = 0, some[FN(WIDE)];
    for (ptrdiff_t i = 0; i < n; i += FN(WIDE)) {
        const ptrdiff_t n_some = n - i < FN(WIDE) ? n - i : FN(WIDE);
        double *to = out ? out + i : some;
        for (ptrdiff_t j = 0; j < n_some; j++)
            to[j] = (double)x[i + j] - shift;
        sum += PASTE(exp_some, f64, ISA_NAME)(to, n_some);
    }
    return sum;
}

INLINE double FN(add_bias_of)(const int32_t *touched, ptrdiff_t n, const REAL *base_of, REAL *z)
{
    double sums[4] = {0};
    ptrdiff_t i = 0;
#define ADD(i, sum)                                                                                                   \
    {                                                                                                                 \
        const REAL *base = base_of + 2 * (touched ? (ptrdiff_t)touched[i] : (i));                                      \
        z[i] += base[0];                                                                                              \
        sum += base[1];                                                                                               \
    }
    for (; i + 4 <= n; i += 4)
        for (int l = 0; l < 4; l++)
            ADD(i + l, sums[l]);
    for (; i < n; i++)
        ADD(i, sums[0]);
#undef ADD
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* z += bias, where base_of holds bias and exp(bias - shift) of each class, or of each of the n if `touched` is NULL;
 * returns the sum of the latter */
LEAF double FN(add_bias)(const int32_t *touched, ptrdiff_t n, const REAL *base_of, REAL *z)
{
    return touched ? FN(add_bias_of)(touched, n, base_of, z) : FN(add_bias_of)(NULL, n, base_of, z);
}

/* base_out <- (bias, exp(bias - shift)) side by side, for add_bias; returns the sum of the latter as they are rounded */
LEAF double FN(write_base)(const REAL *bias, ptrdiff_t n, double shift, REAL *base_out)
{
    double sum = 0, some[FN(WIDE)];
    for (ptrdiff_t i = 0; i < n; i += FN(WIDE)) {
        const ptrdiff_t n_some = n - i < FN(WIDE) ? n - i : FN(WIDE);
        FN(exp_wide)(bias + i, n_some, shift, some);
        for (ptrdiff_t j = 0; j < n_some; j++) {
            base_out[2 * (i + j)] = bias[i + j];
            base_out[2 * (i + j) + 1] = (REAL)some[j];
            sum += (REAL)some[j];
        }
    }
    return sum;
}

/* out <- dlogits + prior_scale prior[touched], less scale exp(bias[touched] - lse) where lse >= bias - 1 */
LEAF void FN(untouch_bias)(const int32_t *touched, ptrdiff_t n, const REAL *bias, const REAL *dlogits, double scale,
                           double lse, double prior_scale, const REAL *prior, double *out)
{
    double some[FN(WIDE)];
    for (ptrdiff_t i = 0; i < n; i += FN(WIDE)) {
        const ptrdiff_t n_some = n - i < FN(WIDE) ? n - i : FN(WIDE);
        for (ptrdiff_t j = 0; j < n_some; j++) {
            const double b = bias[touched[i + j]];
            some[j] = lse >= b - 1.0 ? b - lse : -INFINITY;
        }
        PASTE(exp_some, f64, ISA_NAME)(some, n_some);
        for (ptrdiff_t j = 0; j < n_some; j++)
            out[i + j] = dlogits[i + j] - scale * some[j];
        if (prior)
            for (ptrdiff_t j = 0; j < n_some; j++)
                out[i + j] += prior_scale * prior[touched[i + j]];
    }
}
