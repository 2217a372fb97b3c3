"""Loading the classifier in a file."""

from fastsoftmax.estimators import saving
from fastsoftmax.estimators.classifier import SoftmaxClassifier


def load(path, *, memory_map=False):
    """The SoftmaxClassifier that its `save` wrote to file `path`.

    Parameters
    ----------
    path : str, bytes or path-like
    memory_map : bool
        True: the weights stay in the file and are read when they are needed, so that models larger than memory can
        predict. The file must not change as long as the model lives. The checksums of everything else are verified.
        Training copies the weights, to `weights_dir` if that is set.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not a model, was written by a newer version, or is damaged or cut short. Files of the previous version
        can be read.
    """
    return saving.load(SoftmaxClassifier, path, memory_map=memory_map)
