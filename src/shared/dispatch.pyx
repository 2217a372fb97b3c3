"""Chooses the instruction set of the C leaf loops and shares the chosen table with the other modules."""
import os

from cpython.pycapsule cimport PyCapsule_New
from shared.table cimport RowOps, rowops_supported, rowops_tables
from shared.table cimport exp_array as _exp_array, import_rowops
from shared.fused cimport real

cdef RowOps _selected
table = PyCapsule_New(&_selected, b"fastsoftmax.rowops", NULL)


def compiled():
    """Names of the instruction sets compiled in, worst first."""
    cdef Py_ssize_t i = 0
    names = []
    while rowops_tables[i] != NULL:
        names.append(rowops_tables[i].name.decode())
        i += 1
    return names


def available():
    """Names of the instruction sets that this CPU runs, worst first."""
    return [name for i, name in enumerate(compiled()) if rowops_supported(rowops_tables[i])]


def selected():
    """Name of the instruction set in use."""
    return _selected.name.decode()


def select(name):
    """Use instruction set `name` from now on, in every module. Not while kernels run in other threads."""
    global _selected
    if name not in available():
        raise ImportError(
            f"FASTSOFTMAX_ISA={name!r}: this build has {', '.join(compiled())} and this CPU runs {', '.join(available())}"
        )
    _selected = rowops_tables[compiled().index(name)][0]


def exp(const real[::1] x, real[::1] y_out):
    """y_out <- exp(x), the library's own exponential (for its tests)."""
    if x.shape[0]:
        _exp_array(&x[0], x.shape[0], &y_out[0])


*_, _best = available()
select(os.environ.get("FASTSOFTMAX_ISA") or _best)
import_rowops()
