"""What can be told of an array of classes only by a walk over all of them, so it is found once for each array."""

import functools
import itertools
import weakref

from fastsoftmax.validation.labels import family, family_of

_known = {}  # id of an array of objects, which has no hash -> its Facts, as long as it is there


class Facts:
    """Of the labels of an array, which nobody changes in place.

    family : what kind of labels they are, as `labels.family` says it
    """

    def __init__(self, classes, gone=None):
        self.of = weakref.ref(classes, gone)
        self.family = family(classes)

    @functools.cached_property
    def is_ascending_text(self):
        """Whether the array is one of objects, all strings or all bytes, each of which is above the one before."""
        classes = self.of()
        if classes.dtype.kind != "O":
            return False
        labels = classes.tolist()
        return set(map(type, labels)) in ({str}, {bytes}) and all(a < b for a, b in itertools.pairwise(labels))


def facts(classes):
    """The Facts of an array, which are found once for one of objects; the others' dtype tells them."""
    if classes.dtype.kind != "O":
        return Facts(classes)
    key = id(classes)
    known = _known.get(key)
    if known is None or known.of() is not classes:
        known = _known[key] = Facts(classes, lambda gone: _forget(key, gone))
    return known


def _forget(key, gone):
    """Drop the facts of an array that is no more, unless another stands at its place by now."""
    known = _known.get(key)
    if known is not None and known.of is gone:
        del _known[key]


def first_of_other_family(y, classes):
    """The position of the first label of `y` that can be none of `classes`, as a string can be no number; or None."""
    expected = facts(classes).family
    if expected == "objects" or not len(y):
        return None
    alike = {expected, "bools", "integers"} if expected in ("bools", "integers") else {expected}
    if y.dtype.kind != "O":
        return None if family(y) in alike else 0
    if {family_of(kind) for kind in set(map(type, y))} <= alike:
        return None
    return next(i for i, label in enumerate(y) if family_of(type(label)) not in alike)
