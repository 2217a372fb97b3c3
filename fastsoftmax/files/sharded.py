"""A model in several files of a folder: each has a range of the classes, and the first one what all classes share.

Ranks that have their classes divided write a file each, and each reads its range of the classes from any number of files.
All files carry the name of the save that wrote them, so that files of two saves are never taken for one model.
"""

import contextlib
import os
import secrets
from typing import NamedTuple

import numpy as np

from fastsoftmax.files import model_file, shard_index, tensor_file
from fastsoftmax.files.class_ranges import INDPTR, Part, is_of_classes, taken
from fastsoftmax.files.crc32 import combined
from fastsoftmax.passes.shard import WHOLE, Shard
from fastsoftmax.runtime.ranks import ONE, ranges
from fastsoftmax.validation import check_loaded_ranks, check_memory

VERSION = shard_index.VERSIONS[0]


class File(NamedTuple):
    """A file that is open: its tensors are views of it, as they lie there."""

    path: str
    header: dict
    tensors: dict  # by the names of a model in one file
    crc32: dict
    begin: int
    end: int

    def is_of_classes(self, name):
        return is_of_classes(name, INDPTR in self.tensors)

    def part(self):
        """The Part that it has."""
        fortran = set(self.header["fortran"])
        arrays = {name: a for name, a in self.tensors.items() if self.is_of_classes(name)}
        arrays = {name: a.T if name in fortran else a for name, a in arrays.items()}
        return Part(self.begin, self.end, arrays, fortran, self.path)


def write(folder, format, saved, *, n_shards):
    """Write a Saved to files in `folder`: those of all ranks where its classes are divided, and `n_shards` of one process.

    A crash leaves the old model, or files of two saves, which `read` tells apart.
    """
    ranks = saved.model.shard.ranks
    save = ranks.first(secrets.token_hex(8))
    with ranks.together():
        header, tensors = model_file.packed(format, saved)
    with ranks.together():
        if ranks.rank == 0:
            shard_index.prepare(folder, format)
    starts = ranges(len(saved.classes), n_shards)
    shards = range(n_shards) if ranks.size == 1 else [ranks.rank]
    common = {"format": f"{format}.shard", "format_version": VERSION, "save": save, "n_classes": len(saved.classes)}
    written = {}  # the temporary path of each file, with what is in it
    try:
        with ranks.together():
            for i in shards:
                name = shard_index.file_name(i, n_shards)
                path = os.path.join(folder, f".{name}.{save}")
                place = common | {"shard": i, "n_shards": n_shards, "range": [int(k) for k in starts[i : i + 2]]}
                written[path] = name, _write_shard(path, place, header, tensors, saved.model.shard)
        with ranks.together():
            for path, (name, _) in written.items():
                os.replace(path, os.path.join(folder, name))
    finally:
        for path in written:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    files = [of_file for of_rank in ranks.objects(list(written.values())) for of_file in of_rank]
    with ranks.together():
        if ranks.rank == 0:
            _check_all_here(folder, [name for name, _ in files])
            weight_map = {tensor: name for name, n_bytes in files for tensor in n_bytes}
            total = sum(n for _, n_bytes in files for n in n_bytes.values())
            metadata = {"total_size": total, "format_version": VERSION, "save": save, "starts": starts.tolist()}
            shard_index.write(folder, format, metadata, weight_map)


def _write_shard(path, place, header, tensors, shard):
    """Write one file; return the bytes of each of its tensors, by the names there.

    place : the header that says which shard it is
    header, tensors : those of the model in one file; of the arrays of classes, the ones that this process has
    """
    has_pairs, fortran = INDPTR in tensors, set(header["fortran"])
    arrays = {name: a for name, a in tensors.items() if is_of_classes(name, has_pairs)}
    n_own = len(tensors["bias"])
    first = 0 if shard is WHOLE else shard.begin
    whole = Part(first, first + n_own, {n: a.T if n in fortran else a for n, a in arrays.items()}, fortran, path)
    out, here = {}, []
    for name, a in taken([whole], *place["range"], copy=False).items():
        here += [name] * (name in fortran)
        out[_stored_name(name, place["shard"])] = a.T if name in fortran else a
    header_here = place | {"fortran": here}
    if place["shard"] == 0:  # what all have in common
        out |= {name: a for name, a in tensors.items() if name not in arrays}
        header_here["model"] = header
        here += sorted(fortran - arrays.keys())
    tensor_file.write(path, out, header_here, default=model_file.as_python)
    return {name: a.nbytes for name, a in out.items()}


