"""Saving a SoftmaxClassifier to a file or a folder of files, and loading it."""

import os
from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastsoftmax.distributed.mpi import ranks_of
from fastsoftmax.estimators import sequence_saving
from fastsoftmax.estimators.format_1 import converted
from fastsoftmax.files import model_file, shard_index, sharded, stored_labels, tensor_file
from fastsoftmax.losses import GRADIENT_THRESHOLD, LOSSES
from fastsoftmax.model.features import divides
from fastsoftmax.objectives import OBJECTIVES
from fastsoftmax.optimizers import OPTIMIZERS
from fastsoftmax.runtime.progress import say
from fastsoftmax.sequences.features import SequenceFeatures
from fastsoftmax.terms import LowRank, SparseTerm
from fastsoftmax.text.encoding import Encoding
from fastsoftmax.text.text_vectorizer import TextVectorizer
from fastsoftmax.training.options import LEARNING_RATE, Choices, EarlyStopping, Options
from fastsoftmax.training.state import TrainingState
from fastsoftmax.validation import (
    as_path,
    check_bool,
    check_n_shards,
    check_option,
    check_rng,
    check_vectorizer,
    check_writable,
    warn_not_calibrated,
)

FORMAT = "fastsoftmax.SoftmaxClassifier"
CHOSEN = tuple(f"{name}_" for name in Choices._fields)
FITTED = (*CHOSEN, "calibration_", "marginals_", "ranking_", "loss_curve_", "validation_curve_", "n_features_in_")
ADDED = {"marginals_": {}, "objective_": None, "ranking_": {}}  # since format 2 was first written
# the classes of parameters that are objects; a file can make objects of no other class
OBJECTS = (*LOSSES.values(), *OBJECTIVES.values(), *OPTIMIZERS.values(), SparseTerm, LowRank, EarlyStopping)
KINDS = {kind.__name__: kind for kind in OBJECTS}
VECTORIZERS = (TextVectorizer, SequenceFeatures)


def save(classifier, path, vectorizer=None, *, n_shards=None, verbose=None):
    """Write a fitted SoftmaxClassifier to file `path`, or to several files in folder `path`.

    A crash leaves the old file and never half of a new one where the system allows that; see OutputFile.

    Parameters
    ----------
    classifier : SoftmaxClassifier
        Its sampler and schedule must be names. A `random_state` that is a generator becomes None; its state is kept.
    path : str, bytes or path-like
    vectorizer : TextVectorizer or SequenceFeatures, optional
        What made the columns of X, for the classifier to keep; by default the one that it has.
    n_shards : int, optional
        The number of files in the folder. None: a file for each of the ranks of `comm`; of one process, one file, in a folder
        where `path` ends in a slash or is that of a model.
    verbose : bool, optional
        Whether a line says so; by default as the classifier has it.
    """
    check_is_fitted(classifier, "classes_")
    ranks = classifier._model.shard.ranks
    with ranks.all_or_none():
        with ranks.together():
            path = as_path("path", path)
            if n_shards is None and ranks.size == 1 and shard_index.names_a_folder(path):
                n_shards = 1
            if n_shards is not None or ranks.size > 1:
                n_shards = check_n_shards(n_shards, len(classifier.classes_), ranks.size)
            else:
                check_writable("path", path)
            encoding = classifier.encoding_
            if vectorizer is not None:
                check_vectorizer("vectorizer", vectorizer, VECTORIZERS, classifier.n_features_in_)
                is_of_texts = isinstance(vectorizer, TextVectorizer)
                encoding = Encoding(**{"vectorizer" if is_of_texts else "sequences": vectorizer})
            saved = _saved(classifier, encoding)
            n_bytes = sum(a.nbytes for a in classifier._model.arrays().values())
        if ranks.rank == 0:
            verbose = classifier.verbose if verbose is None else verbose
            say(f"saving the model to {path}", verbose, n_rows=0, n_bytes=n_bytes)
        if n_shards is None:
            model_file.write(path, FORMAT, saved)
        else:
            sharded.write(path, FORMAT, saved, n_shards=n_shards)
    if classifier._awaits_calibration:  # which the file does not tell
        warn_not_calibrated()
    classifier.encoding_ = encoding  # a save that fails changes nothing


def packed(classifier):
    """The header and the tensors that a file of a fitted SoftmaxClassifier has, for files that hold more than that."""
    return model_file.packed(FORMAT, _saved(classifier, classifier.encoding_))


def unpacked(kind, path, header, tensors):
    """The classifier of class `kind` that `packed` made these of, in file `path`."""
    for name in header["fortran"]:
        tensors[name] = tensors[name].T
    return _classifier(kind, path, model_file.unpacked(header, tensors))


def _saved(classifier, encoding):
    """The classifier as files hold it."""
    params = classifier.get_params(deep=False)
    sampler = _sampler(params["loss"], classifier.loss_)
    if not (sampler is None or isinstance(sampler, str)):
        raise TypeError(
            f"only samplers given by name can be saved, got sampler={sampler!r}: set_params(loss__sampler='in_batch') "
            "before, which changes no prediction"
        )
    if callable(params["schedule"]):
        raise TypeError(
            f"only schedules given by name can be saved, got schedule={params['schedule']!r}: set_params(schedule='auto') "
            "before, which changes no prediction"
        )
    params["random_state"] = model_file.stored_seed(params["random_state"])
    params["dtype"] = np.dtype(params["dtype"]).name
    params["class_weight"] = stored_labels.pack_weights(params["class_weight"])
    params["ignore_label"] = stored_labels.key_to_json(params["ignore_label"])
    params["checkpoint"] = params["weights_dir"] = None  # paths of this machine
    del params["comm"]
    return model_file.Saved(
        {name: _pack(value) for name, value in params.items()},
        {name: getattr(classifier, name) for name in FITTED},
        classifier.classes_,
        getattr(classifier, "feature_names_in_", ()),
        classifier._model,
        None if classifier._state is None else classifier._state.state(sampler),
        _pack_encoding(encoding),
    )


