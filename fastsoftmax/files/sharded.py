"""A model in several files of a folder: each has a range of the classes, and the first one what all classes share.

Ranks that have their classes divided write a file each, and each reads its range of the classes from any number of files.
The same holds for features, where the rows of E are divided; else the first file has all of E.
All files carry the name of the save that wrote them, so that files of two saves are never taken for one model.
"""

import contextlib
import os
import secrets
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fastsoftmax.files import model_file, shard_index, stored_labels, tensor_file
from fastsoftmax.files.class_ranges import INDPTR, OF_FEATURES, Part, is_of_classes, taken
from fastsoftmax.files.crc32 import combined
from fastsoftmax.model.features import Features
from fastsoftmax.passes.shard import WHOLE, Shard
from fastsoftmax.runtime.ranks import ONE, ranges
from fastsoftmax.validation import check_loaded_ranks, check_memory


class File(NamedTuple):
    """A file that is open: its tensors are views of it, as they lie there."""

    path: str
    header: dict
    tensors: dict  # by the names of a model in one file
    crc32: dict
    begin: int  # of the classes
    end: int
    features: tuple | None  # (begin, end) of the rows of E; None: it has none of them

    def is_of_classes(self, name):
        return is_of_classes(name, INDPTR in self.tensors)

    def readers(self, name, wanted):
        """The ranks that need some of a tensor; None: all need all of it, whatever they want."""
        if name in OF_FEATURES:
            (begin, end), of_ranks = self.features, wanted.features
        elif self.is_of_classes(name):
            begin, end, of_ranks = self.begin, self.end, wanted.classes
        else:
            return None
        return [rank for rank, (start, stop) in enumerate(of_ranks) if start < end and stop > begin]

    def part(self):
        """The Part of the classes that it has."""
        return self._part(self.begin, self.end, self.is_of_classes)

    def part_of_features(self):
        """The Part of the features whose rows of E it has."""
        return self._part(*self.features, OF_FEATURES.__contains__)

    def shared(self):
        """The arrays that all classes and features share."""
        return self._part(
            self.begin, self.end, lambda name: not (name in OF_FEATURES or self.is_of_classes(name))
        ).arrays

    def _part(self, begin, end, is_of_part):
        fortran = set(self.header["fortran"])
        arrays = {name: a for name, a in self.tensors.items() if is_of_part(name)}
        arrays = {name: a.T if name in fortran else a for name, a in arrays.items()}
        return Part(begin, end, arrays, fortran, self.path)


class Wanted(NamedTuple):
    """What each rank is to have: a list of (begin, end) of classes, and one of features."""

    classes: list
    features: list

    @classmethod
    def of(cls, n_classes, n_features, ranks, *, divides):
        """divides : whether the features are divided as the classes are; else each rank has all of them."""
        classes, features = (list(pairwise(ranges(n, ranks.size).tolist())) for n in (n_classes, n_features))
        return cls(classes, features if divides else [(0, n_features)] * ranks.size)


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
    starts, features = ranges(len(saved.classes), n_shards), saved.model.features
    shards = range(n_shards) if ranks.size == 1 else [ranks.rank]
    version = model_file.version(saved.model)
    common = {"format": f"{format}.shard", "format_version": version, "save": save, "n_classes": len(saved.classes)}
    written = {}  # the temporary path of each file, with what is in it
    try:
        with ranks.together():
            for i in shards:
                name = shard_index.file_name(i, n_shards)
                path = os.path.join(folder, f".{name}.{save}")
                place = common | {"shard": i, "n_shards": n_shards, "range": [int(k) for k in starts[i : i + 2]]}
                if features is not None:
                    place |= {"features": [features.begin, features.end], "n_hidden_features": features.n_all}
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
            metadata = {"total_size": total, "format_version": version, "save": save, "starts": starts.tolist()}
            shard_index.write(folder, format, metadata, weight_map)


