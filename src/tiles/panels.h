/* Tiles of logits in panels, and what fills and reads panels. It is included for each (instruction set, real type).
 *
 * A tile holds the logits of all rows of a batch for some classes, as panels of `width` rows: element (class c, row i) is
 * data[i / width * stride + c * width + i % width]. So one vector holds one class of several rows: maxima and sums over
 * classes need nothing across a vector, and there are no tails. The rows that fill up the last panel are worked on and
 * ignored.
 */

enum { FN(PANEL_WIDTH) = 2 * VBYTES / sizeof(REAL) }; /* half of it for batches of few rows */

LEAF ptrdiff_t FN(full_panel_width)(void) { return FN(PANEL_WIDTH); }

/* out[p][k, l] <- a(p * width + l, k), zero beyond n_rows */
LEAF void FN(pack_panels)(const REAL *a, ptrdiff_t row_stride, ptrdiff_t k_stride, ptrdiff_t n_rows, ptrdiff_t n_k,
                          const Panels *out)
{
    const ptrdiff_t width = out->width;
    for (ptrdiff_t p = 0; p < out->n_panels; p++) {
        REAL *panel = (REAL *)out->data + p * out->stride;
        const REAL *first = a + p * width * row_stride;
        ptrdiff_t n = n_rows - p * width < width ? n_rows - p * width : width;
        if (row_stride == 1)
            for (ptrdiff_t k = 0; k < n_k; k++) {
                memcpy(panel + k * width, first + k * k_stride, n * sizeof(REAL));
                memset(panel + k * width + n, 0, (width - n) * sizeof(REAL));
            }
        else
            for (ptrdiff_t k = 0; k < n_k; k++)
                for (ptrdiff_t l = 0; l < width; l++)
                    panel[k * width + l] = l < n ? first[l * row_stride + k * k_stride] : 0;
    }
}

/* out[k, i] <- a[i, k], or with `add` += it, for i < n_rows, k < n_cols. On x86
 * four by four floats at a time: one by one, the loss and gradient of CSR rows take 1.06 times as long. */
INLINE void FN(transpose_into)(const REAL *a, ptrdiff_t stride, ptrdiff_t n_rows, ptrdiff_t n_cols, REAL *out,
                               ptrdiff_t out_stride, const int add)
{
    ptrdiff_t whole_rows = 0, whole_cols = 0;
#if defined(X86) && !defined(REAL_IS_DOUBLE)
    whole_rows = n_rows / 4 * 4, whole_cols = n_cols / 4 * 4;
    for (ptrdiff_t k = 0; k < whole_cols; k += 4)
        for (ptrdiff_t i = 0; i < whole_rows; i += 4) {
            __m128 x[4];
            for (int r = 0; r < 4; r++)
                x[r] = _mm_loadu_ps(a + (i + r) * stride + k);
            _MM_TRANSPOSE4_PS(x[0], x[1], x[2], x[3]);
            for (int r = 0; r < 4; r++) {
                float *to = out + (k + r) * out_stride + i;
                _mm_storeu_ps(to, add ? _mm_add_ps(_mm_loadu_ps(to), x[r]) : x[r]);
            }
        }
#endif
    for (ptrdiff_t k = 0; k < n_cols; k++)
        for (ptrdiff_t i = k < whole_cols ? whole_rows : 0; i < n_rows; i++)
            out[k * out_stride + i] = add ? out[k * out_stride + i] + a[i * stride + k] : a[i * stride + k];
}

/* The other way round: out[i, k] <- panels[i / width][k, i % width] for i < n_rows; rows of `out` are out_stride apart. */
LEAF void FN(unpack_panels)(const Panels *panels, ptrdiff_t n_rows, ptrdiff_t n_k, REAL *out, ptrdiff_t out_stride)
{
    const ptrdiff_t width = panels->width;
    const REAL *panel = (const REAL *)panels->data;
    for (ptrdiff_t i = 0; i < n_rows; i += width, panel += panels->stride, out += width * out_stride)
        FN(transpose_into)(panel, width, n_k, n_rows - i < width ? n_rows - i : width, out, out_stride, 0);
}

