# The C leaf loops of a sparse direct term, by fused type, and the table of touched classes of each thread.
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t
from libc.string cimport memset

from tiles.tileops cimport Excluded, Rule
from shared.fused cimport real


cdef extern from "shared/table.h":
    ctypedef struct SupportWeights:
        const Py_ssize_t *starts
        const Py_ssize_t *ends
        const int32_t *class_ids
        const void *data
        const void *base
        const void *scale
        int kind

    ctypedef struct TouchTable:
        int64_t *slots
        int64_t *base
        Py_ssize_t n_slots
        int direct
        int shift

    ctypedef struct SupportStep:
        const Rule *rule
        const Py_ssize_t *starts
        void *data
        void *state
        const Py_ssize_t *col_indptr
        const int32_t *rows
        const void *x
        const Py_ssize_t *offsets
        const int32_t *positions
        const Py_ssize_t *row_ptr
        const void *dlogits

    ctypedef struct SupportPiece:
        int32_t feature
        int32_t length
        Py_ssize_t begin

    enum: SUPPORT_PIECE

    Py_ssize_t f32_touch "rowops->f32.touch"(
        const SupportWeights *, const int32_t *, const float *, Py_ssize_t, int32_t, const float *, const TouchTable *,
        Py_ssize_t, int32_t *, float *, int32_t *, float *) noexcept nogil
    Py_ssize_t f64_touch "rowops->f64.touch"(
        const SupportWeights *, const int32_t *, const double *, Py_ssize_t, int32_t, const double *, const TouchTable *,
        Py_ssize_t, int32_t *, double *, int32_t *, double *) noexcept nogil
    double f32_add_bias "rowops->f32.add_bias"(const int32_t *, Py_ssize_t, const float *, float *) noexcept nogil
    double f32_write_base "rowops->f32.write_base"(const float *, Py_ssize_t, double, float *) noexcept nogil
    double f64_add_bias "rowops->f64.add_bias"(const int32_t *, Py_ssize_t, const double *, double *) noexcept nogil
    double f64_write_base "rowops->f64.write_base"(const double *, Py_ssize_t, double, double *) noexcept nogil
    void f32_add_dots "rowops->f32.add_dots"(
        const int32_t *, Py_ssize_t, const float *, const float *, Py_ssize_t, Py_ssize_t, const float *,
        float *) noexcept nogil
    void f64_add_dots "rowops->f64.add_dots"(
        const int32_t *, Py_ssize_t, const double *, const double *, Py_ssize_t, Py_ssize_t, const double *,
        double *) noexcept nogil
    double f32_exp_touched "rowops->f32.exp_touched"(float *, Py_ssize_t, double *) noexcept nogil
    double f64_exp_touched "rowops->f64.exp_touched"(double *, Py_ssize_t, double *) noexcept nogil
    void f32_scale_touched "rowops->f32.scale_touched"(
        float *, const int32_t *, Py_ssize_t, double, double, const float *) noexcept nogil
    void f64_scale_touched "rowops->f64.scale_touched"(
        double *, const int32_t *, Py_ssize_t, double, double, const double *) noexcept nogil
    void f32_support_step "rowops->f32.support_step"(
        const SupportStep *, const SupportPiece *, Py_ssize_t, float *) noexcept nogil
    void f64_support_step "rowops->f64.support_step"(
        const SupportStep *, const SupportPiece *, Py_ssize_t, double *) noexcept nogil
    double f32_exp_wide "rowops->f32.exp_wide"(const float *, Py_ssize_t, double, double *) noexcept nogil
    double f64_exp_wide "rowops->f64.exp_wide"(const double *, Py_ssize_t, double, double *) noexcept nogil
    void f32_untouch_bias "rowops->f32.untouch_bias"(
        const int32_t *, Py_ssize_t, const float *, const float *, double, double, double,
        const float *, double *) noexcept nogil
    void f64_untouch_bias "rowops->f64.untouch_bias"(
        const int32_t *, Py_ssize_t, const double *, const double *, double, double, double,
        const double *, double *) noexcept nogil
    void f32_topk_touched "rowops->f32.topk_touched"(
        const int32_t *, const float *, Py_ssize_t, const TouchTable *, const int32_t *, Py_ssize_t, const float *,
        const uint8_t *, const Excluded *, Py_ssize_t, Py_ssize_t, float *, int64_t *) noexcept nogil
    void f64_topk_touched "rowops->f64.topk_touched"(
        const int32_t *, const double *, Py_ssize_t, const TouchTable *, const int32_t *, Py_ssize_t, const double *,
        const uint8_t *, const Excluded *, Py_ssize_t, Py_ssize_t, double *, int64_t *) noexcept nogil


cdef inline Py_ssize_t touch(
    const SupportWeights *weights, const int32_t *features, const real *x, Py_ssize_t n_entries, int32_t target,
    const real *base_of, const TouchTable *table, Py_ssize_t capacity, int32_t *touched_out, real *sums_out,
    int32_t *positions_out, real *bases_out
) noexcept nogil:
    if real is float:
        return f32_touch(weights, features, x, n_entries, target, base_of, table, capacity, touched_out, sums_out,
                         positions_out, bases_out)
    else:
        return f64_touch(weights, features, x, n_entries, target, base_of, table, capacity, touched_out, sums_out,
                         positions_out, bases_out)


