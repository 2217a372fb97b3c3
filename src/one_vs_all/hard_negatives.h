/* One-vs-all problems of the squared hinge whose rows are their own: the positives of a class and its hard negatives, and
 * whose weights are those of the features of the positives. It is included for each (instruction set, real type).
 *
 * A class minimises 1/2 ||w||^2 + sum weight max(0, margin)^2, with the margin 1 - z of a positive and 1 + z of a negative,
 * where z = -1 + w . x, by Newton's method with conjugate gradients. Most negatives soon have z < -1: they neither cost nor
 * curve anything, so products with the Hessian read the rows of a list of active ones only.
 *
 * Arrays by feature end with zeros up to a whole number of vectors.
 */

enum { FN(SUMMED_VECTORS) = 64 }; /* over so many vectors sums in REAL do not lose digits */
enum { FN(ROWS_AHEAD) = 8 };
enum { FN(MAX_NEWTON_STEPS) = 200, FN(MAX_CG_STEPS) = 50, FN(MAX_STALLS) = 4 }; /* as in fastsoftmax/newton/one_vs_all.py */

/* The rows of a class, positives first, in its features. */
typedef struct {
    ptrdiff_t n_rows, n_positives, n_features; /* n_features: a multiple of LANES */
    const int64_t *starts;                     /* of the entries of the rows */
    const int32_t *features;                   /* of the entries */
    const REAL *x, *weight;                    /* of the entries, of the rows */
    int32_t *active;                           /* rows that have a margin above 0 */
    REAL *slopes;                              /* of these: the derivative of their weighted loss by z */
    ptrdiff_t n_active;
} FN(HardProblem);

/* The entries of some rows whose features have a place in `scratch->places`; returns the number of rows after them. Rows
 * without weight or, unless they are positives, without such features would not change anything. */
INLINE ptrdiff_t FN(gather_rows)(const HardRows *rows, const int32_t *ids, ptrdiff_t n_ids, double factor,
                                 const HardScratch *scratch, ptrdiff_t n)
{
    const int64_t *indptr = rows->indptr;
    const int32_t *indices = rows->indices, *places = scratch->places;
    const REAL *data = (const REAL *)rows->data;
    int32_t *features = scratch->entry_features;
    REAL *x = (REAL *)scratch->entries, *weight = (REAL *)scratch->rows;
    int64_t start = scratch->starts[n];
    for (ptrdiff_t r = 0; r < n_ids; r++) {
        if (r + 2 * FN(ROWS_AHEAD) < n_ids) /* rows lie anywhere in memory */
            __builtin_prefetch(indptr + ids[r + 2 * FN(ROWS_AHEAD)]);
        if (r + FN(ROWS_AHEAD) < n_ids) {
            __builtin_prefetch(indices + indptr[ids[r + FN(ROWS_AHEAD)]]);
            __builtin_prefetch(data + indptr[ids[r + FN(ROWS_AHEAD)]]);
        }
        const int64_t end = indptr[ids[r] + 1];
        int64_t at = start;
        for (int64_t e = indptr[ids[r]]; e < end; e++) { /* without a branch, which would be mispredicted */
            const int32_t place = places[indices[e]];
            features[at] = place;
            x[at] = data[e];
            at += place >= 0;
        }
        weight[n] = (REAL)(factor * ((const REAL *)rows->weight)[ids[r]]);
        scratch->starts[n + 1] = at;
        const int counts = (at > start) & (weight[n] != 0);
        n += counts;
        start = counts ? at : start;
    }
    return n;
}

INLINE FN(HardProblem) FN(gather)(const HardRows *rows, const HardClass *class_, const HardScratch *scratch)
{
    ptrdiff_t n_features = 0;
    for (ptrdiff_t r = 0; r < class_->n_positives; r++) {
        const int32_t row = class_->positives[r];
        for (int64_t e = rows->indptr[row]; e < rows->indptr[row + 1] && ((const REAL *)rows->weight)[row] != 0; e++) {
            const int32_t feature = rows->indices[e];
            if (scratch->places[feature] < 0) {
                scratch->places[feature] = (int32_t)n_features;
                scratch->feature_ids[n_features++] = feature;
            }
        }
    }
    FN(HardProblem) p;
    scratch->starts[0] = 0;
    p.n_positives = FN(gather_rows)(rows, class_->positives, class_->n_positives, class_->positive_weight, scratch, 0);
    p.n_rows = FN(gather_rows)(rows, class_->negatives, class_->n_negatives, 1.0, scratch, p.n_positives);
    for (ptrdiff_t f = 0; f < n_features; f++)
        scratch->places[scratch->feature_ids[f]] = -1;
    p.n_features = n_features;
    p.starts = scratch->starts;
    p.features = scratch->entry_features;
    p.x = (const REAL *)scratch->entries;
    p.weight = (const REAL *)scratch->rows;
    p.slopes = (REAL *)scratch->rows + scratch->row_stride;
    p.active = scratch->active;
    p.n_active = 0;
    return p;
}

