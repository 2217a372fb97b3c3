/* Leaf loops over rows of dense arrays. Included once per (instruction set, real type), after vec.h. */

enum { FN(LSE_BLOCK) = 16384 / sizeof(REAL) }; /* 16 KiB: the second look at a block finds it in L1 */

/* state <- the state of the union of two disjoint sets of elements */
INLINE void FN(lse_merge)(LseState *state, double max, double ties, double rest)
{
    if (max > state->max) {
        double scale = exp(state->max - max);
        state->rest = rest + (state->rest + state->ties) * scale;
        state->ties = ties;
        state->max = max;
    } else if (max == state->max) {
        state->ties += ties;
        state->rest += rest;
    } else {
        state->rest += (ties + rest) * exp(max - state->max);
    }
}

static void FN(lse_accumulate)(const REAL *x, ptrdiff_t n, LseState *state)
{
    for (ptrdiff_t start = 0; start < n; start += FN(LSE_BLOCK)) {
        const REAL *block = x + start;
        ptrdiff_t len = n - start < FN(LSE_BLOCK) ? n - start : FN(LSE_BLOCK), i = 0;
        V max0 = FN(splat)(-INFINITY), max1 = max0;
        for (; i + 2 * LANES <= len; i += 2 * LANES) {
            max0 = FN(max)(FN(load)(block + i), max0);
            max1 = FN(max)(FN(load)(block + i + LANES), max1);
        }
        for (; i < len; i += LANES)
            max0 = FN(max)(len - i < LANES ? FN(load_part)(block + i, len - i, -INFINITY) : FN(load)(block + i), max0);
        REAL block_max = FN(hmax)(FN(max)(max0, max1));
        (void)state; (void)block_max;
    }
}

static void FN(exp_array)(const REAL *x, ptrdiff_t n, REAL *y_out)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES)
        FN(store)(y_out + i, FN(exp)(FN(load)(x + i)));
    if (i < n)
        FN(store_part)(y_out + i, n - i, FN(exp)(FN(load_part)(x + i, n - i, 0)));
}