def _stored_name(name, shard):
    return f"{name}.{shard + 1:05d}"


def _check_all_here(folder, names):
    for rank, name in enumerate(names):
        if not os.path.exists(os.path.join(folder, name)):
            raise FileNotFoundError(f"{folder}: rank {rank} wrote {name} to another folder, which rank 0 does not see")


def read(path, format, *, ranks=ONE, memory_map=False, converters=None):
    """The Saved in a folder or a file, of which each of several ranks has its range of the classes.

    A rank reads what all share, and its range of the arrays of classes; of a sparse term, the class numbers in all files that
    have some of its classes. It finds out with the others whether the arrays are whole.

    memory_map : whether the weights stay in their files, without a check of their checksums; the arrays that have parts
        in several files are copies all the same
    converters : as for `model_file.read`; for a file alone
    """
    with ranks.together():
        open_any = _open_folder if os.path.isdir(path) else _open_file
        header, shared, files = open_any(path, format, converters)
        n_classes = files[-1].end
        check_loaded_ranks(path, ranks.size, n_classes)
    starts = ranges(n_classes, ranks.size)
    _verify(files, starts, ranks, memory_map)
    shard = WHOLE if ranks.size == 1 else Shard(starts, ranks)
    with ranks.together():
        begin, end = (int(k) for k in starts[ranks.rank : ranks.rank + 2])
        try:
            parts = [file.part() for file in files]
            _check_memory(path, shared, parts, begin, end, memory_map)
            arrays = taken(parts, begin, end, copy=not memory_map)
            unread = model_file.model_names() if memory_map else ()
            shared = {name: a if name in unread else a.copy() for name, a in shared.items()}
            return model_file.unpacked(header, shared | arrays, memory_map=memory_map, shard=shard)
        except tensor_file.DAMAGE as error:
            raise model_file.incomplete(path, error) from error


def _open_file(path, format, converters):
    """(header, shared, files) of a model in one file: its header, the arrays that all classes share, and [File]."""
    versions = (model_file.FORMAT_VERSION, *(converters or ()))
    header, tensors = tensor_file.read(path, format, versions, memory_map=True)
    try:
        crc32, stored = header["crc32"], tensors
        if header["format_version"] != model_file.FORMAT_VERSION:
            header, tensors = converters[header["format_version"]](header, tensors)
            same = {id(a): name for name, a in stored.items()}
            crc32 = {name: crc32[same[id(a)]] for name, a in tensors.items()}
        file = File(path, header, tensors, crc32, 0, len(tensors["bias"]))
        _check_sums(file)
        return header, _shared(file), [file]
    except tensor_file.DAMAGE as error:
        raise model_file.incomplete(path, error) from error


def _open_folder(folder, format, _):
    """The same of a model in a folder, with the files in the order of their classes."""
    metadata, weight_map = shard_index.read(folder)
    names = {}
    for tensor, name in weight_map.items():
        names.setdefault(name, set()).add(tensor)
    files = []
    for name, tensors in names.items():
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path}: missing, but {shard_index.INDEX} names it")
        files.append(_open_shard(path, format, metadata, tensors))
    files.sort(key=lambda file: file.begin)
    end = 0
    for file in files:
        if file.begin != end or file.end <= file.begin:
            raise ValueError(
                f"{file.path}: has classes {file.begin} to {file.end}, but those from {end} on are missing"
            )
        end = file.end
    first = files[0]
    try:
        if end != first.header["n_classes"]:
            raise ValueError(f"{end:,} of {first.header['n_classes']:,} classes")
        return first.header["model"], _shared(first), files
    except tensor_file.DAMAGE as error:
        raise model_file.incomplete(first.path, error) from error