INLINE REAL FN(row_dot)(const FN(HardProblem) *p, ptrdiff_t row, const REAL *v)
{
    const int32_t *features = p->features;
    const REAL *x = p->x;
    const int64_t end = p->starts[row + 1];
    REAL sum = 0;
    for (int64_t e = p->starts[row]; e < end; e++)
        sum += x[e] * v[features[e]];
    return sum;
}

INLINE void FN(add_row)(const FN(HardProblem) *p, ptrdiff_t row, REAL factor, REAL *v)
{
    const int32_t *features = p->features;
    const REAL *x = p->x;
    const int64_t end = p->starts[row + 1];
    for (int64_t e = p->starts[row]; e < end; e++)
        v[features[e]] += x[e] * factor;
}

/* The weighted losses at z; it notes the active rows. A NaN is one: it makes the loss NaN. */
INLINE double FN(hard_losses)(FN(HardProblem) *p, const REAL *z)
{
    ptrdiff_t n = 0;
    double loss = 0;
    for (ptrdiff_t i = 0; i < p->n_positives; i++) {
        p->active[n] = (int32_t)i;
        n += !(z[i] >= 1);
    }
    const ptrdiff_t n_positives = n;
    for (ptrdiff_t i = p->n_positives; i < p->n_rows; i++) {
        p->active[n] = (int32_t)i;
        n += !(z[i] <= -1);
    }
    p->n_active = n;
    for (ptrdiff_t a = 0; a < n; a++) {
        const REAL side = a < n_positives ? -1 : 1, margin = 1 + side * z[p->active[a]];
        const REAL weighted = p->weight[p->active[a]] * margin;
        p->slopes[a] = side * (weighted + weighted);
        loss += (double)weighted * margin;
    }
    return loss;
}

/* out <- v + H v, where H is the Hessian of the losses. */
INLINE void FN(hard_product)(const FN(HardProblem) *p, const REAL *v, REAL *restrict out)
{
    memcpy(out, v, p->n_features * sizeof(REAL));
    for (ptrdiff_t a = 0; a < p->n_active; a++) {
        const ptrdiff_t row = p->active[a];
        FN(add_row)(p, row, 2 * p->weight[row] * FN(row_dot)(p, row, v), out);
    }
}

INLINE double FN(hard_dot)(const REAL *a, const REAL *b, ptrdiff_t n)
{
    double dot = 0;
    for (ptrdiff_t begin = 0; begin < n; begin += FN(SUMMED_VECTORS) * LANES) {
        const ptrdiff_t end = begin + FN(SUMMED_VECTORS) * LANES < n ? begin + FN(SUMMED_VECTORS) * LANES : n;
        V sum = FN(splat)(0);
        for (ptrdiff_t f = begin; f < end; f += LANES)
            sum += FN(load)(a + f) * FN(load)(b + f);
        dot += FN(hsum)(sum);
    }
    return dot;
}

/* x += length d, r -= length q; returns the sum of inverse r^2, and d <- inverse r. */
INLINE double FN(hard_advance)(REAL length, const REAL *d, REAL *q, const REAL *inverse, ptrdiff_t n, REAL *x, REAL *r)
{
    for (ptrdiff_t f = 0; f < n; f += LANES) {
        FN(store)(x + f, FN(load)(x + f) + length * FN(load)(d + f));
        const V residual = FN(load)(r + f) - length * FN(load)(q + f);
        FN(store)(r + f, residual);
        FN(store)(q + f, FN(load)(inverse + f) * residual);
    }
    return FN(hard_dot)(q, r, n);
}

/* residual <- minus the gradient at w; returns its norm. */
INLINE double FN(hard_gradient)(const FN(HardProblem) *p, const REAL *w, REAL *restrict residual)
{
    for (ptrdiff_t f = 0; f < p->n_features; f++)
        residual[f] = -w[f];
    for (ptrdiff_t a = 0; a < p->n_active; a++)
        FN(add_row)(p, p->active[a], -p->slopes[a], residual);
    return sqrt(FN(hard_dot)(residual, residual, p->n_features));
}

