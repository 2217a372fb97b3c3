/* Logits from pairs (feature, class): a row touches the classes of its features and leaves all others at their bias.
 * It is included for each (instruction set, real type), after dense/logsumexp.h, tiles/topk.h, rules/update.h,
 * compact/compact.h and one_vs_all/binary.h.
 *
 * `touch` has no branch that depends on whether a class is new, which would be mispredicted half of the time: a class is
 * always written behind the touched ones, and their number grows by 0 or 1. The only branch is for slots that another
 * class holds; in a direct map there are none.
 */

enum { FN(FETCH_BYTES) = 512 }; /* of a run that are fetched: the CPU sees by itself how a longer one goes on */

/* The slot of class `id`, or the free one where it belongs; *at_out: where it stands in `touched`, < 0 if nowhere. */
INLINE ptrdiff_t FN(find)(const int direct, const TouchTable *table, const int32_t *touched, int32_t base, int32_t id,
                          int32_t *at_out)
{
    ptrdiff_t slot = direct ? id : (ptrdiff_t)(((uint32_t)id * 0x9E3779B1u) >> table->shift); /* Fibonacci hashing */
    int32_t at = table->slots[slot] - base;
    /* Is it taken by another class? `&`, for whether a class is new is not predictable. */
    while (!direct && __builtin_expect((at >= 0) & (touched[at & ~(at >> 31)] != id), 0)) {
        slot = (slot + 1) & (table->n_slots - 1);
        at = table->slots[slot] - base;
    }
    *at_out = at;
    return slot;
}

/* Fetches the lines of n elements of a run; the arrays' runs begin anywhere in a line. */
INLINE void FN(fetch)(const void *from, ptrdiff_t n, ptrdiff_t itemsize, const int to_write)
{
    const char *at = from, *end = at + (n * itemsize < FN(FETCH_BYTES) ? n * itemsize : FN(FETCH_BYTES)) - 1;
    for (; at < end; at += 64)
        __builtin_prefetch(at, to_write);
    __builtin_prefetch(end, to_write);
}

/* What `touch` reads of a feature: those of a row lie anywhere in memory, and come while others are worked on. */
INLINE void FN(fetch_feature)(const int kind, const int paired, const PairWeights *weights, int32_t feature)
{
    const ptrdiff_t itemsize = kind == COMPACT_NONE ? (ptrdiff_t)sizeof(REAL) : kind == COMPACT_INT8 ? 1 : 2;
    const ptrdiff_t start = weights->starts[feature], n = weights->ends[feature] - start;
    if (n == 0)
        return; /* there may be no arrays at all */
    FN(fetch)(weights->class_ids + start, n, sizeof(int32_t), 0);
    FN(fetch)((const char *)weights->data + start * itemsize, n, itemsize, 0);
    if (paired)
        FN(fetch)((const REAL *)weights->base + 2 * start, n, 2 * sizeof(REAL), 0);
}

INLINE ptrdiff_t FN(touch_row)(const int kind, const int direct, const int keep, const int paired,
                               const PairWeights *weights, const int32_t *features, const REAL *x, ptrdiff_t n_entries,
                               const int32_t *targets, ptrdiff_t n_targets, const REAL *base_of, TouchTable table,
                               int32_t *touched, REAL *sums, int32_t *positions, REAL *bases)
{
    const int32_t base = (int32_t)*table.base;
    const REAL *w = (const REAL *)weights->data; /* reals, or what `kind` says */
    int32_t n = 0;
    for (; n < n_targets; n++) {
        int32_t at;
        const ptrdiff_t slot = FN(find)(direct, &table, touched, base, targets[n], &at);
        table.slots[slot] = base + n;
        touched[n] = targets[n];
        if (paired)
            memcpy(bases + 2 * n, base_of + 2 * (ptrdiff_t)targets[n], 2 * sizeof(REAL));
    }
    for (ptrdiff_t e = 0; e < n_entries; e++) {
        const ptrdiff_t start = weights->starts[features[e]], length = weights->ends[features[e]] - start;
        const int32_t *ids = weights->class_ids + start;
        const REAL xe = kind == COMPACT_INT8 ? x[e] * ((const REAL *)weights->scale)[features[e]] : x[e];
        const REAL *b = paired ? (const REAL *)weights->base + 2 * start : NULL;
        if (e + 2 < n_entries)
            FN(fetch_feature)(kind, paired, weights, features[e + 2]);
        for (ptrdiff_t q = 0; q < length; q++) {
            const int32_t id = ids[q];
            int32_t at;
            const ptrdiff_t slot = FN(find)(direct, &table, touched, base, id, &at);
            const int32_t is_new = at >> 31, p = (n & is_new) | (at & ~is_new);
            touched[n] = id;
            if (paired)
                memcpy(bases + 2 * (ptrdiff_t)n, b + 2 * q, 2 * sizeof(REAL));
            else if (base_of)
                __builtin_prefetch(base_of + 2 * (ptrdiff_t)id, 0, 2);
            table.slots[slot] = base + p;
            sums[p] += xe * (kind == COMPACT_NONE ? w[start + q] : (REAL)FN(one_float)(kind, w, start + q));
            if (keep)
                positions[q] = p;
            n -= is_new;
        }
        if (keep)
            positions += length;
    }
    return n;
}

