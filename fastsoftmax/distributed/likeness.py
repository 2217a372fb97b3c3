"""What must be the same on all ranks before they train or predict together."""

import zlib

import numpy as np
import scipy
from scipy import sparse

from fastsoftmax.kernels import dispatch

NOT_ALIKE = (
    "n_threads",
    "verbose",
    "working_memory",
    "checkpoint",
    "weights_dir",
    "random_state",
)  # each may have its own


def likeness(options, estimator, initial_weights=None):
    """What tells this rank's versions, parameters and model from another's, as a dict by what it is called.

    options : training.options.Options
    estimator : the SoftmaxClassifier, fitted or not
    initial_weights : dict of arrays, all of which have to be the same, or None
    """
    flat = {name: told(a) for name, a in options.flat().items() if name.partition("__")[0] not in NOT_ALIKE}
    classes = getattr(estimator, "classes_", None)
    return {
        "the version of numpy": np.__version__,
        "the version of scipy": scipy.__version__,
        "the instruction set in use": dispatch.selected(),
        **flat,
        "classes_ of the model so far": None if classes is None else (len(classes), told(classes[:1000])),
        **{name: told(a) for name, a in (initial_weights or {}).items()},
    }


def told(value):
    """Something short that tells a value from others."""
    if isinstance(value, tuple):
        return [told(a) for a in value]
    if sparse.issparse(value):
        return [value.shape, *(told(a) for a in (value.data, value.indices, value.indptr))]
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OT":
        return value.shape, value.dtype.name, zlib.crc32(np.ascontiguousarray(value).view(np.uint8))
    return getattr(value, "__qualname__", None) or repr(value)