def _open_shard(path, format, metadata, expected):
    """The File of a shard; ValueError where it is not of this model.

    metadata : of the index
    expected : the names of the tensors that the index says it has
    """
    header, tensors = tensor_file.read(path, f"{format}.shard", shard_index.VERSIONS, memory_map=True)
    if header.get("save") != metadata.get("save"):
        raise ValueError(
            f"{path}: of another model than {shard_index.INDEX}, or of another save of it; a save may have been interrupted"
        )
    if tensors.keys() != expected:
        raise ValueError(f"{path}: has other tensors than {shard_index.INDEX} says")
    try:
        begin, end = (int(k) for k in header["range"])
        suffix = _stored_name("", header["shard"])
        plain = {name: name.removesuffix(suffix) for name in tensors}
        crc32 = {plain[name]: n for name, n in header["crc32"].items()}
        file = File(path, header, {plain[name]: a for name, a in tensors.items()}, crc32, begin, end)
        _check_sums(file)
        if header["shard"] and _shared(file):
            raise ValueError("it has what only the first file may have")
        return file
    except tensor_file.DAMAGE as error:
        raise model_file.incomplete(path, error) from error


def _check_sums(file):
    if file.crc32.keys() != file.tensors.keys():
        raise ValueError("a tensor is missing, or has no checksum")


def _shared(file):
    """The arrays that all classes share."""
    fortran = set(file.header["fortran"])
    shared = {name: a for name, a in file.tensors.items() if not file.is_of_classes(name)}
    return {name: a.T if name in fortran else a for name, a in shared.items()}


def _verify(files, starts, ranks, memory_map):
    """Raise ValueError on all ranks where the checksum of an array is wrong.

    What all share is read by each rank. Of the arrays of a file that have something for each class, those ranks that need
    some of its classes read as many bytes each.
    """
    unread = model_file.model_names() if memory_map else ()
    sums, error = {}, None  # of this rank's bytes, with their number
    with ranks.together():
        for i, file in enumerate(files):
            readers = [r for r in range(ranks.size) if starts[r] < file.end and starts[r + 1] > file.begin]
            for name in sorted(file.tensors.keys() - unread):
                a = file.tensors[name].reshape(-1).view(np.uint8)
                if not file.is_of_classes(name):
                    error = error or (file if tensor_file.checksum(a) != file.crc32[name] else None)
                elif ranks.rank in readers:
                    at, n = readers.index(ranks.rank), len(readers)
                    share = a[len(a) * at // n : len(a) * (at + 1) // n]
                    sums[i, name] = tensor_file.checksum(share), len(share)
        if error is not None:
            raise _wrong(error)
    found = {}
    for of_rank in ranks.objects(sums):  # in the order of the bytes
        for key, (crc, n_bytes) in of_rank.items():
            found[key] = combined(found.get(key, 0), crc, n_bytes)
    for (i, name), crc in found.items():
        if crc != files[i].crc32[name]:
            raise _wrong(files[i])


def _wrong(file):
    return model_file.incomplete(file.path, ValueError("a checksum is wrong"))


def _check_memory(path, shared, parts, begin, end, memory_map):
    """MemoryError unless there is memory for the arrays that are copied."""
    if memory_map and any(part.begin <= begin and part.end >= end for part in parts):
        return
    n_bytes = 0 if memory_map else sum(a.nbytes for a in shared.values())
    for part in parts:
        own = max(0, min(end, part.end) - max(begin, part.begin)) / (part.end - part.begin)
        n_bytes += int(own * sum(a.nbytes for a in part.arrays.values()))
    check_memory(f"reading {path}", n_bytes, f"the weights of {end - begin:,} classes")
