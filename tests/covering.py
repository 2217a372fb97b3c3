"""Selections of a product of parameters. What two or three of them bring about together, far fewer cases than all show."""

import itertools

import numpy as np
import pytest

from fastsoftmax.kernels import dispatch

ISAS = dispatch.available()


def selection(*values, strength=3):
    """A selection of the product of lists in which any `strength` of the lists meet with all their values.

    Greedy: the next one is, again and again, the last of the product of those with the most new meetings.
    """
    sizes = [len(v) for v in values]
    product = np.indices(sizes).reshape(len(sizes), -1)
    groups = list(itertools.combinations(range(len(sizes)), min(strength, len(sizes))))
    meetings = [np.ravel_multi_index(product[list(group)], [sizes[i] for i in group]) for group in groups]
    to_come = [np.ones(m.max() + 1, bool) for m in meetings]
    taken = []
    while any(t.any() for t in to_come):
        gains = sum(t[m].astype(int) for t, m in zip(to_come, meetings, strict=True))
        best = len(gains) - 1 - gains[::-1].argmax()
        for t, m in zip(to_come, meetings, strict=True):
            t[m[best]] = False
        taken.append(best)
    return [tuple(v[i] for v, i in zip(values, product[:, at], strict=True)) for at in sorted(taken)]


def covering(parameters, *, strength=3, fixtures=("isa",)):
    """Parametrises a test with a selection of the product of {"name": values} or {"name, name": tuples of values}.

    Names among `fixtures` are parameters of the fixtures of these names.
    """
    names = [name.strip() for key in parameters for name in key.split(",")]
    cases = []
    for case in selection(*map(list, parameters.values()), strength=strength):
        parts = (value if "," in key else (value,) for key, value in zip(parameters, case, strict=True))
        cases.append(tuple(itertools.chain(*parts)))
    ids = ["-".join(_id(value) for value in case) for case in cases]
    return pytest.mark.parametrize(names, cases, ids=ids, indirect=[name for name in names if name in fixtures])


def _id(value):
    return str(getattr(value, "__name__", getattr(value, "name", value)))
