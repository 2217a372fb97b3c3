"""Saving a LanguageModel to a file, and loading it: safetensors with JSON inside, nothing executable."""

import numpy as np
from scipy.sparse import csc_array

from fastsoftmax.files import model_file, tensor_file
from fastsoftmax.language.counted import Counted
from fastsoftmax.language.history import History
from fastsoftmax.language.low_rank import LowRankExpert
from fastsoftmax.language.mixture import Mixture
from fastsoftmax.language.product import START, Product
from fastsoftmax.language.texts import SPECIAL, Words
from fastsoftmax.runtime import threads
from fastsoftmax.text.ngram_features import NGramFeatures
from fastsoftmax.validation import (
    as_path,
    check_bool,
    check_history,
    check_int,
    check_mixture_weights,
    check_ngram_tables,
    check_sparse_W,
    check_stored,
    check_vocabulary,
    check_writable,
)

FORMAT, VERSION = "fastsoftmax.LanguageModel", 1


def save(model, path):
    """Write a fitted LanguageModel to file `path`; a `random_state` that is a generator becomes None."""
    path = as_path("path", path)
    check_writable("path", path)
    params = model.get_params(deep=False)
    params["random_state"] = model_file.stored_seed(params["random_state"])
    mixture = model._mixture
    counted = mixture.counted
    tensors = {"ngrams.W": counted.W.data, "ngrams.classes": counted.W.indices, "ngrams.starts": counted.W.indptr}
    tensors |= {"ngrams.bias": counted.bias, "weights": mixture.weights}
    tensors |= {f"ngrams.table.{i}": table for i, table in enumerate(counted.features.tables())}
    low_rank = mixture.low_rank
    if low_rank:
        tensors |= {f"low_rank.{name}": np.ascontiguousarray(getattr(low_rank, name)) for name in ("E", "V", "bias")}
        tensors["factors"] = mixture.product.factors
    header = {
        "format": FORMAT,
        "format_version": VERSION,
        "params": params,
        "chosen": model.chosen_,
        "n_tokens": model.n_tokens_,
        "vocabulary": model.vocabulary_,
        "order": counted.features.order,
        "n_tables": len(counted.features.tables()),
        "history": low_rank and low_rank.history._asdict(),
        "has_cache": mixture.has_cache,
    }
    tensor_file.write(path, tensors, header, default=model_file.as_python)


def load(kind, path):
    """The LanguageModel of class `kind` in file `path`; ValueError where it is damaged."""
    path = as_path("path", path)
    header, tensors = tensor_file.read(path, FORMAT, (VERSION,))
    try:
        tensor_file.verify(header, tensors)
        model = kind(**header["params"])
        model._check_parameters()
        check_vocabulary(header["vocabulary"], SPECIAL)
        words = Words(header["vocabulary"])
        mixture = _mixture(model, header, tensors, len(words.vocabulary))
        n_tokens = check_int("n_tokens", header["n_tokens"], minimum=1)
        if not isinstance(header["chosen"], dict):
            raise ValueError("what was chosen has no names")
        model._set_fitted(words, mixture, header["chosen"], n_tokens)
    except tensor_file.DAMAGE as error:
        raise model_file.incomplete(path, error) from error
    return model


def _mixture(model, header, tensors, n_classes):
    order = check_int("order", header.get("order", model.order), minimum=1)  # which the first files do not tell
    n_tables = check_int("n_tables", header["n_tables"], minimum=0, maximum=order - 1)
    tables = [tensors[f"ngrams.table.{i}"] for i in range(n_tables)]
    check_ngram_tables(tables, order, n_classes)
    features = NGramFeatures.from_tables(tables, order=order)
    shape = n_classes, features.n_features_
    parts = tensors["ngrams.W"], tensors["ngrams.classes"], tensors["ngrams.starts"]
    W = check_sparse_W(csc_array(parts, shape=shape))
    counted, product = Counted(features, W, check_stored("ngrams.bias", tensors["ngrams.bias"], (n_classes,))), None
    if header["history"] is not None:
        product = Product(counted, _low_rank(header, tensors, n_classes), tensors["factors"])
        check_stored("factors", tensors["factors"], (len(START),), double=True)
    has_cache = check_bool("has_cache", header["has_cache"])
    mixture = Mixture(counted, product, has_cache, threads.resolve(model.n_threads), tensors["weights"])
    check_mixture_weights("weights", mixture.weights, (mixture.n_buckets, len(mixture.names)))
    return mixture


def _low_rank(header, tensors, n_classes):
    history = check_history(History(**header["history"]), n_classes)
    E = check_stored("low_rank.E", tensors["low_rank.E"], (history.n_columns, -1))
    V = check_stored("low_rank.V", tensors["low_rank.V"], (n_classes, E.shape[1]))
    return LowRankExpert(history, E, V, check_stored("low_rank.bias", tensors["low_rank.bias"], (n_classes,)))
