"""The conversion of model files from format version 1 to version 2.

Version 1 had one flat list of parameters, and named the parts of the training state one by one.
"""

from fastsoftmax.files.state_dict import ARRAY
from fastsoftmax.losses import GRADIENT_THRESHOLD, LOSSES
from fastsoftmax.optimizers import OPTIMIZERS

SPARSE = {
    "direct_learning_rate": "learning_rate",
    "min_count": "min_count",
    "max_classes_per_feature": "max_classes_per_feature",
}
PENALTIES = ("alpha", "class_alpha", "l1_alpha", "clip_norm")
STOPPING = ("validation_fraction", "n_iter_no_change")


def converted(header, tensors):
    """The header and tensors of version 2 that correspond to those of version 1."""
    header, tensors = dict(header), {_renamed(name): a for name, a in tensors.items()}
    fitted = dict(header["fitted"])
    damping, rng, sampler = fitted.pop("_damping"), header.pop("rng"), header.pop("sampler")
    header["params"], header["fitted"], header["state"] = _params(header["params"], fitted["loss_"]), fitted, None
    if header["storage"] is None:
        state = {"class_counts": _array("class_counts"), "damping": damping, "rng": rng, "sampler": None}
        if sampler is not None:
            counts = _array("sampler_counts") if "sampler_counts" in tensors else None
            state["sampler"] = {"learned": sampler, "counts": counts}
        header["state"] = state
    return header, tensors


def _renamed(name):
    return name.replace("pattern.", "pairs.", 1) if name.startswith("pattern.") else name


def _array(name):
    return {ARRAY: name}


def _params(params, loss_name):
    """The parameters of the present constructor, as JSON holds them."""
    params = dict(params)
    params.pop("joint")
    params.pop("checkpoint_every")
    sampling = {name: params.pop(name) for name in ("sampler", "n_negatives")}
    rate, threshold = params.pop("normaliser_rate"), params.pop("gradient_threshold")
    threshold = "auto" if threshold == GRADIENT_THRESHOLD else threshold
    kind = LOSSES[loss_name]
    options = {"gradient_threshold": threshold} if not kind.is_sampled else sampling
    if loss_name == "sampled_softmax":
        options = options | {"normaliser_rate": rate}
    if params["loss"] != "auto" or kind(**options).get_params() != kind().get_params():
        params["loss"] = _object(kind.__name__, options)
    sparse = {new: params.pop(old) for old, new in SPARSE.items()}
    if params["direct"] == "sparse":
        params["direct"] = _object("SparseTerm", sparse)
    n_features, freeze = params.pop("n_hidden_features"), params.pop("freeze_embedding")
    if params["hidden_size"] is not None and (params["hidden_size"] != "auto" or freeze):
        params["hidden_size"] = _object(
            "LowRank", {"size": params["hidden_size"], "n_features": n_features, "freeze": freeze}
        )
    kind = OPTIMIZERS[params["optimizer"]].__name__
    params["optimizer"] = _object(kind, {name: params.pop(name) for name in PENALTIES})
    stopping = {name: params.pop(name) for name in STOPPING}
    if params["early_stopping"]:
        params["early_stopping"] = _object("EarlyStopping", stopping)
    return params


def _object(kind, params):
    return {"kind": kind, "params": params}
