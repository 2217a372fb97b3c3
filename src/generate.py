"""Writes what the headers of src/ say once in the other forms in which C and Cython need it: leaves.h and leaves/*.pxd.

A leaf loop is a function that the macro LEAF marks where it is defined, in a header that shared/loops.h includes:

    LEAF void FN(sum_panels)(const Panels *z, ptrdiff_t n_classes, ptrdiff_t n_rows, REAL *sums_out)

It becomes a field of the tables of both real types, a name in the list LEAVES, from which every instruction set fills its
tables, and a Cython function of the same name: of the fused type `real` where REAL is among its arguments, and otherwise
with an argument `itemsize` more, which chooses the type. Each header has a .pxd of its own, since Cython writes
the functions of every .pxd that a module needs into its C file, called or not. leaves/structs.pxd has the structs and enums of
each structs.h.
"""

import re
from pathlib import Path

SRC = Path(__file__).parent
INCLUDE = re.compile(r'#include "(\w+/\w+\.h)"')
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
LEAF = re.compile(r"^LEAF (\w+) FN\((\w+)\)\((.*?)\)", re.MULTILINE | re.DOTALL)
STRUCT_OR_ENUM = re.compile(r"typedef struct \{(.*?)\} (\w+);|enum \{(.*?)\};", re.DOTALL)
ORIGIN = "src/generate.py wrote this file from the headers of src/"
REALS = {"f32": "float", "f64": "double"}
INTEGERS = "from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t"
FROM_C = 'cdef extern from "shared/table.h":'


class Leaf:
    """A leaf loop: the type of its result, its name, and the types and names of its arguments."""

    def __init__(self, result, name, arguments):
        self.result, self.name = result, name
        declared = [" ".join(a.replace("restrict ", "").split()) for a in arguments.split(",") if a != "void"]
        self.arguments = [re.fullmatch(r"(.*?)(\w+)", a).groups() for a in declared]

    def parameters(self, real):
        return ", ".join(kind.replace("REAL", real) + name for kind, name in self.arguments)

    def field(self, real):
        return f"    {self.result} (*{self.name})({self.parameters(REALS[real]) or 'void'});"

    def extern(self, real):
        parameters = self.parameters(REALS[real])
        return f'    {self.result} {real}_{self.name} "leaves->{real}.{self.name}"({parameters}) noexcept nogil'

    def wrapper(self):
        """The Cython function that chooses between the two real types."""
        parameters, is_float = self.parameters("real"), "real is float"
        if not any("REAL" in kind for kind, _ in self.arguments):
            parameters, is_float = ", ".join(filter(None, [parameters, "Py_ssize_t itemsize"])), "itemsize == 4"
        call = (
            f"{'' if self.result == 'void' else 'return '}{{}}_{self.name}({', '.join(n for _, n in self.arguments)})"
        )
        return (
            f"\n\ncdef inline {self.result} {self.name}({parameters}) noexcept nogil:\n"
            f"    if {is_float}:\n        {call.format('f32')}\n    else:\n        {call.format('f64')}"
        )


def generate(folder):
    """Writes leaves.h and leaves/*.pxd into `folder`, each only where it changes, so that nothing is built in vain."""
    by_name = {}
    for header in _included("shared/loops.h"):
        leaves = [Leaf(*found) for found in LEAF.findall((SRC / header).read_text())]
        if leaves and by_name.setdefault(Path(header).stem, leaves) is not leaves:
            raise ValueError(f"{header}: another header of leaf loops has this name")
    structs, declarations = _structs()
    texts = {"__init__.pxd": f"# {ORIGIN}.\n", "structs.pxd": declarations}
    texts |= {f"{name}.pxd": _declarations(leaves, structs) for name, leaves in by_name.items()}
    (folder / "leaves").mkdir(parents=True, exist_ok=True)
    _write(folder / "leaves.h", _header([leaf for leaves in by_name.values() for leaf in leaves]))
    for name, text in texts.items():
        _write(folder / "leaves" / name, text)


def _write(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _included(header):
    return INCLUDE.findall((SRC / header).read_text())


def _header(leaves):
    lines = [f"/* The tables of leaf loops. {ORIGIN}. */"]
    for real in REALS:
        lines += ["typedef struct {", *(leaf.field(real) for leaf in leaves), f"}} Leaves_{real};"]
    return "\n".join([*lines, f"#define LEAVES(X) {' '.join(f'X({leaf.name})' for leaf in leaves)}", ""])


def _structs():
    """The names of the structs of each structs.h, and structs.pxd, which has the constants as well."""
    lines = [f"# The structs and constants that the leaf loops take. {ORIGIN}.", INTEGERS, FROM_C]
    structs_found = []
    for header in _included("shared/table.h"):
        for fields, struct, names in STRUCT_OR_ENUM.findall(COMMENT.sub("", (SRC / header).read_text())):
            lines += [f"    ctypedef struct {struct}:", *_fields(fields)] if struct else _constants(names)
            structs_found += [struct] if struct else []
    return structs_found, _for_cython(lines)


def _declarations(leaves, structs):
    """The .pxd of a header: its leaf loops by fused type."""
    taken = set(re.findall(r"\w+", " ".join(kind for leaf in leaves for kind, _ in leaf.arguments))).intersection(
        structs
    )
    lines = [f"# Leaf loops by fused type. {ORIGIN}.", INTEGERS]
    lines += [f"from leaves.structs cimport {', '.join(sorted(taken))}"] if taken else []
    lines += ["from shared.fused cimport real", FROM_C, *(leaf.extern(real) for leaf in leaves for real in REALS)]
    return _for_cython([*lines, *(leaf.wrapper() for leaf in leaves)])


def _for_cython(lines):
    return "\n".join([*lines, ""]).replace("ptrdiff_t", "Py_ssize_t")


def _fields(text):
    """A line for each field of a struct, of declarations such as `const int64_t *row_ids, *col_ids;`."""
    for declaration in text.split(";")[:-1]:
        kind, names = re.fullmatch(r"\s*(.*?)(\**\w+(?:, \**\w+)*)", declaration).groups()
        yield from (f"        {kind}{name}" for name in names.split(", "))


def _constants(names):
    return ["    enum: " + ", ".join(name.split("=")[0].strip() for name in names.split(","))]