/* One panel, n_v vectors wide, of exp_panels. */
INLINE void FN(exp_panel)(const int n_v, REAL *z, ptrdiff_t n_classes, const REAL *offset, REAL *max_io, REAL *shift_out,
                          double *sum_io)
{
    const ptrdiff_t width = n_v * LANES;
    V max[2], shift[2], sum[2] = {{0}, {0}}, before[2];
    for (int v = 0; v < n_v; v++)
        before[v] = max[v] = FN(load)(max_io + v * LANES);
    for (ptrdiff_t c = 0; c < n_classes; c++)
        for (int v = 0; v < n_v; v++) {
            V x = FN(load)(z + c * width + v * LANES);
            if (offset) {
                x += FN(splat)(offset[c]);
                FN(store)(z + c * width + v * LANES, x);
            }
            max[v] = FN(max)(x, max[v]); /* passes over NaN, which the exponential brings into the sum */
        }
    for (int v = 0; v < n_v; v++) /* exp(-inf - 0) = 0: nothing but -inf has the sum 0 */
        shift[v] = FN(select)((VI)(max[v] == FN(splat)(-INFINITY)), FN(splat)(0), max[v]);
    V r[2], power[2]; /* of the next class: begun before this one's is ended, see exp_reduce */
    FN(Exp2) unit = FN(exp2_of)((VI){0});
    for (int v = 0; v < n_v && n_classes > 0; v++)
        r[v] = FN(exp_reduce)(unit, FN(load)(z + v * LANES) - shift[v], &power[v]);
    for (ptrdiff_t c = 0; c < n_classes; c++, z += width)
        for (int v = 0; v < n_v; v++) {
            V this_r = r[v], this_power = power[v];
            if (c + 1 < n_classes)
                r[v] = FN(exp_reduce)(unit, FN(load)(z + width + v * LANES) - shift[v], &power[v]);
            V e = FN(exp_polynomial)(this_r, FN(splat)(1)) * this_power;
            FN(store)(z + v * LANES, e);
            sum[v] += e;
        }
    for (int v = 0; v < n_v; v++) {
        REAL factor[VBYTES / sizeof(REAL)], sum_lane[VBYTES / sizeof(REAL)];
        FN(store)(factor, FN(exp)(before[v] - shift[v]));
        FN(store)(sum_lane, sum[v]);
        FN(store)(max_io + v * LANES, max[v]);
        if (shift_out)
            FN(store)(shift_out + v * LANES, shift[v]);
        for (ptrdiff_t l = 0; l < LANES; l++)
            sum_io[v * LANES + l] = sum_io[v * LANES + l] * factor[l] + sum_lane[l];
    }
}

/* A step of a running log-sum-exp, for each row: max <- the largest so far, z <- exp(z + offset - shift), sum <- the sum of
 * exp(. - shift) so far, where shift is max, or 0 while that is -inf. offset, by class, may be NULL, and so may
 * shift_out. */
LEAF void FN(exp_panels)(const Panels *z, ptrdiff_t n_classes, const REAL *offset, REAL *max_io, REAL *shift_out,
                         double *sum_io)
{
    REAL *panel = (REAL *)z->data;
    for (ptrdiff_t p = 0; p < z->n_panels; p++, panel += z->stride) {
        REAL *shift = shift_out ? shift_out + p * z->width : shift_out;
        if (z->width == LANES)
            FN(exp_panel)(1, panel, n_classes, offset, max_io + p * z->width, shift, sum_io + p * z->width);
        else
            FN(exp_panel)(2, panel, n_classes, offset, max_io + p * z->width, shift, sum_io + p * z->width);
    }
}

/* sum[0:LANES] += a x, in double: one vector of it for one of doubles, two for one of floats. */
typedef double FN(wide) __attribute__((vector_size(VBYTES), aligned(1), may_alias));
#ifdef REAL_IS_DOUBLE
#define HALVES 1
INLINE void FN(add_wide)(FN(wide) *sum, double a, V x) { sum[0] += a * x; }
#else
#define HALVES 2
INLINE FN(wide) FN(widen)(const float *p)
{
#if defined(ISA_AVX512)
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
#elif defined(ISA_AVX2)
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
#else
    return (FN(wide)){p[0], p[1]};
#endif
}
INLINE void FN(add_wide)(FN(wide) *sum, double a, V x)
{
    REAL lane[VBYTES / sizeof(REAL)];
    FN(store)(lane, x);
    sum[0] += a * FN(widen)(lane);
    sum[1] += a * FN(widen)(lane + LANES / 2);
}
#endif

/* One panel, n_v vectors wide, of binary_panels for the logistic loss. With t = z + offset and u = exp(-|t|) <= 1,
 * softplus(t) = max(t, 0) + log(1 + u) and sigmoid(t) = 1 / (1 + u) or u / (1 + u): nothing overflows, and neither loses
 * digits. The sums are double since they may: a softplus is as large as its logit.
 *
 * Two loops over a few classes at a time: exp and log as one chain of instructions are so long that a CPU has the next
 * ones in hand too late; that takes half as long again. */
