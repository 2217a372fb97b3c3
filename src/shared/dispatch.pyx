"""Chooses the instruction set of the C leaf loops and shares the chosen table with the other modules."""
import os

from cpython.pycapsule cimport PyCapsule_New
from leaves.logsumexp cimport exp_array as _exp_array
from shared.fused cimport real
from shared.table cimport LeafTable, import_leaves, leaf_table_supported, leaf_tables

cdef LeafTable _selected
table = PyCapsule_New(&_selected, b"fastsoftmax.leaves", NULL)


def compiled():
    """Names of the instruction sets compiled in, worst first."""
    cdef Py_ssize_t i = 0
    names = []
    while leaf_tables[i] != NULL:
        names.append(leaf_tables[i].name.decode())
        i += 1
    return names


def available():
    """Names of the instruction sets that this CPU runs, worst first."""
    return [name for i, name in enumerate(compiled()) if leaf_table_supported(leaf_tables[i])]


def selected():
    """Name of the instruction set in use."""
    return _selected.name.decode()


def select(name):
    """Use instruction set `name` from now on, in every module. No kernel may be running in another thread."""
    global _selected
    if name not in available():
        raise ImportError(
            f"FASTSOFTMAX_ISA={name!r}: this build has {', '.join(compiled())} and this CPU runs {', '.join(available())}"
        )
    _selected = leaf_tables[compiled().index(name)][0]


def exp(const real[::1] x, real[::1] y_out):
    """y_out <- exp(x), the library's own exponential (for its tests)."""
    if x.shape[0]:
        _exp_array(&x[0], x.shape[0], &y_out[0])


*_, _best = available()
select(os.environ.get("FASTSOFTMAX_ISA", "").strip().lower() or _best)
import_leaves()
