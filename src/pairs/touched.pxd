# The table of the classes that a row touches: a thread has one for all of its rows.
from libc.stdint cimport INT32_MAX, int32_t, int64_t
from libc.string cimport memset

from leaves.structs cimport TouchTable

cdef enum:
    SLOTS_PER_CLASS = 8     # so that few of them meet a slot of another class
    DIRECT = 32768          # so many classes have a direct map in any case: it stays in a second-level cache


cdef inline Py_ssize_t n_slots_for(Py_ssize_t capacity) noexcept nogil:
    """A power of two that is enough for a row that touches less than `capacity` classes."""
    cdef Py_ssize_t n = 2
    while n < SLOTS_PER_CLASS * capacity:
        n *= 2
    return n


cdef inline Py_ssize_t table_slots(Py_ssize_t capacity, Py_ssize_t n_classes) noexcept nogil:
    """Pairs of slots for rows of up to `capacity`: a direct map, or a hash if that is smaller."""
    cdef Py_ssize_t direct = (n_classes + 1) // 2
    return direct if n_classes <= DIRECT else min(direct, n_slots_for(capacity) // 2)


cdef inline TouchTable row_table(int64_t *memory, Py_ssize_t size, Py_ssize_t capacity, Py_ssize_t n_classes) noexcept nogil:
    """The table of a thread's next row; `memory` has table_slots and one number more, all 0 before the first row."""
    cdef TouchTable table
    table.slots, table.base = <int32_t *>memory, memory + size
    if table.base[0] == 0 or table.base[0] > INT32_MAX - capacity:
        memset(memory, 0, size * sizeof(int64_t))
        table.base[0] = 1
    table.direct = size == (n_classes + 1) // 2
    table.n_slots = 1 if table.direct else n_slots_for(capacity)
    table.shift = 32
    while <Py_ssize_t>1 << (32 - table.shift) < table.n_slots:
        table.shift -= 1
    return table
