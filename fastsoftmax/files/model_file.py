"""A model in a file: one safetensors file with its parts as tensors and JSON. Nothing in it is ever executed."""

from typing import NamedTuple

import numpy as np

from fastsoftmax.files import state_dict, stored_labels, tensor_file
from fastsoftmax.model.compact import DTYPES, STORAGES, CompactModel
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.passes.shard import WHOLE
from fastsoftmax.validation import (
    REAL_DTYPES,
    check_compact,
    check_option,
    check_real,
    check_sparse_W,
    check_stored_classes,
    check_stored_names,
)

FORMAT_VERSION = 2
SCALED_VERSION = 3  # the same with a scale, without which a build that knows of none would predict something else
VERSIONS = (SCALED_VERSION, FORMAT_VERSION)


class Saved(NamedTuple):
    """What a file holds."""

    params: dict  # parameters of the estimator, as JSON holds them
    fitted: dict  # fitted attributes, as JSON holds them
    classes: np.ndarray
    feature_names: list | np.ndarray | tuple
    model: Model
    state: dict | None  # a nested dict that further training continues from; see state_dict
    encoding: dict | None  # what the columns of X are, a nested dict like `state`


def write(path, format, saved):
    """Write a Saved to file `path`, and `format`, a name, into its header.

    A crash leaves the old file and never half of a new one where the system allows that; see OutputFile.
    """
    header, tensors = packed(format, saved)
    tensor_file.write(path, tensors, header, default=as_python)


def packed(format, saved):
    """The header and the tensors of the file of a Saved; ValueError where a weight is not finite."""
    _check_finite(saved.model)
    header = {
        "format": format,
        "format_version": version(saved.model),
        "params": saved.params,
        "fitted": saved.fitted,
        "feature_names": list(saved.feature_names),
        "storage": saved.model.storage,
        "fortran": [],
    }
    if saved.model.scale is not None:
        header["scale"] = saved.model.scale
    tensors, header["classes"] = stored_labels.pack(saved.classes)
    header["state"], states = state_dict.split(saved.state, "training")
    header["extra"], arrays = state_dict.split(saved.encoding, "encoding")
    tensors |= states | arrays
    if saved.model.pairs is not None:
        tensors |= {f"pairs.{name}": a for name, a in saved.model.pairs._asdict().items()}
    if saved.model.prior is not None:
        tensors["prior"] = saved.model.prior
    for name, a in saved.model.arrays().items():
        if a.ndim == 2 and not a.flags.c_contiguous:
            header["fortran"].append(name)
            a = a.T
        tensors[name] = a
    return header, tensors


def version(model):
    """The format version of the files of a model."""
    return FORMAT_VERSION if model.scale is None else SCALED_VERSION


def read(path, format, *, memory_map=False, converters=None):
    """The Saved in file `path`.

    memory_map : whether the weights stay in the file, without a check of their checksums
    converters : dict from an older format version to a function that turns its header and tensors into those of this version
    """
    versions = (*VERSIONS, *(converters or ()))
    header, tensors = tensor_file.read(path, format, versions, memory_map=memory_map)
    try:
        unread = model_names() if memory_map else ()
        if header["crc32"].keys() != tensors.keys():
            raise ValueError("a tensor is missing, or has no checksum")
        verified = {name: a for name, a in tensors.items() if name not in unread}
        if tensor_file.checksums(verified) != {name: header["crc32"][name] for name in verified}:
            raise ValueError("a checksum is wrong")
        if header["format_version"] not in VERSIONS:
            header, tensors = converters[header["format_version"]](header, tensors)
        for name in header["fortran"]:
            tensors[name] = tensors[name].T
        return unpacked(header, tensors, memory_map=memory_map)
    except tensor_file.DAMAGE as error:
        raise incomplete(path, error) from error


def unpacked(header, tensors, *, memory_map=False, shard=WHOLE, features=None):
    """The Saved that `packed` made these of; arrays that are feature-major are no longer transposed.

    memory_map : whether the weights are in a file, which is not read for a check
    shard : passes.shard.Shard, whose classes the arrays of the model are of
    features : model.features.Features that its rows of E are of, or None
    """
    storage = check_option("the model's storage", header["storage"], (None, *STORAGES))
    classes = stored_labels.unpack(tensors, header["classes"])
    model = _model(storage, tensors)
    model.shard, model.features, model.scale = shard, features, _scale(header)
    state = state_dict.joined(header["state"], tensors)
    encoding = state_dict.joined(header["extra"], tensors)
    saved = Saved(header["params"], header["fitted"], classes, header["feature_names"], model, state, encoding)
    _check_consistent(saved)
    if not memory_map:
        _check_finite(model)
    return saved


def incomplete(path, error):
    """The ValueError for a file that lacks something or holds something else in its place."""
    return ValueError(f"{path}: not a complete fastsoftmax model ({type(error).__name__}: {error})")


