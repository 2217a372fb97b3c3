"""The arrays of a model by ranges of its classes: cut out of those of other ranges, and put together from them.

Rows of E, of which ranks may have ranges too, are features: parts of those go the same way.
"""

from typing import NamedTuple

import numpy as np

CHUNK_PAIRS = 1 << 20  # pairs that are looked at at a time, so that the work takes little memory
INDPTR, CLASS_IDS = "pairs.indptr", "pairs.class_ids"
OF_CLASSES = ("bias", "prior", "V", "W", "W.T")  # arrays that have something for each class, and their state and scales


OF_FEATURES = ("E", "state.E", "E.scale")  # that have something for each feature of the low-rank term


class Part(NamedTuple):
    """The arrays of the classes from `begin` to `end`, or those of features that a low-rank term takes."""

    begin: int
    end: int
    arrays: dict  # by the names of files; all are (n_classes, ...), but for those of pairs, and for "W.T"
    fortran: set  # the names of those that are feature-major
    path: str  # for errors


def is_of_classes(name, has_pairs):
    """Whether the array of this name has something for each class; the others are of all classes alike.

    has_pairs : whether the model has a sparse term
    """
    parameter = name.removeprefix("state.").removesuffix(".scale")
    if name == "W.T.scale" or (has_pairs and name == "W.scale"):  # of features
        return False
    return parameter in OF_CLASSES or name in (INDPTR, CLASS_IDS)


def taken(parts, begin, end, *, copy):
    """The arrays of the classes from `begin` to `end`, of Parts that follow each other and have them, by name.

    copy : whether all are new arrays; else they are views where one part has what is asked for
    """
    parts = [part for part in parts if part.begin < end and part.end > begin]
    _check(parts)
    first, out = parts[0], {}
    of_pairs = {"W", "state.W", INDPTR, CLASS_IDS} if INDPTR in first.arrays else set()
    for name in first.arrays:
        if name not in of_pairs:
            axis = int(name == "W.T")
            pieces = [_cut(part, name, axis, begin, end) for part in parts]
            order = "F" if any(name in part.fortran for part in parts) else "C"
            out[name] = _joined(pieces, axis, order, copy)
    if of_pairs:
        out |= _joined_pairs(parts, begin, end, copy)
    return out


def _check(parts):
    """Raise ValueError unless the parts have the same arrays, with something for each of their classes."""
    first = parts[0].arrays
    for part in parts:
        if part.arrays.keys() != first.keys():
            raise ValueError(f"{part.path}: it has other arrays than {parts[0].path}")
        n_classes, has_pairs = part.end - part.begin, INDPTR in part.arrays
        for name, a in part.arrays.items():
            if a.dtype != first[name].dtype and name != INDPTR:
                raise ValueError(f"{part.path}: {name} has dtype {a.dtype}, and in {parts[0].path} {first[name].dtype}")
            if has_pairs and name in ("W", "state.W", INDPTR, CLASS_IDS):
                continue
            axis = int(name == "W.T")
            rest, others = (tuple(n for i, n in enumerate(b.shape) if i != axis) for b in (a, first[name]))
            if a.ndim <= axis or a.shape[axis] != n_classes or rest != others:
                what = "features" if name in OF_FEATURES else "classes"
                raise ValueError(f"{part.path}: {name} has shape {a.shape} for {n_classes} {what}")
        if has_pairs:
            _check_pairs(part, len(first[INDPTR]))


def _check_pairs(part, n_starts):
    indptr, n_pairs = part.arrays[INDPTR], len(part.arrays[CLASS_IDS])
    fits = len(indptr) == n_starts > 0 and indptr[0] == 0 and indptr[-1] == n_pairs and (np.diff(indptr) >= 0).all()
    values = [a.shape for name, a in part.arrays.items() if name in ("W", "state.W", CLASS_IDS)]
    if fits and n_pairs:
        fits = 0 <= part.arrays[CLASS_IDS].min() <= part.arrays[CLASS_IDS].max() < part.end - part.begin
    if not fits or set(values) != {(n_pairs,)}:
        raise ValueError(f"{part.path}: its pairs are not complete")


def _cut(part, name, axis, begin, end):
    """A view of the classes of one part that are in the range."""
    at = slice(max(begin, part.begin) - part.begin, min(end, part.end) - part.begin)
    return part.arrays[name][:, at] if axis else part.arrays[name][at]


def _joined(pieces, axis, order, copy):
    if len(pieces) == 1 and not copy and pieces[0].flags["F_CONTIGUOUS" if order == "F" else "C_CONTIGUOUS"]:
        return pieces[0]
    shape = list(pieces[0].shape)
    shape[axis] = sum(a.shape[axis] for a in pieces)
    out, start = np.empty(shape, pieces[0].dtype, order), 0
    for a in pieces:
        at = slice(start, start := start + a.shape[axis])
        out[(slice(None), at) if axis else at] = a
    return out


def _joined_pairs(parts, begin, end, copy):
    """The pairs of these classes, which are numbered from `begin` on, and their weights and states."""
    first = parts[0]
    names = [name for name in ("W", "state.W") if name in first.arrays]
    if len(parts) == 1 and (first.begin, first.end) == (begin, end):
        return {name: first.arrays[name].copy() if copy else first.arrays[name] for name in (INDPTR, CLASS_IDS, *names)}
    counts = [_counts(part, begin, end) for part in parts]
    indptr = np.concatenate([[0], np.cumsum(sum(counts))])
    dtype = np.result_type(*(part.arrays[INDPTR].dtype for part in parts))
    out = {INDPTR: indptr.astype(dtype if indptr[-1] <= np.iinfo(dtype).max else np.int64)}
    out |= {name: np.empty(indptr[-1], first.arrays[name].dtype) for name in (CLASS_IDS, *names)}
    starts = indptr[:-1].copy()  # where the pairs of the next part go
    for part, n_pairs in zip(parts, counts, strict=True):
        for features, pairs, kept in _chunks(part, begin, end):
            n = n_pairs[features]
            at = np.repeat(starts[features] - (np.cumsum(n) - n), n) + np.arange(n.sum())
            out[CLASS_IDS][at] = part.arrays[CLASS_IDS][pairs][kept] + np.int32(part.begin - begin)
            for name in names:
                out[name][at] = part.arrays[name][pairs][kept]
        starts += n_pairs
    return out


def _counts(part, begin, end):
    """How many pairs each feature has with classes of the range."""
    indptr = part.arrays[INDPTR]
    counts = np.empty(len(indptr) - 1, np.int64)
    for features, pairs, kept in _chunks(part, begin, end):
        before = np.concatenate([[0], np.cumsum(kept)])
        counts[features] = np.diff(before[indptr[features.start : features.stop + 1] - pairs.start])
    return counts


def _chunks(part, begin, end):
    """Slices of all features and of their pairs, and which of these pairs are of classes of the range."""
    indptr, ids = part.arrays[INDPTR], part.arrays[CLASS_IDS]
    at = np.searchsorted(indptr, np.arange(0, len(ids), CHUNK_PAIRS), side="right") - 1
    at = np.unique([0, *at.tolist(), len(indptr) - 1])
    for start, stop in zip(at[:-1].tolist(), at[1:].tolist(), strict=True):
        pairs = slice(int(indptr[start]), int(indptr[stop]))
        of_chunk = ids[pairs]
        yield slice(start, stop), pairs, (of_chunk >= begin - part.begin) & (of_chunk < end - part.begin)
