/* What a rule makes of weights and their gradient. It is included for each (instruction set, real type).
 *
 * A further rule is a number in structs.h, a name in rule.pxd, and here a case in FOR_RULE, its step of an element in
 * `updated`, and whether it has a state in RULE_HAS_STATE.
 */

/* CALL(kind) with a constant, so that no loop in it has a branch on the kind */
#define FOR_RULE(kind, CALL)                                                                                          \
    switch (kind) {                                                                                                   \
    case RULE_ADD:                                                                                                    \
        CALL(RULE_ADD);                                                                                               \
        break;                                                                                                        \
    case RULE_STORE:                                                                                                  \
        CALL(RULE_STORE);                                                                                             \
        break;                                                                                                        \
    case RULE_SGD:                                                                                                    \
        CALL(RULE_SGD);                                                                                               \
        break;                                                                                                        \
    default:                                                                                                          \
        CALL(RULE_ADAGRAD);                                                                                           \
    }
#define RULE_HAS_STATE(kind) ((kind) == RULE_ADAGRAD)

/* The step of one element; `state` is the element's own. */
INLINE REAL FN(updated)(int kind, REAL w, REAL g, REAL *state, REAL learning_rate, REAL epsilon)
{
    if (kind == RULE_ADD)
        return w + g;
    if (kind == RULE_STORE)
        return 0 + g; /* a zero of the sign that it has after it is added to a zero */
    if (kind == RULE_SGD)
        return w - learning_rate * g;
    REAL square = *state + g * g;
    *state = square;
#ifdef REAL_IS_DOUBLE
    return w - learning_rate * g / (sqrt(square) + epsilon);
#else
    return w - learning_rate * g / (sqrtf(square) + epsilon);
#endif
}

/* The step of a row; `kind` is a constant at each call. */
INLINE void FN(update_row)(const int kind, REAL *row, ptrdiff_t col_stride, const int64_t *col_ids, ptrdiff_t n_cols,
                           const REAL *restrict grad, REAL *state, REAL learning_rate, REAL epsilon)
{
    if (col_stride == 1 && !col_ids) {
        REAL *restrict w = row, *restrict s = state;
        for (ptrdiff_t j = 0; j < n_cols; j++)
            w[j] = FN(updated)(kind, w[j], grad[j], s + j, learning_rate, epsilon);
        return;
    }
    for (ptrdiff_t j = 0; j < n_cols; j++) {
        ptrdiff_t at = (col_ids ? col_ids[j] : j) * col_stride;
        row[at] = FN(updated)(kind, row[at], grad[j], state + at, learning_rate, epsilon);
    }
}

INLINE double FN(mean_square)(const REAL *x, ptrdiff_t n)
{
    V sum0 = FN(splat)(0), sum1 = sum0;
    ptrdiff_t j = 0;
    for (; j + 2 * LANES <= n; j += 2 * LANES) {
        V a = FN(load)(x + j), b = FN(load)(x + j + LANES);
        sum0 += a * a;
        sum1 += b * b;
    }
    double rest = 0;
    for (; j < n; j++)
        rest += (double)x[j] * x[j];
    return (FN(hsum)(sum0 + sum1) + rest) / n;
}

/* The learning rate of a row whose state is one number, the sum of its mean squared gradients: the step is then SGD's. */
INLINE REAL FN(row_rate)(const Rule *rule, const REAL *grad, ptrdiff_t n_cols, REAL *state)
{
    *state += (REAL)FN(mean_square)(grad, n_cols);
    return (REAL)(rule->learning_rate / (sqrt((double)*state) + rule->epsilon));
}

/* block <- rule(block, grad); the rows of grad, (n_rows, n_cols), are grad_stride apart, and it may be changed; state has
 * one value a row, or is laid out as block */
LEAF void FN(update_block)(const Rule *rule, const Block *block, ptrdiff_t n_rows, ptrdiff_t n_cols, REAL *grad,
                           ptrdiff_t grad_stride, REAL *state)
{
    const REAL epsilon = (REAL)rule->epsilon, alpha = (REAL)rule->alpha;
    const int by_row = RULE_HAS_STATE(rule->kind) && rule->state_per_row, kind = by_row ? RULE_SGD : rule->kind;
    for (ptrdiff_t i = 0; i < n_rows; i++, grad += grad_stride) {
        ptrdiff_t id = block->row_ids ? block->row_ids[i] : i;
        REAL *row = (REAL *)block->data + id * block->row_stride;
        REAL *row_state = state && !by_row ? state + id * block->row_stride : row;
        if (alpha != 0)
            for (ptrdiff_t j = 0; j < n_cols; j++)
                grad[j] += alpha * row[(block->col_ids ? block->col_ids[j] : j) * block->col_stride];
        const REAL rate = by_row ? FN(row_rate)(rule, grad, n_cols, state + id) : (REAL)rule->learning_rate;
#define ROW(kind) FN(update_row)(kind, row, block->col_stride, block->col_ids, n_cols, grad, row_state, rate, epsilon)
        FOR_RULE(kind, ROW)
#undef ROW
    }
}