cdef inline double add_bias(const int32_t *touched, Py_ssize_t n, const real *base_of, real *z) noexcept nogil:
    if real is float:
        return f32_add_bias(touched, n, base_of, z)
    else:
        return f64_add_bias(touched, n, base_of, z)


cdef inline double write_base(const real *bias, Py_ssize_t n, double shift, real *base_out) noexcept nogil:
    if real is float:
        return f32_write_base(bias, n, shift, base_out)
    else:
        return f64_write_base(bias, n, shift, base_out)


cdef inline double exp_touched(real *z, Py_ssize_t n, double *max_out) noexcept nogil:
    if real is float:
        return f32_exp_touched(z, n, max_out)
    else:
        return f64_exp_touched(z, n, max_out)


cdef inline void scale_touched(
    real *z, const int32_t *touched, Py_ssize_t n, double scale, double prior_scale, const real *prior
) noexcept nogil:
    if real is float:
        f32_scale_touched(z, touched, n, scale, prior_scale, prior)
    else:
        f64_scale_touched(z, touched, n, scale, prior_scale, prior)


cdef inline void support_step(
    const SupportStep *step, const SupportPiece *pieces, Py_ssize_t n_pieces, real *grad
) noexcept nogil:
    if real is float:
        f32_support_step(step, pieces, n_pieces, grad)
    else:
        f64_support_step(step, pieces, n_pieces, grad)


cdef inline void add_dots(
    const int32_t *ids, Py_ssize_t n, const real *x, const real *V, Py_ssize_t v_stride, Py_ssize_t n_hidden,
    const real *bias, real *z
) noexcept nogil:
    if real is float:
        f32_add_dots(ids, n, x, V, v_stride, n_hidden, bias, z)
    else:
        f64_add_dots(ids, n, x, V, v_stride, n_hidden, bias, z)


cdef inline double exp_wide(const real *x, Py_ssize_t n, double shift, double *out) noexcept nogil:
    if real is float:
        return f32_exp_wide(x, n, shift, out)
    else:
        return f64_exp_wide(x, n, shift, out)


cdef inline void untouch_bias(
    const int32_t *touched, Py_ssize_t n, const real *bias, const real *dlogits, double scale, double lse,
    double prior_scale, const real *prior, double *out
) noexcept nogil:
    if real is float:
        f32_untouch_bias(touched, n, bias, dlogits, scale, lse, prior_scale, prior, out)
    else:
        f64_untouch_bias(touched, n, bias, dlogits, scale, lse, prior_scale, prior, out)


cdef inline void topk_touched(
    const int32_t *touched, const real *z, Py_ssize_t n, const TouchTable *table, const int32_t *ranked,
    Py_ssize_t n_ranked, const real *bias, const uint8_t *is_listed, const Excluded *excluded, Py_ssize_t row,
    Py_ssize_t k, real *values, int64_t *ids
) noexcept nogil:
    if real is float:
        f32_topk_touched(
            touched, z, n, table, ranked, n_ranked, bias, is_listed, excluded, row, k, values, ids)
    else:
        f64_topk_touched(
            touched, z, n, table, ranked, n_ranked, bias, is_listed, excluded, row, k, values, ids)


cdef enum:
    SLOTS_PER_CLASS = 4     # so that few of them meet a slot of another class
    DIRECT = 32768          # so many classes have a direct map in any case: it stays in a second-level cache


cdef inline Py_ssize_t n_slots_for(Py_ssize_t capacity) noexcept nogil:
    """A power of two that is enough for a row that touches less than `capacity` classes."""
    cdef Py_ssize_t n = 2
    while n < SLOTS_PER_CLASS * capacity:
        n *= 2
    return n


cdef inline Py_ssize_t table_slots(Py_ssize_t capacity, Py_ssize_t n_classes) noexcept nogil:
    """Slots of 8 bytes for rows of up to `capacity`: a direct map, of two classes each, or a hash if that is smaller."""
    cdef Py_ssize_t direct = (n_classes + 1) // 2
    return direct if n_classes <= DIRECT else min(direct, n_slots_for(capacity))


cdef inline TouchTable row_table(int64_t *memory, Py_ssize_t size, Py_ssize_t capacity, Py_ssize_t n_classes) noexcept nogil:
    """The table of a thread's next row; `memory` has table_slots and one number more, all 0 before the first row."""
    cdef TouchTable table
    table.slots, table.base = memory, memory + size
    if table.base[0] == 0 or table.base[0] > INT32_MAX - capacity:
        memset(memory, 0, size * sizeof(int64_t))
        table.base[0] = 1
    table.direct = size == (n_classes + 1) // 2
    table.n_slots, table.shift = 1, 0
    if not table.direct:
        table.n_slots = n_slots_for(capacity)
    while <Py_ssize_t>1 << table.shift < table.n_slots:
        table.shift += 1
    return table
