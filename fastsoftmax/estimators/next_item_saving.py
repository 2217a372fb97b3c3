"""Saving a NextItemModel to a file, and loading it: the tensors of its network, its sequences and its weights."""

import numpy as np

from fastsoftmax.estimators import saving
from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.estimators.next_item_mixture import N_BUCKETS, Mixture, made_experts
from fastsoftmax.estimators.next_item_network import Network
from fastsoftmax.files import model_file, stored_labels, tensor_file
from fastsoftmax.sequences.experts import EXPERTS
from fastsoftmax.sequences.features import SequenceFeatures
from fastsoftmax.sequences.histories import Sequences
from fastsoftmax.validation import (
    as_path,
    check_bool,
    check_int,
    check_next_item_params,
    check_option,
    check_sequence_codes,
    check_writable,
)

FORMAT, VERSION = "fastsoftmax.NextItemModel", 1
PREFIX = "network."  # of the names of the network's tensors


def save(model, path):
    """Write a fitted NextItemModel to file `path`; a `random_state` that is a generator becomes None."""
    path = as_path("path", path)
    check_writable("path", path)
    params = model.get_params(deep=False)
    params["random_state"] = model_file.stored_seed(params["random_state"])
    mixture, sequences = model._mixture, model._sequences
    network, tensors = saving.packed(mixture.network.classifier)
    tensors = {PREFIX + name: a for name, a in tensors.items()}
    labels, kind = stored_labels.pack(model.items_)
    tensors |= labels | {"sequences.ids": sequences.ids, "sequences.indptr": sequences.indptr}
    tensors["weights"] = np.ascontiguousarray(mixture.weights)
    header = {
        "format": FORMAT,
        "format_version": VERSION,
        "params": params,
        "chosen": model.chosen_,
        "items": kind,
        "experts": list(mixture.experts),
        "features": mixture.network.features.get_params(),
        "network": network,
    }
    tensor_file.write(path, tensors, header, default=model_file.as_python)


def load(kind, path):
    """The NextItemModel of class `kind` in file `path`; ValueError where it is damaged."""
    path = as_path("path", path)
    header, tensors = tensor_file.read(path, FORMAT, (VERSION,))
    try:
        tensor_file.verify(header, tensors)
        model = kind(**header["params"])
        check_next_item_params(model)
        parts = {name.removeprefix(PREFIX): tensors.pop(name) for name in list(tensors) if name.startswith(PREFIX)}
        sequences = Sequences(tensors.pop("sequences.ids"), tensors.pop("sequences.indptr"))
        weights = tensors.pop("weights")
        items = stored_labels.unpack(tensors, header["items"])
        check_sequence_codes(*sequences, len(items))
        _check_experts(header["experts"], weights)
        _check_chosen(header["chosen"])
        features = SequenceFeatures(**header["features"]).check()
        features.items_ = np.arange(len(items))
        classifier = saving.unpacked(SoftmaxClassifier, path, header["network"], parts)
        _check_network(features, classifier)
        network = Network(features, classifier)
        experts = made_experts(header["experts"], sequences, len(items), model.n_threads)
        counts = np.bincount(sequences.ids, minlength=len(items))
        model._set_fitted(items, header["chosen"], sequences, Mixture(network, experts, weights, counts))
    except tensor_file.DAMAGE as error:
        raise model_file.incomplete(path, error) from error
    return model


def _check_chosen(chosen):
    """Raise unless this tells how the network was trained, which `partial_fit` goes on with."""
    check_int("n_epochs", chosen["n_epochs"], minimum=1)
    check_bool("reverses", chosen["reverses"])


def _check_experts(names, weights):
    """Raise unless these are different experts, and shares of a mixture for each bucket."""
    for name in names:
        check_option("an expert", name, tuple(EXPERTS))
    if len(set(names)) < len(names):
        raise ValueError(f"the experts are not all different: {names}")
    if weights.shape != (N_BUCKETS, len(names)) or weights.dtype != np.float64:
        raise ValueError(f"the weights of the experts have shape {weights.shape} and dtype {weights.dtype}")
    if not ((weights >= 0).all() and (weights.sum(axis=1) <= 1 + 1e-9).all()):
        raise ValueError("the weights of the experts are no shares")


def _check_network(features, classifier):
    """Raise unless the classifier takes the rows of the features, and its classes are codes of items."""
    if classifier.n_features_in_ != features.n_features_:
        raise ValueError(f"the network has {classifier.n_features_in_} features, not {features.n_features_}")
    if features.half_life is not None or features.side or features.ngrams > 1 or features.length_buckets:
        raise ValueError("the features of a network are bags and places alone")
    model, classes = classifier._model, classifier.classes_
    if model.storage is not None or model.W is not None or model.E is None or len(model.E) != features.n_features_:
        raise ValueError("the network is not a low-rank term of all features, and nothing else")
    if classes.dtype.kind != "i" or classes[0] < 0 or classes[-1] >= len(features.items_):
        raise ValueError(f"the classes of the network are not among {len(features.items_)} items")
