"""Writes the .pyi files of the compiled modules from the signatures in the .pyx files: `python src/stubs.py`.

Type checkers cannot look into compiled modules. A test holds the files to what this writes. Memoryviews and NumPy's arrays are
arrays there, C's numbers are numbers of Python, and what Cython does not declare is Any, as all results are.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMENT = re.compile(r"(?m)\s*#.*$")
DOCSTRING = re.compile(r'""".*?"""', re.DOTALL)
DEFINITION = re.compile(
    r"^(?P<class>class \w+(?:\(\w+\))?):$"
    r"|^(?P<indent>    )?def (?P<name>[A-Za-z]\w*|__init__)\((?P<parameters>[^()]*(?:\([^()]*\)[^()]*)*)\):$"
    r"|^    (?P<field>[a-z]\w*): (?P<type>[\w.]+)$"
    r"|^    (?P<property>@property)$"
    r"|^(?P<constant>[A-Z][A-Z_]*) *= .*$",
    re.MULTILINE,
)
PARAMETER = re.compile(r"(?:(?P<type>[\w. ]+?)(?P<view>\[[:1, ]+\])? )?(?P<name>\w+)(?P<default> ?=.*)?")
INTEGERS = {"int", "Py_ssize_t", "size_t", "int32_t", "int64_t", "uint32_t", "uint64_t"}
SCALARS = {"double": "float", "real": "float", "bint": "bool"} | dict.fromkeys(INTEGERS, "int")
IMPORTS = {"Any": "typing", "NamedTuple": "typing", "NDArray": "numpy.typing"}
WIDTH = 120
ORIGIN = "# src/stubs.py wrote this file from {}\n"


def parameter(text):
    """A parameter of Cython as one of Python."""
    found = PARAMETER.fullmatch(" ".join(text.split()))
    kind, default = found["type"], " = ..." if found["default"] else ""
    if found["name"] in ("self", "cls"):
        return found["name"]
    if found["view"]:
        annotation = "NDArray[Any] | None"  # as Cython takes it, whether the kernel does or not
    elif kind == "cnp.ndarray":
        annotation = "NDArray[Any]"
    else:
        annotation = SCALARS.get(kind, "Any")
    return f"{found['name']}: {annotation}{default}"


def definition(found):
    """The stub of a function or a method, in as many lines as ruff's format takes."""
    indent, result = found["indent"] or "", "None" if found["name"] == "__init__" else "Any"
    parts = re.split(r",(?![^\[]*\])", found["parameters"])
    parts = [parameter(part) for part in parts if part.strip()]
    head, tail = f"{indent}def {found['name']}(", f") -> {result}: ..."
    line = head + ", ".join(parts) + tail
    if len(line) <= WIDTH:
        return [line]
    line = f"{indent}    " + ", ".join(parts)
    inner = [line] if len(line) <= WIDTH else [f"{indent}    {part}," for part in parts]
    return [head, *inner, indent + tail]


def lines_of(source):
    """The lines of the stub of a module, without its imports."""
    lines = []
    for found in DEFINITION.finditer(DOCSTRING.sub("", COMMENT.sub("", source))):
        if found["class"]:
            lines += ["", found["class"] + ":"]
        elif found["name"]:
            after_class = not found["indent"] and lines and lines[-1].startswith(" ")
            lines += [""] * bool(after_class) + definition(found)
        elif found["field"]:
            lines.append(f"    {found['field']}: {'NDArray[Any]' if found['type'] == 'np.ndarray' else 'Any'}")
        elif found["property"]:
            lines.append("    @property")
        else:
            lines.append(f"{found['constant']}: Any")
    first = next((i for i, line in enumerate(lines) if line.startswith("def ")), 0)
    if first and not lines[first - 1].startswith(" ") and lines[first - 1]:  # after constants
        lines.insert(first, "")
    return lines


def stub_of(pyx):
    """The text of the stub of a .pyx file."""
    body = "\n".join(lines_of(pyx.read_text(encoding="utf-8"))).strip("\n") + "\n"
    used = [(module, name) for name, module in IMPORTS.items() if re.search(rf"\b{name}\b", body)]
    from_typing = ", ".join(name for module, name in used if module == "typing")
    imports = f"from typing import {from_typing}\n" if from_typing else ""
    imports += "\nfrom numpy.typing import NDArray\n" if ("numpy.typing", "NDArray") in used else ""
    return ORIGIN.format(pyx.relative_to(ROOT).as_posix()) + "\n" + imports + "\n" + body


def stubs():
    """{path: text} of the stubs of all compiled modules."""
    paths = {}
    for pyx in sorted((ROOT / "src").glob("*/*.pyx")):
        package = "runtime" if pyx.parent.name == "runtime" else "kernels"  # as in setup.py
        paths[ROOT / "fastsoftmax" / package / f"{pyx.stem}.pyi"] = stub_of(pyx)
    return paths


if __name__ == "__main__":
    for path, text in stubs().items():
        path.write_text(text, encoding="utf-8")
