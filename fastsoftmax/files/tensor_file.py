"""Files in the safetensors format. Tensors are streamed when written and may be mapped when read, so they need no memory.

The safetensors package turns all tensors into bytes before it writes any of them, which doubles the memory of a model. It
reads a path, which may name another file each time, and no open file.
"""

import json
import math
import mmap
import os
import stat
import zlib
from typing import NamedTuple

import numpy as np

from fastsoftmax.runtime.output_file import OutputFile, note_mapped
from fastsoftmax.validation import check_memory

CHUNK_BYTES = 1 << 24
MAX_HEADER_BYTES = 100_000_000  # the format's limit
MAX_DIMENSIONS = 32  # of NumPy's arrays
_NAMES = {
    "f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8",
    "u8": "U64", "u4": "U32", "u2": "U16", "u1": "U8", "b1": "BOOL",
}  # fmt: skip
_DTYPES = {name: np.dtype(code) for code, name in _NAMES.items()}
_LARGEST_CRC = 2**32 - 1
# what the contents of a file that says what nobody wrote may raise
DAMAGE = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
_KINDS = {
    "fastsoftmax.SoftmaxClassifier": "a model",
    "fastsoftmax.SoftmaxClassifier.shard": "one of the files of a model, whose folder is to be loaded",
    "fastsoftmax.SoftmaxRegression": "a regression",
    "fastsoftmax.LanguageModel": "a language model",
    "fastsoftmax.NextItemModel": "a model of the next item",
    "fastsoftmax.checkpoint": "the checkpoint of a training, which fit(checkpoint=...) goes on from",
}


def write(path, tensors, header, *, default=None, suffix=None):
    """Write `tensors` to file `path`, with `header` and their CRC-32 sums (as header["crc32"]) as its metadata.

    The metadata and the table of tensors have CRC-32 sums too. OutputFile tells how nothing is lost by that.

    Parameters
    ----------
    path : str or path-like
    tensors : dict of str to C-contiguous array
    header : dict that JSON can hold
    default : as for json.dumps
    suffix : str, optional
        Of the temporary file, which then has the same name each time.
    """
    with OutputFile(path).open(suffix) as file:
        _write(file, tensors, header, default)


def _write(file, tensors, header, default):
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))  # in this order all are aligned
    entries, at = {}, 0
    for name in names:
        a = tensors[name]
        offsets = [at, at + a.nbytes]
        entries[name] = {"dtype": _NAMES[a.dtype.str[1:]], "shape": list(a.shape), "data_offsets": offsets}
        at += a.nbytes

    def as_bytes(crc32):
        text = json.dumps(header | {"crc32": crc32, "table_crc32": _table_checksum(entries)}, default=default)
        metadata = {"fastsoftmax": text, "fastsoftmax.crc32": f"{zlib.crc32(text.encode()):08x}"}
        return json.dumps({"__metadata__": metadata} | entries).encode()

    n_bytes = -(-len(as_bytes(dict.fromkeys(names, _LARGEST_CRC))) // 8) * 8
    if n_bytes > MAX_HEADER_BYTES:
        raise ValueError(f"what is beside the weights takes {n_bytes:,} bytes of JSON, more than {MAX_HEADER_BYTES:,}")
    file.write(n_bytes.to_bytes(8, "little"))
    if not file.seekable():  # the sums stand before the tensors
        file.write(as_bytes(checksums(tensors)).ljust(n_bytes))
        for name in names:
            _write_tensor(file, tensors[name])
        return
    file.write(b" " * n_bytes)
    crc32 = {name: _write_tensor(file, tensors[name]) for name in names}
    file.seek(8)
    file.write(as_bytes(crc32))


def _table_checksum(entries):
    """CRC-32 of the table of tensors: their names, data types, shapes and places."""
    return zlib.crc32(json.dumps(entries, sort_keys=True).encode())


def _write_tensor(file, a):
    """Write the tensor `a`, and return its CRC-32."""
    crc = 0
    for chunk in _chunks(a):
        crc = zlib.crc32(chunk, crc)
        file.write(chunk)
    return crc


def _chunks(a):
    flat = a.reshape(-1).view(np.uint8)
    return (flat[start : start + CHUNK_BYTES] for start in range(0, len(flat), CHUNK_BYTES))


def checksum(a):
    """CRC-32 of an array in C order."""
    crc = 0
    for chunk in _chunks(np.ascontiguousarray(a)):
        crc = zlib.crc32(chunk, crc)
    return crc


def read(path, format, versions, *, memory_map=False):
    """The header and the tensors of a file of this format and of one of these versions, which have the newest first.

    The file is opened once, so all is of one file, even if another process replaces it in the meantime. Nothing in it is
    trusted: places and sizes are checked against the size of the file before anything is allocated.

    memory_map : whether the tensors stay in the file, read-only
    """
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path}: not a model file, and not a file at all")
        try:
            entries, start = _entries(file, status.st_size)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: not a model file, or a damaged one ({error})") from error
        metadata = entries.pop("__metadata__", None)
        try:
            header = _header(metadata)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: damaged header ({error})") from error
        if header is None:
            raise ValueError(f"{path}: a safetensors file, but not a fastsoftmax model")
        _check_format(path, header, format, versions)
        try:
            if header.pop("table_crc32", found := _table_checksum(entries)) != found:
                raise ValueError("a checksum is wrong")
            places = _places(entries, status.st_size - start)
            return header, (_mapped if memory_map else _copied)(file, start, places)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: damaged table of tensors ({error})") from error


