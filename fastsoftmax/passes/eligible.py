"""Which classes a top-k may return: a subset, without those excluded for a row, of at least some probability."""

from typing import NamedTuple

import numpy as np

from fastsoftmax.validation import padding

EMPTY = np.iinfo(np.int64).max  # the class id in empty places of a heap


class Eligible(NamedTuple):
    """What may be returned. Probabilities remain those among all classes; places for which no class is left are padded."""

    class_ids: np.ndarray | None = None  # (n,) int64, ascending: the subset
    indptr: np.ndarray | None = None  # (n_rows + 1,) intp: row i may not get excluded[indptr[i]:indptr[i + 1]]
    excluded: np.ndarray | None = None  # int64, ascending in each row
    threshold: float | None = None  # the least probability

    def of_rows(self, start, stop):
        """What rows `start` to `stop` may get."""
        return self if self.indptr is None else self._replace(indptr=self.indptr[start : stop + 1])

    def among(self, class_ids):
        """The same where the classes are those in `class_ids`, ascending, and have their positions as ids."""
        if self.indptr is None:
            return self
        at = np.searchsorted(class_ids, self.excluded)
        kept = at < len(class_ids)
        kept[kept] = class_ids[at[kept]] == self.excluded[kept]
        before = np.concatenate([[0], np.cumsum(kept)])
        return self._replace(indptr=before[self.indptr].astype(np.intp), excluded=at[kept])

    @property
    def is_all(self):
        """Whether every class may be returned, so that nothing is ever padded."""
        return all(option is None for option in self)

    @property
    def most_excluded(self):
        """The largest number of classes excluded for one row."""
        return 0 if self.indptr is None else int(np.diff(self.indptr).max(initial=0))

    def tile_ptr(self, tile, n_tiles):
        """(n_tiles + 1,) where each tile of `tile` classes begins in `class_ids`; None if there is no subset."""
        return None if self.class_ids is None else np.searchsorted(self.class_ids, np.arange(n_tiles + 1) * tile)

    def mask(self, n_classes):
        """(n_classes,) uint8, whether each class is in the subset; None if there is none."""
        if self.class_ids is None:
            return None
        mask = np.zeros(n_classes, np.uint8)
        mask[self.class_ids] = 1
        return mask

    def pad(self, class_ids, log_proba):
        """Write -1 and -inf into top-k results where no class is left."""
        padded = class_ids == EMPTY
        if self.threshold is not None:
            padded |= log_proba < log_proba.dtype.type(np.log(self.threshold))
        class_ids[padded], log_proba[padded] = -1, -np.inf
        return class_ids, log_proba


ALL = Eligible()


def labels_of(codes, labels, *, pads=True):
    """The labels of codes, and if it `pads`, padding for -1: bools and unsigned labels become int64, since -1 is neither."""
    if not pads:
        return labels[codes]
    if labels.dtype.kind in "bu":
        labels = labels.astype(np.int64)
    out = labels[codes]
    out[codes < 0] = padding(labels.dtype)
    return out
