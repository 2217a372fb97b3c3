"""How a fitted NextItemModel learns from further sequences: the counts of all of them, and further steps of its network."""

import numpy as np

from fastsoftmax.estimators.next_item_mixture import Mixture, made_experts
from fastsoftmax.sequences.histories import Sequences
from fastsoftmax.validation import check_new_classes, check_sequences, encode_labels


def grown(model, sequences):
    """What a fitted NextItemModel has after further sequences, as `_set_fitted` takes it; the model stays as it is."""
    items, at, further = _encoded(sequences, model.items_)
    before, mixture = model._sequences, model._mixture
    every = Sequences(at[before.ids].astype(np.int32), before.indptr).joined(further)
    learned = further.joined(further.reversed()) if model.chosen_["reverses"] else further
    options = {"n_threads": model.n_threads, "verbose": max(0, int(model.verbose) - 1)}
    network = mixture.network.grown(len(items), at, learned, model.chosen_["n_epochs"], **options)
    experts = made_experts(list(mixture.experts), every, len(items), model.n_threads)
    counts = np.bincount(every.ids, minlength=len(items))
    mixture = Mixture(network, experts, mixture.weights, counts)
    return {"items": items, "chosen": model.chosen_, "sequences": every, "mixture": mixture}


def _encoded(sequences, known):
    """All items, the codes that the `known` ones have among them, ascending, and Sequences of codes."""
    labels, indptr = check_sequences("sequences", sequences, known)
    items, at = known, np.arange(len(known))
    codes = np.empty(0, np.int64)
    if len(labels):
        codes = encode_labels(labels, known, unknown=-1, name="sequences")
    if (codes < 0).any():
        items, at = check_new_classes(labels[codes < 0], known)
        codes = encode_labels(labels, items, name="sequences")
    return items, at, Sequences(codes.astype(np.int32), indptr)