def format_of(path):
    """The format that the header of file `path` names; None where it has none, or cannot be read, as `read` then says."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            entries, _ = _entries(file, status.st_size)
            found = _header(entries.get("__metadata__")).get("format")
            return found if isinstance(found, str) else None
    except (*DAMAGE, OSError):
        return None


def _open_at_once(path, flags):
    """Open a path, without waiting for somebody to write where it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _entries(file, n_bytes):
    """What the table of a safetensors file says, a dict, and where its tensors begin; the file has `n_bytes`."""
    n_header = int.from_bytes(file.read(8), "little")
    if n_bytes < 8:
        raise ValueError(f"{n_bytes:,} bytes are too few")
    if n_header > min(n_bytes - 8, MAX_HEADER_BYTES):
        raise ValueError(f"it has {n_bytes:,} bytes, and begins as if {n_header:,} bytes of header followed")
    entries = json.loads(file.read(n_header).decode(), object_pairs_hook=_without_repeats)
    if not isinstance(entries, dict):
        raise ValueError(f"a header that is a {type(entries).__name__}")
    return entries, 8 + n_header


def _without_repeats(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _header(metadata):
    """The header in the metadata of a file; None where it is not a file of ours, ValueError where it is damaged."""
    text = metadata.get("fastsoftmax") if isinstance(metadata, dict) else None
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"a {type(text).__name__}")
    if metadata.get("fastsoftmax.crc32", found := f"{zlib.crc32(text.encode()):08x}") != found:
        raise ValueError("a checksum is wrong")
    header = json.loads(text, object_pairs_hook=_without_repeats)
    if not isinstance(header, dict):
        raise ValueError(f"a {type(header).__name__}")
    return header


def _check_format(path, header, format, versions):
    found, version = header.get("format"), header.get("format_version")
    if isinstance(found, str) and found in _KINDS and found != format:
        raise ValueError(f"{path}: this is {_KINDS[found]}, but {_KINDS[format]} is expected")
    if found != format or version not in versions:
        found = f"{found!r} version {version!r}"
        raise ValueError(f"{path}: holds {found}, but this version reads {format!r} version {versions[0]}")


class _Place(NamedTuple):
    """Where a tensor lies among the bytes of all tensors, and what it is."""

    start: int
    dtype: np.dtype
    shape: tuple


def _places(entries, n_bytes):
    """The _Place of each tensor by name; ValueError unless they follow each other and fill the `n_bytes` of the file."""
    places = {}
    for name, entry in entries.items():
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"{name!r} is not a tensor")
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(code, str) or code not in _DTYPES:
            raise ValueError(f"{name!r} has data of type {code!r}")
        if not (_are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2 and len(shape) <= MAX_DIMENSIONS):
            raise ValueError(f"{name!r} has shape {shape!r} and place {offsets!r}")
        if offsets[1] - offsets[0] != math.prod(shape) * _DTYPES[code].itemsize:
            raise ValueError(f"{name!r} has shape {shape!r}, but {offsets[1] - offsets[0]} bytes")
        places[name] = _Place(offsets[0], _DTYPES[code], tuple(shape))
    at = 0
    for start, end in sorted(entry["data_offsets"] for entry in entries.values()):
        if start != at:
            raise ValueError(f"a tensor begins at byte {start}, and not at {at}")
        at = end
    if at != n_bytes:
        raise ValueError(f"the tensors take {at:,} bytes, and the file has {n_bytes:,}")
    return places


def _are_sizes(values):
    return isinstance(values, list) and all(type(n) is int and 0 <= n < 2**63 for n in values)


def _mapped(file, start, places):
    """The tensors as read-only maps of the file."""
    buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    note_mapped(buffer, file.fileno())
    return {name: _view(buffer, start, place) for name, place in places.items()}


def _view(buffer, start, place):
    n_values = math.prod(place.shape)
    if not n_values:
        return np.empty(place.shape, place.dtype)
    a = np.frombuffer(buffer, place.dtype, n_values, start + place.start).reshape(place.shape)
    return a if a.flags.aligned else a.copy()


def _copied(file, start, places):
    """The tensors as arrays of their own."""
    n_bytes = sum(math.prod(place.shape) * place.dtype.itemsize for place in places.values())
    check_memory(f"reading {file.name}", n_bytes, "the weights, which memory_map=True leaves in the file")
    tensors = {}
    for name, place in places.items():
        a = tensors[name] = np.empty(place.shape, place.dtype)
        file.seek(start + place.start)
        if a.size and file.readinto(a.reshape(-1).view(np.uint8)) != a.nbytes:
            raise ValueError(f"{name!r} is cut short")
    return tensors


def verify(header, tensors):
    """ValueError unless these are all the tensors of a file with this header, as they were written."""
    if checksums(tensors) != header["crc32"]:
        raise ValueError("a checksum is wrong, or a tensor is missing")


def checksums(tensors):
    """The CRC-32 of each tensor, by name."""
    return {name: checksum(a) for name, a in tensors.items()}
