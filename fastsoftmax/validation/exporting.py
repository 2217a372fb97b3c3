"""What a fitted model has to be for ONNX to say it: its kind, its labels, its size."""

import numpy as np

from fastsoftmax.runtime.memory import shown
from fastsoftmax.validation.labels import family
from fastsoftmax.validation.scalars import check_int, check_option

MOST_BYTES = (1 << 31) - (1 << 24)  # protobuf's limit of a message, less room for labels and operators
LEAST_OPSET = 13  # of ONNX 1.8; all operators that are written are there in the form that they are written in
OUTPUTS = ("proba", "log_proba", "logits")
INSTEAD = {
    "TextVectorizer": "take scikit-learn's TfidfVectorizer or CountVectorizer, or leave it outside: export the classifier "
    "alone, and run it on the columns that the vectorizer makes",
    "SoftmaxClassifier": "it can only be the last step, since its hidden layer has no converter",
    "LanguageModel": "its counts of n-grams and its cache are no products of matrices",
    "NextItemModel": "its counts and its nearest sequences are no products of matrices",
    "NGramLanguageModel": "its counts of n-grams are no product of matrices",
}


def check_exported(steps, kinds):
    """Raise unless ONNX can have these steps of a pipeline, of which the last is the classifier.

    kinds : the classes of estimators that have converters here
    """
    *before, last = steps
    for step in before:
        if type(step).__module__.partition(".")[0] == "fastsoftmax":
            _refuse(step)
    if not isinstance(last, kinds):
        if type(last).__module__.partition(".")[0] == "fastsoftmax":
            _refuse(last)
        names = ", ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"model must be one of {names}, or a Pipeline that ends in one, got {type(last).__name__}")


def _refuse(step):
    name = type(step).__name__
    why = INSTEAD.get(name, "it has no converter")
    raise ValueError(f"{name} cannot be exported to ONNX: {why}")


def check_exported_output(output, default, allowed):
    """The name of the values to export; "auto" stands for `default`."""
    check_option("output", output, ("auto", *OUTPUTS))
    if output == "auto":
        return default
    if output not in allowed:
        raise ValueError(
            f"output must be {' or '.join(map(repr, allowed))} for this model, whose logits are no softmax's, got {output!r}"
        )
    return output


def check_exported_topk(topk, n_classes, zipmap):
    """`topk`, the number of labels of each row, or None; it cannot go with a dict of all labels."""
    if topk is None:
        return None
    topk = check_int("topk", topk, minimum=1, maximum=n_classes)
    if zipmap is not False:
        raise ValueError(f"topk needs the option zipmap=False of skl2onnx, got zipmap={zipmap!r}")
    return topk


def check_exported_labels(classes):
    """The labels as ONNX has them: int64, or strings as objects.

    Raises
    ------
    ValueError
        If they are neither integers nor bools nor strings, or integers beyond 64 bits.
    """
    kind = family(classes)
    advice = "the option nocl=True exports their positions in classes_ in their place"
    if kind == "strings":
        return classes.astype(object)
    if kind not in ("integers", "bools"):
        raise ValueError(f"ONNX has labels that are integers, bools or strings, got {classes[0]!r}: {advice}")
    if classes.dtype.kind in "uO":  # Python's integers and those without a sign may be larger
        largest = max(classes.tolist(), key=abs)
        if not np.iinfo(np.int64).min <= largest <= np.iinfo(np.int64).max:
            raise ValueError(f"ONNX has labels of 64 bits, got {largest}: {advice}")
    return classes.astype(np.int64)


def check_opset(opset):
    """Raise where the operators that are written do not exist in this version of ONNX's operators; None: the newest."""
    if opset is not None and opset < LEAST_OPSET:
        raise ValueError(f"target_opset must be at least {LEAST_OPSET} for models of fastsoftmax, got {opset}")


def check_exported_size(terms):
    """ValueError where the weights take more than one ONNX model can hold.

    terms : dict of str to int, the bytes of each term by what it is
    """
    n_bytes = sum(terms.values())
    if n_bytes > MOST_BYTES:
        largest = max(terms, key=terms.get)
        raise ValueError(
            f"an ONNX model holds less than 2 GiB of weights, and these take {shown(n_bytes)}, most of them {largest}"
        )


def check_exported_columns(first):
    """The number of columns of the rows that a pipeline takes whose first step is `first`."""
    n_columns = getattr(first, "n_features_in_", None)
    if n_columns is None:
        raise ValueError(
            f"X must be given, since {type(first).__name__}, the first step, does not tell what its rows are"
        )
    return n_columns


def check_exported_options(options):
    """A copy of the options of skl2onnx's converters; {} for None."""
    for key in options or {}:
        if not isinstance(key, (type, int)):
            raise TypeError(f"options must have classes or ids of steps as keys, got {key!r}")
    return dict(options or {})


def check_exported_words(vectorizer):
    """Raise where skl2onnx would write a CountVectorizer whose n-grams are others than scikit-learn's."""
    if vectorizer.stop_words is not None and vectorizer.analyzer == "word" and vectorizer.ngram_range[1] > 1:
        raise ValueError(
            f"{type(vectorizer).__name__} cannot be exported to ONNX with both stop_words and ngram_range="
            f"{vectorizer.ngram_range}: skl2onnx would leave stop words within n-grams; fit it without one of the two"
        )
