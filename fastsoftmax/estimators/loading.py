"""The estimator in a file, whichever it is."""

from fastsoftmax.estimators import saving
from fastsoftmax.estimators.classifier import SoftmaxClassifier


def load(path, *, memory_map=False):
    """The SoftmaxClassifier that its `save` wrote to file `path`.

    Parameters
    ----------
    path : str or path-like
    memory_map : bool
        True: the weights stay in the file, which must not be changed as long as the model lives, and are read when they
        are needed, so that models larger than memory predict. The checksums of all else are verified. Training copies
        the weights, to `weights_dir` if that is set.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not a model, was written by a newer version, or is damaged or cut short. Files of the version before are
        read.
    """
    return load_with_extra(path, memory_map=memory_map)[0]


def load_with_extra(path, *, memory_map=False):
    """The SoftmaxClassifier in file `path` and what was saved beside it; it raises what `load` does."""
    return saving.load(SoftmaxClassifier, path, memory_map=memory_map)
