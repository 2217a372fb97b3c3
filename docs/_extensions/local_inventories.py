"""Inventories for intersphinx, of the few names of other libraries that our docstrings link to: a build needs no network.

Each name is at a place that the sites of these libraries have kept for years.
"""

import zlib
from pathlib import Path

SITES = {
    "numpy": (
        "https://numpy.org/doc/stable/",
        "reference/generated/{name}.html#{name}",
        ["numpy.ndarray", "numpy.memmap"],
    ),
    "scipy": (
        "https://docs.scipy.org/doc/scipy/",
        "reference/generated/{name}.html#{name}",
        ["scipy.special.logsumexp", "scipy.special.softmax", "scipy.special.log_softmax", "scipy.sparse.csr_matrix"],
    ),
    "sklearn": (
        "https://scikit-learn.org/stable/",
        "modules/generated/{name}.html#{name}",
        ["sklearn.linear_model.LogisticRegression", "sklearn.svm.LinearSVC", "sklearn.base.BaseEstimator"],
    ),
    "torch": (
        "https://docs.pytorch.org/docs/stable/",
        "generated/{name}.html#{name}",
        ["torch.nn.functional.cross_entropy", "torch.nn.CrossEntropyLoss", "torch.nn.Linear"],
    ),
}


def inventory(project, place, names):
    """The bytes of an inventory, version 2."""
    lines = "".join(f"{name} py:{_kind(name)} 1 {place.format(name=name)} -\n" for name in names)
    header = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    header += "# The remainder of this file is compressed using zlib.\n"
    return header.encode() + zlib.compress(lines.encode())


def _kind(name):
    last = name.rpartition(".")[2]
    return "class" if last[0].isupper() or last in ("ndarray", "memmap", "csr_matrix") else "function"


def write(app, config):
    folder = Path(app.doctreedir).parent / "inventories"
    folder.mkdir(parents=True, exist_ok=True)
    for project, (site, place, names) in SITES.items():
        path = folder / f"{project}.inv"
        path.write_bytes(inventory(project, place, names))
        config.intersphinx_mapping[project] = (site, str(path))


def setup(app):
    app.connect("config-inited", write, priority=100)  # before intersphinx reads its mapping
    return {"parallel_read_safe": True}
