"""Which classes a top-k may give: a subset, less those excluded for a row, of a least probability."""

from typing import NamedTuple

import numpy as np

from fastsoftmax.validation.labels import padding

EMPTY = np.iinfo(np.int64).max  # the id in places of a heap that nothing has been put in


class Eligible(NamedTuple):
    """Probabilities stay those among all classes; places that no class is left for are padded."""

    class_ids: np.ndarray | None = None  # (n,) int64, ascending: no others
    indptr: np.ndarray | None = None  # (n_rows + 1,) intp: those excluded for row i are from indptr[i] to indptr[i + 1]
    excluded: np.ndarray | None = None  # int64, ascending in each row
    threshold: float | None = None  # the least probability

    def of_rows(self, start, stop):
        """For rows start to stop alone."""
        return self if self.indptr is None else self._replace(indptr=self.indptr[start : stop + 1])

    @property
    def is_all(self):
        """Whether every class may be given, so that nothing is ever padded."""
        return all(option is None for option in self)

    @property
    def most_excluded(self):
        """Of one row."""
        return 0 if self.indptr is None else int(np.diff(self.indptr).max(initial=0))

    def tile_ptr(self, tile, n_tiles):
        """(n_tiles + 1,) where those of each tile of `tile` classes begin in `class_ids`; None where these are all."""
        return None if self.class_ids is None else np.searchsorted(self.class_ids, np.arange(n_tiles + 1) * tile)

    def mask(self, n_classes):
        """(n_classes,) uint8, whether `class_ids` has each; None where these are all."""
        if self.class_ids is None:
            return None
        mask = np.zeros(n_classes, np.uint8)
        mask[self.class_ids] = 1
        return mask

    def pad(self, class_ids, log_proba):
        """Top-k results with -1 and -inf where no class is left."""
        padded = class_ids == EMPTY
        if self.threshold is not None:
            padded |= log_proba < log_proba.dtype.type(np.log(self.threshold))
        class_ids[padded], log_proba[padded] = -1, -np.inf
        return class_ids, log_proba


ALL = Eligible()


def labels_of(codes, labels):
    """`labels` of codes, or padding for -1; int64 where those are bools or unsigned, which -1 is not."""
    if labels.dtype.kind in "bu":
        labels = labels.astype(np.int64)
    out = labels[codes]
    out[codes < 0] = padding(labels.dtype)
    return out
