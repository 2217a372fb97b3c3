/* Logits from pairs (feature, class): a row touches the classes of its features and leaves all others at their bias.
 * It is included for each (instruction set, real type), after dense/logsumexp.h, tiles/topk.h, rules/update.h,
 * compact/compact.h and one_vs_all/binary.h.
 *
 * `touch` has no branch that depends on whether a class is new, which would be mispredicted half of the time: a class is
 * always written behind the touched ones, and their number grows by 0 or 1. The only branch is for slots that another
 * class holds; in a direct map there are none.
 */

enum { FN(PAIRS) = 64 / sizeof(REAL) }; /* pairs (feature, class) whose weights fill a cache line */

/* The slot of class `id`, or the free one where it belongs; *at_out: where it stands among the touched ones, < 0 if free. */
INLINE ptrdiff_t FN(find)(const int direct, const TouchTable *table, int32_t base, int32_t id, int32_t *at_out)
{
    if (direct) {
        *at_out = ((const int32_t *)table->slots)[id] - base;
        return id;
    }
    const uint32_t mask = (uint32_t)table->n_slots - 1;
    uint32_t slot = (((uint32_t)id ^ ((uint32_t)id >> table->shift)) * 0x9E3779B1u) & mask;
    int64_t held = table->slots[slot];
    int32_t at = (int32_t)(held >> 32) - base;
    while (__builtin_expect((((int32_t)held ^ id) & ~(at >> 31)) != 0, 0)) { /* taken by another class */
        slot = (slot + 1) & mask;
        held = table->slots[slot];
        at = (int32_t)(held >> 32) - base;
    }
    *at_out = at;
    return slot;
}

INLINE void FN(put)(const int direct, const TouchTable *table, ptrdiff_t slot, int32_t id, int32_t held)
{
    if (direct)
        ((int32_t *)table->slots)[slot] = held;
    else
        table->slots[slot] = (int64_t)held << 32 | (uint32_t)id;
}

/* The features of a row lie anywhere in memory: the next one is fetched line by line while one is worked on. */
INLINE void FN(prefetch_pairs)(const int kind, const PairWeights *weights, ptrdiff_t at)
{
    const ptrdiff_t itemsize = kind == COMPACT_NONE ? (ptrdiff_t)sizeof(REAL) : kind == COMPACT_INT8 ? 1 : 2;
    __builtin_prefetch(weights->class_ids + at);
    __builtin_prefetch((const char *)weights->data + at * itemsize);
    if (weights->base) {
        __builtin_prefetch((const REAL *)weights->base + 2 * at);
        __builtin_prefetch((const REAL *)weights->base + 2 * at + FN(PAIRS));
    }
}

INLINE ptrdiff_t FN(touch_row)(const int kind, const int direct, const int keep, const int paired,
                               const PairWeights *weights, const int32_t *features, const REAL *x, ptrdiff_t n_entries,
                               const int32_t *targets, ptrdiff_t n_targets, const REAL *base_of, TouchTable table,
                               int32_t *touched, REAL *sums, int32_t *positions, REAL *bases)
{
    const int32_t base = (int32_t)*table.base;
    int32_t n = 0;
    for (; n < n_targets; n++) {
        int32_t at;
        const ptrdiff_t slot = FN(find)(direct, &table, base, targets[n], &at);
        FN(put)(direct, &table, slot, targets[n], base + n);
        touched[n] = targets[n];
        if (paired)
            memcpy(bases + 2 * n, base_of + 2 * (ptrdiff_t)targets[n], 2 * sizeof(REAL));
    }
    for (ptrdiff_t e = 0; e < n_entries; e++) {
        const ptrdiff_t start = weights->starts[features[e]], length = weights->ends[features[e]] - start;
        const int32_t *ids = weights->class_ids + start;
        const REAL xe = kind == COMPACT_INT8 ? x[e] * ((const REAL *)weights->scale)[features[e]] : x[e];
        const REAL *b = paired ? (const REAL *)weights->base + 2 * start : NULL;
        const ptrdiff_t next = e + 1 < n_entries ? weights->starts[features[e + 1]] : start;
        const ptrdiff_t next_length = e + 1 < n_entries ? weights->ends[features[e + 1]] - next : 0;
        const int32_t before = n;
        if (next_length > 0)
            FN(prefetch_pairs)(kind, weights, next);
        for (ptrdiff_t line = 0; line < length; line += FN(PAIRS)) {
            const ptrdiff_t end = length - line < FN(PAIRS) ? length : line + FN(PAIRS);
            if (line + FN(PAIRS) < next_length)
                FN(prefetch_pairs)(kind, weights, next + line + FN(PAIRS));
            for (ptrdiff_t q = line; q < end; q++) {
                const int32_t id = ids[q];
                int32_t at;
                const ptrdiff_t slot = FN(find)(direct, &table, base, id, &at);
                const int32_t is_new = at >> 31, p = (n & is_new) | (at & ~is_new);
                touched[n] = id;
                if (paired)
                    memcpy(bases + 2 * (ptrdiff_t)n, b + 2 * q, 2 * sizeof(REAL));
                FN(put)(direct, &table, slot, id, base + p);
                sums[p] += xe * (kind == COMPACT_NONE ? ((const REAL *)weights->data)[start + q]
                                                      : (REAL)FN(one_float)(kind, weights->data, start + q));
                if (keep)
                    positions[q] = p;
                n -= is_new;
            }
        }
        for (int32_t p = before; p < n && !paired; p++)
            __builtin_prefetch(base_of + 2 * touched[p], 0, 2);
        if (keep)
            positions += length;
    }
    return n;
}

/* A row's touched classes in order of first touch, the targets first, which all differ; sums_out[p] <- x . w of them;
 * positions_out[...] <- p of every element of the row's features, unless NULL. There is room for `capacity` of them, one
 * more than there can be. base_of holds bias and exp(bias - shift) of each class; bases_out <- the same of the touched ones,
 * where `weights` has them; else they are fetched into a cache. Returns their number. */
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
        if (i + 1 < n_pieces) {
            const ptrdiff_t next = step->starts[pieces[i + 1].feature] + pieces[i + 1].begin;
            __builtin_prefetch((REAL *)step->data + next, 1);
            if (step->state)
                __builtin_prefetch((REAL *)step->state + next, 1);
            __builtin_prefetch(step->positions + step->offsets[step->col_indptr[pieces[i + 1].feature]]);
        }
        for (ptrdiff_t e = first; e < end; e++) {
            const int32_t *positions = step->positions + step->offsets[e] + piece.begin;
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
            FN(find)(1, table, (int32_t)*table->base, id, &at);
        else
            FN(find)(0, table, (int32_t)*table->base, id, &at);
        if (at < 0 && !(excluded->indptr && FN(is_excluded)(excluded, row, id)))
            FN(heap_place)(values, ids, k, 0, bias[id], id);
    }
    FN(topk_merge)(values, ids, 1, 0, k);
}
