# Panels: several rows of a batch side by side, one vector for each class. See panels.h.
cimport shared.numpy_c as cnp

from leaves.panels cimport full_panel_width
from leaves.structs cimport Panels


cdef inline Py_ssize_t panel_width(Py_ssize_t n_rows, Py_ssize_t itemsize) noexcept nogil:
    """Width of the panels for `n_rows` rows: half of the full one where that is enough."""
    cdef Py_ssize_t full = full_panel_width(itemsize)
    return full // 2 if n_rows <= full // 2 else full


cdef inline Panels array_panels(cnp.ndarray a) noexcept:
    """The C contiguous `a`, (n_panels, n, width)."""
    cdef Panels panels
    panels.data = cnp.PyArray_DATA(a)
    panels.n_panels = a.shape[0]
    panels.stride = a.shape[1] * a.shape[2]
    panels.width = a.shape[2]
    return panels
