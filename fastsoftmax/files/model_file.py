"""Models in files: one safetensors file, with parameters and labels as JSON or tensors. Nothing in it is ever executed."""

import numpy as np

import fastsoftmax.validation as v
from fastsoftmax.files import state_dict, stored_labels, tensor_file
from fastsoftmax.losses import LOSSES
from fastsoftmax.model.compact import DTYPES, STORAGES, CompactModel
from fastsoftmax.model.model import Model, Pattern

FORMAT = "fastsoftmax.SoftmaxClassifier"
FORMAT_VERSION = 1
FITTED = (
    "loss_", "direct_", "hidden_size_", "alpha_", "class_alpha_", "calibration_", "loss_curve_", "validation_curve_",
    "n_features_in_", "_damping",
)  # fmt: skip


def save(classifier, path, extra=None):
    """Write a fitted SoftmaxClassifier to file `path`.

    The file is written beside and then renamed: a crash leaves the old one, never half a new one.

    Parameters
    ----------
    classifier : SoftmaxClassifier
        Its sampler and schedule must be names; a `random_state` that is a generator becomes None, and its state is kept.
    path : str or path-like
    extra : JSON-serialisable, optional
        Kept beside the model, for example the description of a vectorizer.
    """
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(classifier, "classes_")
    v.check_writable("path", path)
    params = classifier.get_params()
    params["random_state"] = params["random_state"] if isinstance(params["random_state"], int) else None
    if not isinstance(params["sampler"], str):
        raise TypeError(
            f"only samplers given by name can be saved, got sampler={params['sampler']!r}: set_params(sampler='in_batch') "
            "before, which changes no prediction"
        )
    if callable(params["schedule"]):
        raise TypeError(
            f"only schedules given by name can be saved, got schedule={params['schedule']!r}: set_params(schedule='auto') "
            "before, which changes no prediction"
        )
    params["dtype"] = np.dtype(params["dtype"]).name
    params["class_weight"] = stored_labels.pack_weights(params["class_weight"])
    params["ignore_label"] = stored_labels.to_json(params["ignore_label"])
    params["checkpoint"] = params["weights_dir"] = None  # paths of this machine
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "params": params,
        "fitted": {name: getattr(classifier, name) for name in FITTED},
        "feature_names": list(getattr(classifier, "feature_names_in_", ())),
        "extra": extra,
        "rng": state_dict.generator_state(classifier._rng) if _is_numpys(classifier._rng) else None,
    }
    tensors, header["classes"] = stored_labels.pack(classifier.classes_)
    header["storage"] = classifier._model.storage
    if header["storage"] is None:  # else it never trains again
        tensors["class_counts"] = classifier._class_counts
        if classifier._sampler_counts is not None and classifier._sampler_counts is not classifier._class_counts:
            tensors["sampler_counts"] = classifier._sampler_counts  # those of fewer rows
    pattern = classifier._model.pattern
    if pattern is not None:
        tensors |= {f"pattern.{name}": a for name, a in pattern._asdict().items()}
    if classifier._model.prior is not None:
        tensors["prior"] = classifier._model.prior
    header["sampler"], states = state_dict.split(_sampler_state(classifier), "sampler")
    tensors |= states
    header["fortran"] = []
    for name, a in classifier._model.arrays().items():
        if a.ndim == 2 and not a.flags.c_contiguous:
            header["fortran"].append(name)
            a = a.T
        tensors[name] = a
    tensor_file.write(path, tensors, header, default=_as_python)


def _sampler_state(classifier):
    """What the sampler has learned; None where there is none, or it is not the one of the parameters any more."""
    if classifier._sampler is not None:
        return classifier._sampler.state() if classifier._sampler_given == classifier.sampler else None
    of, state = classifier._sampler_state or (None, None)
    return state if of == classifier.sampler else None


def _is_numpys(rng):
    return type(rng.bit_generator).__name__ in state_dict.BIT_GENERATORS