/* A row's touched classes in order of first touch, the targets first, which all differ; sums_out[p] <- x . w of them;
 * positions_out[...] <- p of every element of the row's features, unless NULL. There is room for `capacity` of them, one
 * more than there can be. base_of holds bias and exp(bias - shift) of each class; bases_out <- the same of the touched ones,
 * where `weights` has them; else they are fetched into a cache, unless base_of is NULL. Returns their number. */
LEAF ptrdiff_t FN(touch)(const PairWeights *weights, const int32_t *features, const REAL *x, ptrdiff_t n_entries,
                         const int32_t *targets, ptrdiff_t n_targets, const REAL *base_of, const TouchTable *table,
                         ptrdiff_t capacity, int32_t *touched_out, REAL *sums_out, int32_t *positions_out,
                         REAL *bases_out)
{
    memset(sums_out, 0, capacity * sizeof(REAL));
#define ROW(direct, keep, paired)                                                                                     \
    FN(touch_row)(COMPACT_NONE, direct, keep, paired, weights, features, x, n_entries, targets, n_targets, base_of,   \
                  *table, touched_out, sums_out, positions_out, bases_out)
#define COMPACT_ROW(kind)                                                                                             \
    return FN(touch_row)(kind, table->direct, 0, weights->base != NULL, weights, features, x, n_entries, targets,     \
                         n_targets, base_of, *table, touched_out, sums_out, NULL, bases_out)
    if (weights->kind != COMPACT_NONE)
        FOR_KIND(weights->kind, COMPACT_ROW)
#undef COMPACT_ROW
#define ROW_KEEP(direct, paired) (positions_out ? ROW(direct, 1, paired) : ROW(direct, 0, paired))
    if (table->direct)
        return weights->base ? ROW_KEEP(1, 1) : ROW_KEEP(1, 0);
    return weights->base ? ROW_KEEP(0, 1) : ROW_KEEP(0, 0);
#undef ROW_KEEP
#undef ROW
}

/* z <- exp(z - max); returns their sum, and in max_out the largest z, or 0 if that is -inf */
LEAF double FN(exp_touched)(REAL *z, ptrdiff_t n, double *max_out)
{
    const REAL max = FN(block_max)(z, NULL, n, -INFINITY), shift = max == -INFINITY ? 0 : max;
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i += 8 * FN(WIDE)) /* sums of REAL are short */
        sum += FN(block_sum)(z + i, n - i < 8 * FN(WIDE) ? n - i : 8 * FN(WIDE), shift, 2 * FN(BLOCK), z + i, NULL);
    *max_out = shift;
    return sum;
}

/* z <- the derivative of the binary loss of a class that the row does not have, log(1 + e^z) or max(0, 1 + z)^2; returns the
 * sum of the losses. z may be -inf, which counts for nothing. */
LEAF double FN(binary_touched)(int kind, REAL *z, ptrdiff_t n)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const V t = FN(load_upto)(z + i, n - i, -INFINITY);
        V slope, curvature;
        sum += FN(hsum)(kind == BINARY_SQUARED_HINGE
                            ? FN(negative_loss)(BINARY_SQUARED_HINGE, t, FN(splat)(1), &slope, &curvature)
                            : FN(negative_loss)(BINARY_LOGISTIC, t, FN(splat)(1), &slope, &curvature));
        FN(store_upto)(z + i, n - i, slope);
    }
    return sum;
}

/* z <- scale z - prior_scale prior[touched]; prior may be NULL. z does not count where its scale is 0: it may be NaN there. */
LEAF void FN(scale_touched)(REAL *z, const int32_t *touched, ptrdiff_t n, double scale, double prior_scale,
                            const REAL *prior)
{
    const REAL factor = (REAL)scale, prior_factor = (REAL)prior_scale;
    if (factor == 0)
        memset(z, 0, n * sizeof(REAL));
    for (ptrdiff_t i = 0; i < n && factor != 0; i++)
        z[i] *= factor;
    if (prior)
        for (ptrdiff_t i = 0; i < n; i++)
            z[i] -= prior_factor * prior[touched[i]];
}

/* grad (+)= x dlogits[positions], for n classes */
INLINE void FN(gather_add)(const int first, const int32_t *positions, const REAL *dlogits, REAL x, ptrdiff_t n,
                           REAL *restrict grad)
{
    for (ptrdiff_t q = 0; q < n; q++)
        grad[q] = first ? x * dlogits[positions[q]] : grad[q] + x * dlogits[positions[q]];
}

INLINE const int32_t *FN(positions_of)(const PairStep *step, ptrdiff_t e, const PairPiece *piece)
{
    return step->positions + step->offsets[e] + piece->begin;
}