INLINE void FN(logistic_panel)(const int n_v, REAL *z, ptrdiff_t n_classes, const REAL *offset, const REAL *weight,
                               double *sum_io)
{
    enum { FEW = 8 };
    V u[2 * FEW];
    FN(wide) sum[2 * HALVES] = {{0}};
    for (ptrdiff_t c = 0; c < n_classes; c += FEW) {
        const ptrdiff_t n = n_classes - c < FEW ? n_classes - c : FEW;
        for (ptrdiff_t k = 0; k < n; k++)
            for (int v = 0; v < n_v; v++) {
                REAL *at = z + ((c + k) * n_v + v) * LANES;
                V t = FN(load)(at);
                if (offset)
                    FN(store)(at, t += FN(splat)(offset[c + k]));
                u[k * n_v + v] = FN(exp_below)((V)((VI)t | (VI)FN(splat)((REAL)-0.0)));
            }
        for (ptrdiff_t k = 0; k < n; k++)
            for (int v = 0; v < n_v; v++) {
                REAL *at = z + ((c + k) * n_v + v) * LANES;
                V t = FN(load)(at), e = u[k * n_v + v];
                V loss = FN(max)(FN(splat)(0), t) + FN(log1p_unit)(e); /* max: a NaN in t stays */
                FN(store)(at, FN(select)((VI)(t < 0), e, FN(splat)(1)) * weight[c + k] / (1 + e));
                FN(add_wide)(sum + v * HALVES, (double)weight[c + k], loss);
            }
    }
    for (int v = 0; v < n_v; v++)
        for (ptrdiff_t l = 0; l < LANES; l++)
            sum_io[v * LANES + l] += ((double *)(sum + v * HALVES))[l];
}

/* The same for the squared hinge, max(0, 1 + t)^2. */
INLINE void FN(hinge_panel)(const int n_v, REAL *z, ptrdiff_t n_classes, const REAL *offset, const REAL *weight,
                            double *sum_io)
{
    FN(wide) sum[2 * HALVES] = {{0}};
    for (ptrdiff_t c = 0; c < n_classes; c++)
        for (int v = 0; v < n_v; v++) {
            REAL *at = z + (c * n_v + v) * LANES;
            const V t = 1 + FN(load)(at) + (offset ? offset[c] : 0), h = FN(max)(FN(splat)(0), t);
            FN(store)(at, 2 * weight[c] * h);
            FN(add_wide)(sum + v * HALVES, (double)weight[c], h * h);
        }
    for (int v = 0; v < n_v; v++)
        for (ptrdiff_t l = 0; l < LANES; l++)
            sum_io[v * LANES + l] += ((double *)(sum + v * HALVES))[l];
}
#undef HALVES

/* sum += the sum over classes of weight loss(z + offset), by row; z <- weight loss'(z + offset), where the loss is that of a
 * class which the row does not have: log(1 + e^t), or max(0, 1 + t)^2. weight and offset are by class, and offset may be
 * NULL. */
LEAF void FN(binary_panels)(int kind, const Panels *z, ptrdiff_t n_classes, const REAL *offset, const REAL *weight,
                            double *sum_io)
{
    REAL *panel = (REAL *)z->data;
    for (ptrdiff_t p = 0; p < z->n_panels; p++, panel += z->stride, sum_io += z->width) {
#define PANEL(loss)                                                                                                   \
    z->width == LANES ? FN(loss##_panel)(1, panel, n_classes, offset, weight, sum_io)                                 \
                      : FN(loss##_panel)(2, panel, n_classes, offset, weight, sum_io)
        if (kind == BINARY_SQUARED_HINGE)
            PANEL(hinge);
        else
            PANEL(logistic);
#undef PANEL
    }
}

/* z <- scale z - prior_scale prior; the scales are by row, and prior is by class or NULL. z does not count where its scale is
 * 0: it may be NaN there. The prior counts, since the scale of a row is 0, too, where all its probabilities here underflow. */
LEAF void FN(scale_panels)(const Panels *z, ptrdiff_t n_classes, const REAL *scale, const REAL *prior_scale,
                           const REAL *prior)
{
    REAL *panel = (REAL *)z->data;
    for (ptrdiff_t p = 0; p < z->n_panels; p++, panel += z->stride)
        for (ptrdiff_t v = 0; v < z->width; v += LANES) {
            V a = FN(load)(scale + p * z->width + v), r = prior ? FN(load)(prior_scale + p * z->width + v) : a;
            VI counts = (VI)(a != 0);
            for (ptrdiff_t c = 0; c < n_classes; c++) {
                REAL *at = panel + c * z->width + v;
                V dz = (V)((VI)(a * FN(load)(at)) & counts);
                if (prior)
                    dz -= r * FN(splat)(prior[c]);
                FN(store)(at, dz);
            }
        }
}

/* sums_out[c] <- sum over rows i < n_rows of z(c, i) */
LEAF void FN(sum_panels)(const Panels *z, ptrdiff_t n_classes, ptrdiff_t n_rows, REAL *sums_out)
{
    for (ptrdiff_t c = 0; c < n_classes; c++) {
        const REAL *at = (const REAL *)z->data + c * z->width;
        V sum0 = {0}, sum1 = {0};
        for (ptrdiff_t left = n_rows; left > 0; left -= z->width, at += z->stride) {
            sum0 += left < LANES ? FN(load_part)(at, left, 0) : FN(load)(at);
            if (z->width > LANES && left > LANES)
                sum1 += left < 2 * LANES ? FN(load_part)(at + LANES, left - LANES, 0) : FN(load)(at + LANES);
        }
        sums_out[c] = FN(hsum)(sum0 + sum1);
    }
}
