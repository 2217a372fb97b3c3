"""What must be the same on all ranks before they train or predict together."""

import numpy as np
import scipy
from scipy import sparse

from fastsoftmax.kernels import dispatch
from fastsoftmax.training.watchers.checkpoint import describe as told
from fastsoftmax.training.watchers.checkpoint import describe_params

NOT_ALIKE = (
    "n_threads",
    "verbose",
    "working_memory",
    "checkpoint",
    "weights_dir",
    "random_state",
)  # each may have its own
FIRST = 1000  # labels that are compared


def likeness(options, estimator, given=None):
    """What tells this rank's versions, parameters and model from another's, as a dict by what it is called.

    options : training.options.Options
    estimator : the SoftmaxClassifier, fitted or not
    given : dict of further arguments, all of which have to be the same, or None
    """
    classes = getattr(estimator, "classes_", None)
    return {
        "the version of numpy": np.__version__,
        "the version of scipy": scipy.__version__,
        "the instruction set in use": dispatch.selected(),
        **describe_params(options.flat(), NOT_ALIKE),
        "classes_ of the model so far": None if classes is None else (len(classes), told(classes[:FIRST])),
        **{name: told(_in_one_format(a)) for name, a in (given or {}).items()},
    }


def _in_one_format(a):
    if sparse.issparse(a):
        return sparse.csr_array(a)
    return np.asarray(a) if isinstance(a, (list, tuple)) else a