/* step <- about the inverse Hessian times the residual; returns what the objective falls by if its Hessian stays as it is. */
INLINE double FN(hard_step)(const FN(HardProblem) *p, const REAL *inverse, REAL *residual, REAL *direction, REAL *product,
                            REAL *step)
{
    const ptrdiff_t n = p->n_features;
    memset(step, 0, n * sizeof(REAL));
    for (ptrdiff_t f = 0; f < n; f += LANES)
        FN(store)(direction + f, FN(load)(inverse + f) * FN(load)(residual + f));
    double squares = FN(hard_dot)(residual, direction, n), fall = 0;
    const double goal = squares / 16; /* a quarter of the residual is left */
    for (int t = 0; t < FN(MAX_CG_STEPS) && squares > goal; t++) {
        FN(hard_product)(p, direction, product);
        const double curvature = FN(hard_dot)(direction, product, n);
        if (!(curvature > 0)) /* all has underflowed */
            break;
        const double length = squares / curvature;
        fall += length * squares / 2;
        const double left = FN(hard_advance)((REAL)length, direction, product, inverse, n, step, residual);
        const REAL ratio = (REAL)(left / squares);
        for (ptrdiff_t f = 0; f < n; f += LANES)
            FN(store)(direction + f, FN(load)(product + f) + ratio * FN(load)(direction + f));
        squares = left;
    }
    return fall;
}

/* The weights of a class, times `scale`, that are neither 0 nor below `min_weight`; returns their number, or -1 if the
 * gradient overflows. There is room for one for each feature of its positives.
 *
 * It ends when the norm of the gradient is at most `tol` times that at w = 0, or when no step lowers the objective. Where
 * rounding hides how it falls, steps go on as long as the gradient becomes smaller. */
LEAF ptrdiff_t FN(solve_hard_negatives)(const HardRows *rows, const HardClass *class_, const HardScratch *scratch,
                                        const REAL *scale, double tol, double min_weight, int32_t *features_out,
                                        REAL *weights_out)
{
    if (class_->n_positives == 0)
        return 0;
    FN(HardProblem) p = FN(gather)(rows, class_, scratch);
    const ptrdiff_t n_features = p.n_features;
    p.n_features = (n_features + LANES - 1) / LANES * LANES;
    REAL *of_rows = (REAL *)scratch->rows + 2 * scratch->row_stride, *of_features = (REAL *)scratch->features;
    REAL *z = of_rows, *next = z + scratch->row_stride, *changes = next + scratch->row_stride;
    REAL *w = of_features, *step = w + scratch->feature_stride, *residual = step + scratch->feature_stride;
    REAL *direction = residual + scratch->feature_stride, *product = direction + scratch->feature_stride;
    REAL *inverse = product + scratch->feature_stride;

    memset(w, 0, p.n_features * sizeof(REAL));
    memset(inverse, 0, p.n_features * sizeof(REAL));
    for (ptrdiff_t i = 0; i < p.n_rows; i++) {
        z[i] = -1;
        for (int64_t e = p.starts[i]; e < p.starts[i + 1]; e++)
            inverse[p.features[e]] += 2 * p.weight[i] * p.x[e] * p.x[e];
    }
    for (ptrdiff_t f = 0; f < p.n_features; f++)
        inverse[f] = 1 / (1 + inverse[f]);

    double objective = FN(hard_losses)(&p, z), goal = 0, least = INFINITY;
    int n_stalls = 0, hidden = 0;
    for (int iteration = 0;; iteration++) {
        const double norm = FN(hard_gradient)(&p, w, residual);
        if (!(norm < INFINITY))
            return -1;
        if (iteration == 0)
            goal = tol * norm;
        n_stalls += hidden && norm >= least;
        if (norm <= goal || n_stalls == FN(MAX_STALLS) || iteration == FN(MAX_NEWTON_STEPS))
            break;
        least = norm < least ? norm : least;
        const double fall = FN(hard_step)(&p, inverse, residual, direction, product, step);
        for (ptrdiff_t i = 0; i < p.n_rows; i++)
            changes[i] = FN(row_dot)(&p, i, step);
        const double square = FN(hard_dot)(w, w, p.n_features), slope = FN(hard_dot)(w, step, p.n_features);
        const double bend = FN(hard_dot)(step, step, p.n_features);
        const double rounding = 64 * (sizeof(REAL) == 4 ? 0x1p-23 : 0x1p-52) * objective;
        hidden = fall <= rounding;
        double length = 1, now;
        for (; length > 1e-6; length /= 2) {
            for (ptrdiff_t i = 0; i < p.n_rows; i++)
                next[i] = z[i] + (REAL)length * changes[i];
            now = FN(hard_losses)(&p, next) + (square + length * (2 * slope + length * bend)) / 2;
            if (now < objective || (hidden && now <= objective + rounding))
                break;
        }
        if (!(length > 1e-6))
            break;
        objective = now;
        for (ptrdiff_t f = 0; f < p.n_features; f++)
            w[f] += (REAL)length * step[f];
        REAL *last = z;
        z = next;
        next = last;
    }

    ptrdiff_t n = 0;
    for (ptrdiff_t f = 0; f < n_features; f++) {
        const int32_t feature = scratch->feature_ids[f];
        const REAL weight = w[f] * scale[feature], size = weight < 0 ? -weight : weight;
        if (size > 0 && size >= min_weight) {
            features_out[n] = feature;
            weights_out[n++] = weight;
        }
    }
    return n;
}