def load(kind, path, *, memory_map=False, comm=None):
    """The classifier of class `kind` in file or folder `path`; see fastsoftmax.load."""
    ranks = ranks_of(comm)
    with ranks.all_or_none():
        with ranks.together():
            path, memory_map = as_path("path", path), check_bool("memory_map", memory_map)
        options = {"memory_map": memory_map, "converters": {1: converted}}
        if ranks.size > 1 or os.path.isdir(path):
            saved = sharded.read(path, FORMAT, ranks=ranks, **options, divides=partial(_divides, ranks.size))
        else:
            saved = model_file.read(path, FORMAT, **options)
        with ranks.together():
            classifier = _classifier(kind, path, saved)
        classifier.comm = comm
        if classifier._state is not None:  # whose generator is a new one where none was saved
            classifier._state.rng = ranks.first(classifier._state.rng)
    return classifier


def _divides(n_ranks, params, n_features, n_bytes):
    """Whether ranks divide the rows of E of a classifier with these parameters; see model.features.divides."""
    low_rank = _unpack(params["hidden_size"])
    choice = low_rank.divide if isinstance(low_rank, LowRank) else "auto"
    return divides(choice, n_features, n_bytes, n_ranks)


def _classifier(kind, path, saved):
    try:
        labels = ("ignore_label", "class_weight")  # whose dicts are labels
        fitted = ADDED | saved.fitted
        params = {name: value if name in labels else _unpack(value) for name, value in saved.params.items()}
        params["checkpoint"] = params["weights_dir"] = None  # no file tells where others are written
        if params["learning_rate"] == LEARNING_RATE and Choices(*(fitted[name] for name in CHOSEN)).is_sparse_alone:
            params["learning_rate"] = "auto"  # earlier builds had a number all the same
        params["class_weight"] = stored_labels.unpack_weights(params["class_weight"])
        params["ignore_label"] = stored_labels.from_json(params["ignore_label"])
        classifier = kind(**params)
        Options.of(classifier.get_params(deep=False))
        for name in FITTED:
            setattr(classifier, name, fitted[name])
        check_option("the model's loss_", classifier.loss_, tuple(LOSSES))
        classifier.classes_, classifier._model = saved.classes, saved.model
        if saved.feature_names:
            classifier._name_features(np.array(saved.feature_names, dtype=object))
        classifier._state = _state(classifier, saved)
        classifier.encoding_ = _unpack_encoding(saved.encoding)
        if classifier.vectorizer_ is not None:
            check_vectorizer("the model's vectorizer", classifier.vectorizer_, VECTORIZERS, classifier.n_features_in_)
        return classifier
    except tensor_file.DAMAGE as error:
        raise model_file.incomplete(path, error) from error


def _pack_encoding(encoding):
    """An Encoding as a nested dict for files; earlier builds do not look for what made columns of sequences."""
    values = encoding.to_dict()
    return values if encoding.sequences is None else values | {"sequences": sequence_saving.packed(encoding.sequences)}


def _unpack_encoding(values):
    """The Encoding that `_pack_encoding` turned into `values`; None: a file has none."""
    encoding = Encoding.from_dict(values)
    stored = (values or {}).get("sequences")
    return encoding if stored is None else replace(encoding, sequences=sequence_saving.unpacked(stored))


def _state(classifier, saved):
    """The TrainingState of a Saved; None where the model is compressed, and so never trains again."""
    if saved.model.storage is not None:
        return None
    n_classes, state = len(saved.classes), saved.state
    if state["class_counts"].shape != (n_classes,):
        raise ValueError(f"the model has {n_classes} classes, but {len(state['class_counts'])} class counts")
    sampler_counts = (state["sampler"] or {}).get("counts")
    if sampler_counts is not None and sampler_counts.shape != (n_classes,):
        raise ValueError(f"the model has {n_classes} classes, but {len(sampler_counts)} sampler counts")
    sampler = _sampler(classifier.loss, classifier.loss_)
    return TrainingState.restored(state, sampler, lambda: check_rng("random_state", classifier.random_state))


def _sampler(loss, name):
    """The name or object that the sampler is made from; None where the loss does not sample.

    loss : the parameter, a name or an object
    name : name of the loss that was used, which a string stands for ("auto")
    """
    loss = LOSSES[name]() if isinstance(loss, str) else loss
    return loss.sampler if loss.is_sampled else None


def _pack(value):
    """A parameter as JSON holds it; an object becomes a dict of its class name and its parameters."""
    kind = type(value).__name__
    if KINDS.get(kind) is not type(value):
        return value
    params = value.get_params(deep=False)
    if params.get("normalize") is False:  # which earlier builds do not know
        del params["normalize"]
    return {"kind": kind, "params": params}


def _unpack(value):
    """The parameter that `_pack` turned into `value`."""
    if not isinstance(value, dict):
        return value
    params = dict(value["params"])
    if params.get("sampler") == "in_batch":  # it draws none; earlier builds had a number all the same
        params["n_negatives"] = "auto"
    if params.get("gradient_threshold") == GRADIENT_THRESHOLD:  # the default of earlier builds
        params["gradient_threshold"] = "auto"
    return KINDS[value["kind"]](**params)