def _write_shard(path, place, header, tensors, shard):
    """Write one file; return the bytes of each of its tensors, by the names there.

    place : the header that says which shard it is; with "features", the rows of E here are those of this shard alone
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
    if "features" in place:
        of_features = {name: a for name, a in tensors.items() if name in OF_FEATURES}
        out |= {_stored_name(name, place["shard"]): a for name, a in of_features.items()}
        here += sorted(fortran & of_features.keys())
        arrays |= of_features
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


def read(path, format, *, ranks=ONE, memory_map=False, converters=None, divides=None):
    """The Saved in a folder or a file, of which each of several ranks has its range of the classes.

    A rank reads what all share, and its range of the arrays of classes; of a sparse term, the class numbers in all files that
    have some of its classes. It finds out with the others whether the arrays are whole.

    memory_map : whether the weights stay in their files, without a check of their checksums; the arrays that have parts
        in several files are copies all the same
    converters : as for `model_file.read`; for a file alone
    divides : function of the parameters in the file, the number of features that have a row of E, and the bytes of E with its
        state, that says whether each rank is to have its range of these rows; None: each has all of them
    """
    with ranks.together():
        open_any = _open_folder if os.path.isdir(path) else _open_file
        header, shared, files = open_any(path, format, converters)
        n_classes = files[-1].end
        check_loaded_ranks(path, ranks.size, n_classes)
        with_E = [file for file in files if file.features is not None]
        n_features = with_E[-1].features[1] if with_E else 0
        n_bytes = sum(a.nbytes for file in with_E for a in file.part_of_features().arrays.values())
        try:
            is_divided = bool(with_E) and divides is not None and divides(header["params"], n_features, n_bytes)
        except tensor_file.DAMAGE as error:
            raise model_file.incomplete(path, error) from error
    wanted = Wanted.of(n_classes, n_features, ranks, divides=is_divided)
    _verify(files, wanted, ranks, memory_map)
    shard = WHOLE if ranks.size == 1 else Shard(ranges(n_classes, ranks.size), ranks)
    features = Features.of(n_features, ranks) if is_divided else None
    with ranks.together():
        begin, end = wanted.classes[ranks.rank]
        try:
            pieces = [([file.part() for file in files], begin, end)]
            if with_E:
                pieces.append(([file.part_of_features() for file in with_E], *wanted.features[ranks.rank]))
            _check_memory(path, shared, pieces, memory_map)
        except tensor_file.DAMAGE as error:
            raise model_file.incomplete(path, error) from error
    shared = ranks.common(lambda: _shared_arrays(path, header, shared))
    header = header | {"classes": stored_labels.NUMBERS}  # the labels themselves
    with ranks.together():
        try:
            arrays = {name: a for piece in pieces for name, a in taken(*piece, copy=not memory_map).items()}
            return model_file.unpacked(header, shared | arrays, memory_map=memory_map, shard=shard, features=features)
        except tensor_file.DAMAGE as error:
            raise model_file.incomplete(path, error) from error


def _shared_arrays(path, header, tensors):
    """Copies of what all classes and features share, with the labels in the place of the arrays that hold them."""
    try:
        tensors = {name: a.copy() for name, a in tensors.items()}
        labels = stored_labels.unpack(tensors, header["classes"])  # which removes theirs
        return tensors | {"classes": labels}
    except tensor_file.DAMAGE as error:
        raise model_file.incomplete(path, error) from error


def _open_file(path, format, converters):
    """(header, shared, files) of a model in one file: its header, the arrays that all classes share, and [File]."""
    versions = (*model_file.VERSIONS, *(converters or ()))
    header, tensors = tensor_file.read(path, format, versions, memory_map=True)
    try:
        crc32, stored = header["crc32"], tensors
        if header["format_version"] not in model_file.VERSIONS:
            header, tensors = converters[header["format_version"]](header, tensors)
            same = {id(a): name for name, a in stored.items()}
            crc32 = {name: crc32[same[id(a)]] for name, a in tensors.items()}
        features = (0, len(tensors["E"])) if "E" in tensors else None
        file = File(path, header, tensors, crc32, 0, len(tensors["bias"]), features)
        _check_sums(file)
        return header, file.shared(), [file]
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
        _check_features(files, first.header.get("n_hidden_features"))
        return first.header["model"], first.shared(), files
    except tensor_file.DAMAGE as error:
        raise model_file.incomplete(first.path, error) from error


def _check_features(files, n_features):
    """Raise ValueError unless the ranges of features in the files follow each other; `n_features`: of all, or None."""
    end = 0
    for file in files:
        if file.features is not None:
            if file.features[0] != end or file.features[1] <= end:
                raise ValueError(f"{file.path} has features {file.features}, but those from {end} on are missing")
            end = file.features[1]
    if n_features not in (None, end):
        raise ValueError(f"{end:,} of {n_features:,} features of E")


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
        tensors = {plain[name]: a for name, a in tensors.items()}
        features = None
        if "E" in tensors:
            features = tuple(int(k) for k in header["features"]) if "features" in header else (0, len(tensors["E"]))
        file = File(path, header, tensors, crc32, begin, end, features)
        _check_sums(file)
        if header["shard"] and file.shared():
            raise ValueError("it has what only the first file may have")
        return file
    except tensor_file.DAMAGE as error:
        raise model_file.incomplete(path, error) from error


def _check_sums(file):
    if file.crc32.keys() != file.tensors.keys():
        raise ValueError("a tensor is missing, or has no checksum")


def _verify(files, wanted, ranks, memory_map):
    """Raise ValueError on all ranks where the checksum of an array is wrong.

    What all share is read by each rank. Of the arrays of a file that have something for each class or feature, those ranks
    that need some of it read as many bytes each.
    """
    unread = model_file.model_names() if memory_map else ()
    sums, error = {}, None  # of this rank's bytes, with their number
    with ranks.together():
        for i, file in enumerate(files):
            for name in sorted(file.tensors.keys() - unread):
                a = file.tensors[name].reshape(-1).view(np.uint8)
                readers = file.readers(name, wanted)
                if readers is None:
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


def _check_memory(path, shared, pieces, memory_map):
    """MemoryError unless there is memory for the arrays that are copied.

    pieces : (parts, begin, end) of the classes, and of the features where there is an E
    """
    n_bytes = 0 if memory_map else sum(a.nbytes for a in shared.values())
    for parts, begin, end in pieces:
        if memory_map and any(part.begin <= begin and part.end >= end for part in parts):
            continue
        for part in parts:
            own = max(0, min(end, part.end) - max(begin, part.begin)) / (part.end - part.begin)
            n_bytes += int(own * sum(a.nbytes for a in part.arrays.values()))
    if n_bytes:
        n_classes = pieces[0][2] - pieces[0][1]
        check_memory(f"reading {path}", n_bytes, f"the weights of {n_classes:,} classes")