def stored_seed(random_state):
    """A `random_state` as files hold it: a seed, or None for a generator."""
    return int(random_state) if isinstance(random_state, (int, np.integer)) else None


def as_python(value):
    """A NumPy number, which a parameter search may have set, as a Python number."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot be saved")


def model_names():
    """The names that the arrays of a model may have in a file."""
    return {*Model.NAMES, "W.T", *(f"state.{name}" for name in Model.NAMES)}


def _model(storage, tensors):
    pairs = {name: tensors.get(f"pairs.{name}") for name in Pairs._fields}
    pairs = None if pairs["indptr"] is None else Pairs(**pairs)
    if storage is not None:
        return CompactModel.from_arrays(storage, tensors, pairs)
    state = {name.removeprefix("state."): a for name, a in tensors.items() if name.startswith("state.")}
    arrays = {name: tensors.get(name) for name in (*Model.NAMES, "prior")}
    return Model(**arrays, state=state, pairs=pairs)


def _scale(header):
    """The scale of the low-rank term, or None; ValueError where it is no number that a file is written with."""
    scale = header.get("scale")
    if (scale is not None) != (header["format_version"] == SCALED_VERSION):
        raise ValueError(f"a file of format version {header['format_version']} with scale {scale!r}")
    return None if scale is None else check_real("the model's scale", scale, above=0)


def _check_consistent(saved):
    """Raise ValueError unless shapes and dtypes are those that the kernels rely on."""
    model, n_features = saved.model, saved.fitted["n_features_in_"]
    n_classes = len(model.shard.own_part(saved.classes))
    hidden_size = 0 if model.V is None else model.V.shape[1]
    if model.bias.dtype not in REAL_DTYPES:
        raise ValueError(f"the model's bias has dtype {model.bias.dtype}")
    check_stored_classes(saved.classes)
    check_stored_names(saved.feature_names, n_features)
    if model.storage is not None:
        _check_compact(model)
    n_embedded = n_features if model.E is None or model.pairs is None else model.n_hidden_features
    expected = {
        "bias": (n_classes,),
        "W": (n_classes, n_features) if model.pairs is None else (len(model.pairs.class_ids),),
        "E": (n_embedded if model.features is None else model.features.end - model.features.begin, hidden_size),
        "V": (n_classes, hidden_size),
    }
    if model.features is not None and model.features.n_all != n_embedded:
        raise ValueError(f"the model's E has rows for {model.features.n_all} features, but {n_embedded} are expected")
    arrays = model.arrays() if model.storage is None else model.parameters()
    for name, a in arrays.items():
        parameter = name.removeprefix("state.")
        shape = expected[parameter][: 1 if name in ("state.E", "state.V") else None]
        if a.shape != shape or a.dtype != model.bias.dtype:
            raise ValueError(
                f"the model's {name} has shape {a.shape} and dtype {a.dtype}, but {shape} {model.bias.dtype} is expected"
            )
    if model.pairs is not None:
        _check_pairs(model, n_features)
    if model.prior is not None and (model.prior.shape != model.bias.shape or model.prior.dtype != model.bias.dtype):
        raise ValueError(f"the model's prior has shape {model.prior.shape} and dtype {model.prior.dtype}")
    if (model.E is None) != (model.V is None) or (model.E is None and (model.W is None or model.scale is not None)):
        raise ValueError("the model's weights are not complete")


def _check_finite(model):
    """Raise where a weight is not finite, as after a training that diverged. Compact weights are checked elsewhere."""
    if model.storage is not None:
        return
    name = model.first_non_finite(with_state=False)
    if name is not None:
        raise ValueError(f"the model's {name} is not finite")


def _check_compact(model):
    """Check the types and scales of compact weights; their shapes are checked as those of other models."""
    for name, a in model.parameters().items():
        if name == "bias":
            continue
        n_scales = len(a.data) if a.data.ndim == 2 else len(model.pairs.indptr) - 1
        scale_shape = (n_scales,) if model.storage == "int8" else None
        found = a.data.dtype, None if a.scale is None else a.scale.shape
        if found != (DTYPES[model.storage], scale_shape) or (a.scale is not None and a.scale.dtype != a.dtype):
            raise ValueError(f"the model's {name} is not {model.storage}: {found[0]} with scales of shape {found[1]}")
    check_compact(model)


def _check_pairs(model, n_features):
    """Check the pairs of a sparse term; the shape of its weights has been checked before."""
    if model.pairs.class_ids.dtype != np.int32 or model.W is None:
        raise ValueError(f"the model's class numbers have dtype {model.pairs.class_ids.dtype}, or have no weights")
    if len(model.pairs.indptr) != n_features + 1 or (model.E is not None and model.n_hidden_features > n_features):
        raise ValueError(f"the model's pairs are not those of {n_features} features")
    W = model.sparse_matrix()
    check_sparse_W(W, name="the model's W")
    if not W.has_canonical_format:
        raise ValueError("the model's pairs are not in ascending order")