def checksums(tensors):
    """CRC-32 of each tensor."""
    return {name: tensor_file.checksum(a) for name, a in tensors.items()}


def _as_python(value):
    """NumPy's numbers, which parameter searches set, as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot be saved")


def load(path, *, memory_map=False):
    """The SoftmaxClassifier that its `save` wrote to file `path`.

    Parameters
    ----------
    path : str or path-like
    memory_map : bool
        True: the weights stay in the file, which must not be changed as long as the model lives, and are read when they
        are needed, so that models larger than memory predict. The checksums of all else are verified. Training copies
        the weights, to `weights_dir` if that is set.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not a model, was written by a newer version, or is damaged or cut short.
    """
    return load_with_extra(path, memory_map=memory_map)[0]


def load_with_extra(path, *, memory_map=False):
    """The SoftmaxClassifier in file `path` and what was saved beside it; it raises what `load` does."""
    from fastsoftmax.estimators.classifier import SoftmaxClassifier

    header, tensors = _read(path, memory_map=memory_map)
    try:
        unread = _model_names() if memory_map else ()
        if header["crc32"].keys() != tensors.keys():
            raise ValueError("a tensor is missing, or has no checksum")
        verified = {name: a for name, a in tensors.items() if name not in unread}
        if checksums(verified) != {name: header["crc32"][name] for name in verified}:
            raise ValueError("a checksum is wrong")
        params = header["params"]
        params["class_weight"] = stored_labels.unpack_weights(params["class_weight"])
        params["ignore_label"] = stored_labels.from_json(params["ignore_label"])
        classifier = SoftmaxClassifier(**params)
        for name in FITTED:
            setattr(classifier, name, header["fitted"][name])
        if header["feature_names"]:
            classifier._name_features(np.array(header["feature_names"], dtype=object))
        storage = v.check_option("the model's storage", header["storage"], (None, *STORAGES))
        classifier._class_counts = tensors.pop("class_counts") if storage is None else None
        classifier.classes_ = stored_labels.unpack(tensors, header["classes"])
        for name in header["fortran"]:
            tensors[name] = tensors[name].T
        state = {name.removeprefix("state."): a for name, a in tensors.items() if name.startswith("state.")}
        pattern = {name: tensors.get(f"pattern.{name}") for name in Pattern._fields}
        pattern = None if pattern["indptr"] is None else Pattern(**pattern)
        if storage is None:
            arrays = {name: tensors.get(name) for name in (*Model.NAMES, "prior")}
            classifier._model = Model(**arrays, state=state, pattern=pattern)
        else:
            classifier._model = CompactModel.from_arrays(storage, tensors, pattern)
        extra = header["extra"]
        _check_consistent(classifier)
        state = state_dict.joined(header["sampler"], tensors)
        counts = None if state is None else tensors.get("sampler_counts", classifier._class_counts)
        if counts is not None and counts.shape != classifier.classes_.shape:
            raise ValueError(f"the model has {len(classifier.classes_)} classes, but {len(counts)} sampler counts")
        classifier._resume(header["rng"], state, counts)
        return classifier, extra
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise ValueError(f"{path}: not a complete fastsoftmax model ({type(error).__name__}: {error})") from error


def _model_names():
    """What the arrays of a model may be called in a file."""
    return {*Model.NAMES, "W.T", *(f"state.{name}" for name in Model.NAMES)}


def _read(path, *, memory_map=False):
    return read(path, FORMAT, FORMAT_VERSION, memory_map=memory_map)


def read(path, format, version, *, memory_map=False):
    """The header and the tensors of a file of this format; memory_map : whether the tensors stay there, read-only."""
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):
        pass  # so that a missing or unreadable file is an OSError that names it
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            header = "fastsoftmax" in metadata and tensor_file.header(metadata)
            tensors = {} if memory_map else {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        if memory_map:
            tensors = tensor_file.mapped(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a model file, or a damaged one ({error})") from error
    except ValueError as error:
        raise ValueError(f"{path}: damaged header ({error})") from error
    if header is False:
        raise ValueError(f"{path}: a safetensors file, but not a fastsoftmax model")
    if not isinstance(header, dict):
        raise ValueError(f"{path}: damaged header ({type(header).__name__})")
    if header.get("format") != format or header.get("format_version") != version:
        found = f"{header.get('format')!r} version {header.get('format_version')!r}"
        raise ValueError(f"{path}: holds {found}, but this version reads {format!r} version {version}")
    return header, tensors


def _check_consistent(classifier):
    """Parameters, shapes and dtypes that the kernels rely on."""
    classifier._check_params()
    model, n_classes, n_features = classifier._model, len(classifier.classes_), classifier.n_features_in_
    hidden_size = 0 if model.V is None else model.V.shape[1]
    if model.bias.dtype not in v.REAL_DTYPES:
        raise ValueError(f"the model's bias has dtype {model.bias.dtype}")
    v.check_stored_classes(classifier.classes_)
    v.check_option("the model's loss_", classifier.loss_, ("softmax", *LOSSES))
    if model.storage is not None:
        _check_compact(model)
    elif classifier._class_counts.shape != (n_classes,):
        raise ValueError(f"the model has {n_classes} classes, but {len(classifier._class_counts)} class counts")
    expected = {
        "bias": (n_classes,),
        "W": (n_classes, n_features) if model.pattern is None else (len(model.pattern.class_ids),),
        "E": (n_features if model.E is None or model.pattern is None else len(model.E), hidden_size),
        "V": (n_classes, hidden_size),
    }
    arrays = model.arrays() if model.storage is None else model.parameters()
    for name, a in arrays.items():
        parameter = name.removeprefix("state.")
        shape = expected[parameter][: 1 if name in ("state.E", "state.V") else None]
        if a.shape != shape or a.dtype != model.bias.dtype:
            raise ValueError(
                f"the model's {name} has shape {a.shape} and dtype {a.dtype}, but {shape} {model.bias.dtype} is expected"
            )
    if model.pattern is not None:
        _check_pattern(model, n_features)
    if model.prior is not None and (model.prior.shape != model.bias.shape or model.prior.dtype != model.bias.dtype):
        raise ValueError(f"the model's prior has shape {model.prior.shape} and dtype {model.prior.dtype}")
    if (model.E is None) != (model.V is None) or (model.E is None and model.W is None):
        raise ValueError("the model's weights are not complete")


def _check_compact(model):
    """Types and scales of weights in few bits; shapes are those of other models."""
    for name, a in model.parameters().items():
        if name == "bias":
            continue
        n_scales = len(a.data) if a.data.ndim == 2 else len(model.pattern.indptr) - 1
        scale_shape = (n_scales,) if model.storage == "int8" else None
        found = a.data.dtype, None if a.scale is None else a.scale.shape
        if found != (DTYPES[model.storage], scale_shape) or (a.scale is not None and a.scale.dtype != a.dtype):
            raise ValueError(f"the model's {name} is not {model.storage}: {found[0]} with scales of shape {found[1]}")
    v.check_compact(model)


def _check_pattern(model, n_features):
    """The pairs of a sparse direct term, whose weights have the right shape."""
    if model.pattern.class_ids.dtype != np.int32 or model.W is None:
        raise ValueError(f"the model's class numbers have dtype {model.pattern.class_ids.dtype}, or have no weights")
    if len(model.pattern.indptr) != n_features + 1 or (model.E is not None and len(model.E) > n_features):
        raise ValueError(f"the model's pattern is not one of {n_features} features")
    W = model.sparse_matrix()
    v.check_sparse_W(W, name="the model's W")
    if not W.has_canonical_format:
        raise ValueError("the model's pairs are not in ascending order")
