"""Fitted SequenceFeatures in the file of a classifier: their parameters as JSON, and what they have learned as arrays."""

from fastsoftmax.files import stored_labels
from fastsoftmax.sequences.features import SequenceFeatures
from fastsoftmax.validation import check_item_ngrams, check_stored_classes


def packed(features):
    """What `unpacked` needs, a nested dict of arrays and of what JSON can hold. TypeError where labels cannot be saved."""
    return {
        "params": features.get_params(deep=False) | {"side": list(features._values)},
        "items": _packed_labels(features.items_),
        "values": {str(i): _packed_labels(values) for i, values in enumerate(features._values.values())},
        "ngrams": {str(i): table for i, table in enumerate(features._ngrams)},
    }


def unpacked(stored):
    """The SequenceFeatures that `packed` made this of; parameters that a file does not have are the defaults.

    How often n-grams occurred is not stored: for a `partial_fit` to come, those that were kept occurred as often as they had
    to, and no others did.
    """
    side = tuple(stored["params"]["side"])
    features = SequenceFeatures(**stored["params"] | {"side": side}).check()
    features.items_ = _labels(stored["items"])
    features.side_values_ = {name: _labels(stored["values"][str(i)]) for i, name in enumerate(side)}
    features._ngrams = tuple(stored["ngrams"][str(i)] for i in range(len(stored["ngrams"])))
    check_item_ngrams(features._ngrams, len(features.items_))
    return features


def _packed_labels(labels):
    tensors, kind = stored_labels.pack(labels)
    return {"kind": kind, "tensors": tensors}


def _labels(stored):
    labels = stored_labels.unpack(dict(stored["tensors"]), stored["kind"])
    check_stored_classes(labels)
    return labels
