"""Loading the model in a file, of whichever class it is."""

import os

from fastsoftmax.estimators import language_saving, next_item_saving, regression_saving, saving
from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.estimators.language_model import LanguageModel
from fastsoftmax.estimators.next_item import NextItemModel
from fastsoftmax.estimators.regression import SoftmaxRegression
from fastsoftmax.files import tensor_file
from fastsoftmax.validation import as_path, check_bool

OTHERS = {language_saving.FORMAT: LanguageModel, next_item_saving.FORMAT: NextItemModel}  # read into memory


def load(path, *, memory_map=False, comm=None):
    """The SoftmaxClassifier, SoftmaxRegression, LanguageModel or NextItemModel that its `save` wrote to file or folder `path`.

    Parameters
    ----------
    path : str, bytes or path-like
    memory_map : bool
        True: the weights stay in the file and are read when they are needed, so that models larger than memory can
        predict. The file must not change as long as the model lives. The checksums of everything else are verified.
        Training copies the weights, to `weights_dir` if that is set. Of a folder, the embedding stays in its file, and so do
        the class weights where one file has all that are asked for (of a dense direct term learned from sparse rows: where
        that is all of the file's); those from several files have to be copied together, which takes their size in memory.
        A LanguageModel or a NextItemModel is always read into memory.
    comm : mpi4py communicator, optional
        The processes that load a SoftmaxClassifier together, each of which gets a range of the classes, and reads no more of
        the class weights than that (of a sparse term, besides, the class numbers of the files that it needs). A file or
        folder may have been written by any number of processes. `terms.LowRank.divide` says whether each gets a range of the
        rows of the embedding, too. docs/distributed.md has more.

    Raises
    ------
    OSError
        If a file cannot be opened, or one of a folder is missing.
    ValueError
        If it is not a model, was written by a newer version, or is damaged or cut short. Files of the previous version
        can be read. The same where files of a folder are of different saves, as a save that was interrupted may leave them,
        and where there are more processes than classes.
    """
    if comm is None:  # else the ranks check together, and none waits for another that has raised
        path, memory_map = as_path("path", path), check_bool("memory_map", memory_map)
        of_file = None if os.path.isdir(path) else tensor_file.format_of(path)
        if of_file == regression_saving.FORMAT:
            return SoftmaxRegression.load(path, memory_map=memory_map)
        if of_file in OTHERS:
            return OTHERS[of_file].load(path)
    return saving.load(SoftmaxClassifier, path, memory_map=memory_map, comm=comm)
