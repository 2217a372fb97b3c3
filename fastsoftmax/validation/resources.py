"""Files and memory: what can be checked before the work begins."""

import errno
import os
import shutil
import tempfile

from fastsoftmax.runtime import memory
from fastsoftmax.runtime.output_file import OutputFile
from fastsoftmax.validation.scalars import check_int, check_path

ALWAYS_FITS = 1 << 20  # elements for which it isn't worth asking how much memory there is

MAX_SHARDS = 99_999  # that the names of files have room for


def check_writable(name, path):
    """Raise unless a file can be written to the path, so that it is known before the work whose result goes there."""
    path = os.fspath(check_path(name, path))
    try:
        output = OutputFile(path)
        folder = os.path.dirname(output.target) or "."
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"{name} cannot be {path!r}: {folder} is not a folder")
        output.probe()
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(f"{name} cannot be {path!r}: {error.strerror}") from error


def check_model_folder(name, path, others):
    """Raise unless a model can be written to folder `path`: there is none yet, or it is that of a model, or empty.

    others : function that lists the names of files there that stand in the way
    """
    path = os.fspath(check_path(name, path))
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        raise FileNotFoundError(f"{name} cannot be {path!r}: {parent} is not a folder")
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise NotADirectoryError(
            f"{name} cannot be {path!r}: a model in several files needs a folder, and this is none"
        )
    found = others()
    if found:
        raise FileExistsError(
            f"{name} cannot be {path!r}: the folder is not empty, and {found[0]!r} is no part of a model"
        )


def check_n_shards(n_shards, n_classes, n_ranks):
    """The number of files for the classes of a model, which are divided among `n_ranks`."""
    if n_ranks > 1:
        if n_shards not in (None, n_ranks):
            raise ValueError(
                f"n_shards must be None or the number of ranks ({n_ranks}), each of which writes one, got {n_shards}"
            )
        return n_ranks
    n_shards = check_int("n_shards", n_shards, minimum=1)
    if n_shards > min(n_classes, MAX_SHARDS):
        raise ValueError(
            f"n_shards must be at most the number of classes ({n_classes:,}) and {MAX_SHARDS}, got {n_shards:,}"
        )
    return n_shards


def check_other_file(name, path, what, other):
    """Raise if two paths name the same file, whether it exists or not; `other` may be None."""
    if other is None:
        return
    same = os.path.samefile(path, other) if os.path.exists(path) and os.path.exists(other) else False
    if same or os.path.realpath(path) == os.path.realpath(other):
        raise ValueError(f"{name} is {what}, {str(path)!r}: one would overwrite the other")


def check_folder(name, path):
    """Raise unless the path is a folder in which files can be created."""
    if not os.path.isdir(path):
        raise NotADirectoryError(f"{name} must be a folder, got {str(path)!r}")
    try:
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise type(error)(f"{name} cannot be {str(path)!r}: no file can be created there ({error.strerror})") from error


def check_disk(name, folder, n_bytes, formula):
    """OSError unless the disk of `folder` has `n_bytes` free; `formula` says how they add up."""
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise OSError(
            errno.ENOSPC,
            f"{name}={str(folder)!r} needs {n_bytes / 2**30:.2f} GiB of disk ({formula}), but only {free / 2**30:.2f} GiB "
            "are free there",
        )


def check_space(name, path, n_bytes, formula):
    """OSError unless the disk has room for a file of at least `n_bytes` at the path; pipes and devices need none.

    formula : how the bytes add up
    """
    output = OutputFile(path)
    if output.is_direct:
        return
    folder = os.path.dirname(output.target) or "."
    if output.before is not None and not os.access(folder, os.W_OK):  # the old file is written over
        n_bytes -= output.before.st_size
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        error = OSError(
            f"{name} cannot be {os.fspath(path)!r}: the file will take at least {n_bytes / 2**30:.2f} GiB of disk "
            f"({formula}), but only {free / 2**30:.2f} GiB are free there"
        )
        error.errno = errno.ENOSPC
        raise error


def check_unchanged(name, path, before, now):
    """Raise if somebody else has written or removed the file in the meantime."""
    if before != now:
        raise FileExistsError(f"{name} {str(path)!r} was changed by another training, or removed: name another file")


def check_size(name, n, n_bytes):
    """`n` as an int of at least 1; MemoryError unless there is memory for `n` elements of `n_bytes` each."""
    n = check_int(name, n, minimum=1)
    if n > ALWAYS_FITS:
        check_memory(f"{name}={n}", n * n_bytes, f"{n_bytes} bytes each")
    return n


def check_result(shape, itemsize, advice):
    """MemoryError unless there is memory for a result (n_samples, n_classes); `advice` says what needs less."""
    formula = f"{shape[0]:,} x {shape[1]:,} x {itemsize} bytes; {advice}"
    check_memory("the (n_samples, n_classes) result", shape[0] * shape[1] * itemsize, formula)


def check_memory(what, n_bytes, formula):
    """MemoryError unless `n_bytes` are available; `what` needs them, and `formula` says how they add up."""
    free = memory.available()
    if free is not None and n_bytes > free:
        raise MemoryError(
            f"{what} needs {n_bytes / 2**30:.2f} GiB ({formula}), but only {free / 2**30:.2f} GiB are available"
        )
