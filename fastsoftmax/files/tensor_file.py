"""Files in the safetensors format. Tensors are streamed when written and mapped when read, so they need no memory.

The safetensors package turns all tensors into bytes before it writes any of them, which doubles the memory of a model.
"""

import json
import mmap
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np

CHUNK_BYTES = 1 << 24
_NAMES = {
    "f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8",
    "u8": "U64", "u4": "U32", "u2": "U16", "u1": "U8", "b1": "BOOL",
}  # fmt: skip
_DTYPES = {name: np.dtype(code) for code, name in _NAMES.items()}
_LARGEST_CRC = 2**32 - 1


def write(path, tensors, header, *, default=None, beside=None):
    """Write `tensors` to file `path`, with `header` and their CRC-32 sums (as header["crc32"]) as its metadata.

    The metadata have a CRC-32 sum too. The file is written under another name, synced and then renamed: whatever ends the
    process, either the old file or the new one is there.

    Parameters
    ----------
    path : str or path-like
    tensors : dict of str to C-contiguous array
    header : dict that JSON can hold
    default : as for json.dumps
    beside : path-like, optional
        The name of the file until it is complete; by default one that no other file has.
    """
    path = Path(path)
    if beside is None:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
    try:
        with open(beside, "wb") as file:
            _write(file, tensors, header, default)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)  # mkstemp makes private files
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _write(file, tensors, header, default):
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))  # in this order all are aligned
    entries, at = {}, 0
    for name in names:
        a = tensors[name]
        offsets = [at, at + a.nbytes]
        entries[name] = {"dtype": _NAMES[a.dtype.str[1:]], "shape": list(a.shape), "data_offsets": offsets}
        at += a.nbytes

    def as_bytes(crc32):
        text = json.dumps(header | {"crc32": crc32}, default=default)
        metadata = {"fastsoftmax": text, "fastsoftmax.crc32": f"{zlib.crc32(text.encode()):08x}"}
        return json.dumps({"__metadata__": metadata} | entries).encode()

    n_bytes = -(-len(as_bytes(dict.fromkeys(names, _LARGEST_CRC))) // 8) * 8
    file.write(n_bytes.to_bytes(8, "little") + b" " * n_bytes)
    crc32 = {name: _write_tensor(file, tensors[name]) for name in names}
    file.seek(8)
    file.write(as_bytes(crc32))


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


def _sync_folder(folder):
    """Sync the folder, so that the new name survives a crash of the machine. Some systems cannot open folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def header_of(metadata):
    """The header in the metadata of a file; ValueError where it is damaged."""
    text = metadata["fastsoftmax"]
    if metadata.get("fastsoftmax.crc32", found := f"{zlib.crc32(text.encode()):08x}") != found:
        raise ValueError("a checksum is wrong")
    return json.loads(text)


def mapped(path):
    """The tensors of a file as read-only memory maps; the safetensors package has already checked that it is well-formed."""
    with open(path, "rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(start - 8))
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    entries.pop("__metadata__", None)
    return {name: _tensor(buffer, start, entry) for name, entry in entries.items()}


def _tensor(buffer, start, entry):
    shape, dtype = entry["shape"], _DTYPES[entry["dtype"]]
    n_values = int(np.prod(shape, dtype=object))
    if not n_values:
        return np.empty(shape, dtype)
    return np.frombuffer(buffer, dtype, n_values, start + entry["data_offsets"][0]).reshape(shape)


def read(path, format, versions, *, memory_map=False):
    """The header and the tensors of a file of this format and of one of these versions, which have the newest first.

    memory_map : whether the tensors stay in the file, read-only
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):
        pass  # a missing or unreadable file raises an OSError that names it
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            header = "fastsoftmax" in metadata and header_of(metadata)
            tensors = {} if memory_map else {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        if memory_map:
            tensors = mapped(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a model file, or a damaged one ({error})") from error
    except ValueError as error:
        raise ValueError(f"{path}: damaged header ({error})") from error
    if header is False:
        raise ValueError(f"{path}: a safetensors file, but not a fastsoftmax model")
    if not isinstance(header, dict):
        raise ValueError(f"{path}: damaged header ({type(header).__name__})")
    if header.get("format") != format or header.get("format_version") not in versions:
        found = f"{header.get('format')!r} version {header.get('format_version')!r}"
        raise ValueError(f"{path}: holds {found}, but this version reads {format!r} version {versions[0]}")
    return header, tensors


def checksums(tensors):
    """The CRC-32 of each tensor, by name."""
    return {name: checksum(a) for name, a in tensors.items()}