/* Most gradients that an entry needs lie side by side, since most classes of a row are touched once. */
INLINE void FN(fetch_dlogits)(const PairStep *step, ptrdiff_t e, const PairPiece *piece)
{
    FN(fetch)((const REAL *)step->dlogits + step->row_ptr[step->rows[e]] + *FN(positions_of)(step, e, piece),
              piece->length, sizeof(REAL), 0);
}

/* The step of these pieces, whose gradient is written to `grad`: room for PIECE_CLASSES reals. */
LEAF void FN(step_pairs)(const PairStep *step, const PairPiece *pieces, ptrdiff_t n_pieces, REAL *grad)
{
    const Rule *rule = step->rule;
    const REAL learning_rate = (REAL)rule->learning_rate, epsilon = (REAL)rule->epsilon, alpha = (REAL)rule->alpha;
    for (ptrdiff_t i = 0; i < n_pieces; i++) {
        const PairPiece piece = pieces[i];
        const ptrdiff_t n = piece.length, at = step->starts[piece.feature] + piece.begin;
        const ptrdiff_t first = step->col_indptr[piece.feature], end = step->col_indptr[piece.feature + 1];
        REAL *w = (REAL *)step->data + at, *state = step->state ? (REAL *)step->state + at : w;
        if (i + 2 < n_pieces) { /* two ahead: where its gradients lie, its positions say */
            const PairPiece *next = pieces + i + 2;
            const ptrdiff_t to = step->starts[next->feature] + next->begin;
            FN(fetch)((REAL *)step->data + to, next->length, sizeof(REAL), 1);
            if (step->state)
                FN(fetch)((REAL *)step->state + to, next->length, sizeof(REAL), 1);
            FN(fetch)(FN(positions_of)(step, step->col_indptr[next->feature], next), next->length, sizeof(int32_t), 0);
        }
        if (i + 1 < n_pieces) {
            const PairPiece *next = pieces + i + 1;
            const ptrdiff_t e = step->col_indptr[next->feature];
            FN(fetch_dlogits)(step, e, next);
            if (e + 1 < step->col_indptr[next->feature + 1])
                FN(fetch)(FN(positions_of)(step, e + 1, next), next->length, sizeof(int32_t), 0);
        }
        for (ptrdiff_t e = first; e < end; e++) {
            const int32_t *positions = FN(positions_of)(step, e, &piece);
            if (e + 2 < end)
                FN(fetch)(FN(positions_of)(step, e + 2, &piece), n, sizeof(int32_t), 0);
            if (e + 1 < end)
                FN(fetch_dlogits)(step, e + 1, &piece);
            const REAL *dlogits = (const REAL *)step->dlogits + step->row_ptr[step->rows[e]];
            const REAL x = ((const REAL *)step->x)[e];
            if (e == first)
                FN(gather_add)(1, positions, dlogits, x, n, grad);
            else
                FN(gather_add)(0, positions, dlogits, x, n, grad);
        }
        if (alpha != 0)
            for (ptrdiff_t q = 0; q < n; q++)
                grad[q] += alpha * w[q];
#define UPDATE(kind) FN(update_row)(kind, w, 1, NULL, n, grad, state, learning_rate, epsilon)
        FOR_RULE(rule->kind, UPDATE)
#undef UPDATE
    }
}

/* The heap (values, ids) of the k best of a row, best first. They are taken from its touched classes and from those of
 * `ranked`, n_ranked classes by falling bias, that it has not touched, but for those excluded for `row`. is_listed tells of
 * each class whether it may be taken where it is touched, or is NULL; `ranked` then holds no others. */
LEAF void FN(topk_touched)(const int32_t *touched, const REAL *z, ptrdiff_t n, const TouchTable *table,
                           const int32_t *ranked, ptrdiff_t n_ranked, const REAL *bias, const uint8_t *is_listed,
                           const Excluded *excluded, ptrdiff_t row, ptrdiff_t k, REAL *values, int64_t *ids)
{
    for (ptrdiff_t j = 0; j < k; j++) {
        values[j] = -INFINITY;
        ids[j] = INT64_MAX;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        const int64_t id = touched[i];
        if (FN(heap_worse)(values[0], ids[0], z[i], id) && (!is_listed || is_listed[id])
            && !(excluded->indptr && FN(is_excluded)(excluded, row, id)))
            FN(heap_place)(values, ids, k, 0, z[i], id);
    }
    for (ptrdiff_t r = 0; r < n_ranked; r++) {
        const int32_t id = ranked[r];
        if (!FN(heap_worse)(values[0], ids[0], bias[id], id))
            break; /* nor will those behind it get in */
        int32_t at;
        if (table->direct)
            FN(find)(1, table, touched, (int32_t)*table->base, id, &at);
        else
            FN(find)(0, table, touched, (int32_t)*table->base, id, &at);
        if (at < 0 && !(excluded->indptr && FN(is_excluded)(excluded, row, id)))
            FN(heap_place)(values, ids, k, 0, bias[id], id);
    }
    FN(topk_merge)(values, ids, 1, 0, k);
}
