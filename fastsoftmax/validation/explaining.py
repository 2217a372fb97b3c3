"""What is to be explained: labels of a model, one a row or one by itself, and the names of its features."""

import numpy as np

from fastsoftmax.validation.eligible import codes_of_classes
from fastsoftmax.validation.labels import as_label_array


def check_explained_labels(labels, n_rows, classes):
    """The codes of the labels of rows, (n_rows,) int64, among `classes`, the sorted labels of a model.

    labels : a label for each row, or one for all of them
    """
    if isinstance(labels, (str, bytes)) or not hasattr(labels, "__len__"):
        return np.full(n_rows, check_known_label("labels", labels, classes))
    labels = as_label_array(labels)
    if labels.ndim == 1 and len(labels) != n_rows:
        raise ValueError(f"labels must be one label, or one for each of the {n_rows} rows of X, got {len(labels)}")
    return codes_of_classes("labels", labels, classes) if labels.size else np.empty(0, np.int64)


def check_known_label(name, label, classes):
    """The code of one label among `classes`, the sorted labels of a model."""
    if isinstance(label, (list, set)) or getattr(label, "ndim", 0):
        raise TypeError(f"{name} must be one label, got {label!r}")
    return int(codes_of_classes(name, [label], classes)[0])


def check_feature_names(names, n_features):
    """`names`, a str for each of the features, as a list."""
    if isinstance(names, (str, bytes)) or not hasattr(names, "__len__"):
        raise TypeError(f"feature_names must be a sequence of str, got {names!r}")
    names = list(names)
    if len(names) != n_features:
        raise ValueError(f"feature_names must have a name for each of the {n_features} features, got {len(names)}")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"feature_names must hold str, got {name!r}")
    return names
