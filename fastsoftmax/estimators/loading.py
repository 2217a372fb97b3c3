"""Loading the model in a file, of whichever class it is."""

import os

from fastsoftmax.estimators import next_item_saving, saving
from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.estimators.next_item import NextItemModel
from fastsoftmax.files import tensor_file


def load(path, *, memory_map=False, comm=None):
    """The SoftmaxClassifier or NextItemModel that its `save` wrote to file or folder `path`.

    Parameters
    ----------
    path : str, bytes or path-like
    memory_map : bool
        True: the weights stay in the file and are read when they are needed, so that models larger than memory can
        predict. The file must not change as long as the model lives. The checksums of everything else are verified.
        Training copies the weights, to `weights_dir` if that is set. Of a folder, the embedding stays in its file, and so do
        the class weights where one file has all that are asked for (of a dense direct term learned from sparse rows: where
        that is all of the file's); those from several files have to be copied together, which takes their size in memory.
    comm : mpi4py communicator, optional
        The processes that load the model together, each of which gets a range of the classes, and reads no more of the class
        weights than that (of a sparse term, besides, the class numbers of the files that it needs). A file or folder may have
        been written by any number of processes. `terms.LowRank.divide` says whether each gets a range of the rows of the
        embedding, too. docs/distributed.md has more.

    Raises
    ------
    OSError
        If a file cannot be opened, or one of a folder is missing.
    ValueError
        If it is not a model, was written by a newer version, or is damaged or cut short. Files of the previous version
        can be read. The same where files of a folder are of different saves, as a save that was interrupted may leave them,
        and where there are more processes than classes.
    """
    if comm is None and not os.path.isdir(path) and tensor_file.format_of(path) == next_item_saving.FORMAT:
        return NextItemModel.load(path)
    return saving.load(SoftmaxClassifier, path, memory_map=memory_map, comm=comm)
