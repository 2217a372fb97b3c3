"""The folder of a model in several files: the names of its files, and the index, which says what is in which of them.

Names and index are those that Hugging Face uses for models in several safetensors files.
"""

import contextlib
import json
import os
import re

from fastsoftmax.files import tensor_file
from fastsoftmax.runtime.output_file import OutputFile
from fastsoftmax.validation import check_model_folder

INDEX = "model.safetensors.index.json"
VERSIONS = (3, 2)  # of the format of the files, as of a model in one file
MAX_BYTES = 100_000_000  # of an index, as of the header of a safetensors file
# all that a save writes, also what it leaves where it is killed
_OURS = re.compile(r"\.*model(-\d{5}-of-\d{5}\.safetensors|\.safetensors\.index\.json)(\.[0-9a-f]+)*")


def file_name(shard, n_shards):
    """The name of the file of this shard, the first of which is 0."""
    return f"model-{shard + 1:05d}-of-{n_shards:05d}.safetensors"


def names_a_folder(path):
    """Whether one process, too, is to write a model to `path` as a folder: it ends in a slash, or has a model's index."""
    path = os.fsdecode(path)
    return path.endswith(os.sep) or os.path.exists(os.path.join(path, INDEX))


def check_can_write(name, folder, format):
    """Raise unless `prepare` will succeed; `name` is what the user calls the folder."""
    check_model_folder(name, folder, lambda: _others(folder, format))


def prepare(folder, format):
    """Make the folder where there is none; raise where it is not one of a model of this format, and has other files.

    What a first save that was killed has left there is no hindrance.
    """
    check_can_write("path", folder, format)
    os.makedirs(folder, exist_ok=True)


def _others(folder, format):
    """The names of files in the folder that would be lost or out of place; none where it has the index of a model of ours."""
    names = sorted(os.listdir(folder))
    if INDEX not in names:
        return [name for name in names if not _is_ours(folder, name, format)]
    try:
        return [] if read(folder)[0].get("format") == format else [INDEX]
    except ValueError:
        return [INDEX]


def _is_ours(folder, name, format):
    """Whether a save wrote this file; models of others may have files of the same names."""
    if not _OURS.fullmatch(name):
        return False
    if name.startswith("."):
        return True
    try:
        tensor_file.read(os.path.join(folder, name), f"{format}.shard", VERSIONS, memory_map=True)
    except (OSError, ValueError):
        return False
    return True


def write(folder, format, metadata, weight_map):
    """Write the index, by which the files in the folder become the model, and remove what other saves have left there.

    metadata : dict that JSON can hold
    weight_map : the name of the file of each tensor
    """
    content = json.dumps({"metadata": {"format": format} | metadata, "weight_map": weight_map}, indent=1)
    with OutputFile(os.path.join(folder, INDEX)).open() as file:
        file.write(content.encode())
    for name in set(os.listdir(folder)) - {INDEX, *weight_map.values()}:
        if _is_ours(folder, name, format):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))


def read(folder):
    """(metadata, weight_map) of the index. ValueError where it names files that are not in the folder itself."""
    path = os.path.join(folder, INDEX)
    if not os.path.exists(path):
        raise IsADirectoryError(
            f"{folder}: a directory without {INDEX}: not a model, or one that was never written to its end"
        )
    with open(path, "rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size
        content = file.read(min(n_bytes, MAX_BYTES))
    try:
        if n_bytes > MAX_BYTES:
            raise ValueError(f"{n_bytes:,} bytes are more than {MAX_BYTES:,}")
        index = json.loads(content)
        metadata, weight_map = index["metadata"], index["weight_map"]
        if not (isinstance(metadata, dict) and isinstance(weight_map, dict) and weight_map):
            raise ValueError("it has no metadata, or no weight_map")
        for name, file in weight_map.items():
            if not isinstance(file, str) or os.path.basename(file) != file or file in ("", ".", "..") or "\0" in file:
                raise ValueError(f"the file of {name!r} is {file!r}, which is no name of a file in the folder")
        return metadata, weight_map
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not an index of a model ({type(error).__name__}: {error})") from error
