"""The (feature, class) pairs that a sparse W has weights for."""

from typing import NamedTuple

import numpy as np


class Pairs(NamedTuple):
    """(feature, class) pairs by feature: those of feature j are at indptr[j] to indptr[j + 1]."""

    indptr: np.ndarray  # (n_features + 1,) int32 or int64
    class_ids: np.ndarray  # (n_pairs,) int32, ascending for each feature

    @classmethod
    def of(cls, W):
        """The pairs of `W` (n_classes, n_features), a canonical CSC array."""
        return cls(W.indptr, W.indices.astype(np.int32, copy=False))

    def n_classes(self):
        """The number of classes of each feature, (n_features,) int64."""
        return np.diff(self.indptr).astype(np.int64, copy=False)  # one type on all ranks

    def without(self, features):
        """The pairs without those of `features`, a mask (n_features,) bool."""
        keep = np.repeat(~features, self.n_classes())
        before = np.concatenate([[0], np.cumsum(keep)]).astype(self.indptr.dtype)
        return Pairs(before[self.indptr], self.class_ids[keep])

    def keys(self, n_classes):
        """Each pair as one number, feature * n_classes + class, ascending."""
        features = np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int64), np.diff(self.indptr))
        return features * n_classes + self.class_ids
