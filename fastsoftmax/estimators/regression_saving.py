"""Saving a SoftmaxRegression to a file, and loading it: safetensors with JSON inside, nothing executable."""

import numpy as np

from fastsoftmax.files import model_file, stored_labels, tensor_file
from fastsoftmax.text.encoding import Encoding
from fastsoftmax.text.text_vectorizer import TextVectorizer
from fastsoftmax.validation import (
    as_path,
    check_bool,
    check_int,
    check_regression_model,
    check_regression_params,
    check_vectorizer,
    check_writable,
)

FORMAT = "fastsoftmax.SoftmaxRegression"


def save(model, path, vectorizer=None):
    """Write a fitted SoftmaxRegression to file `path`; `vectorizer` : as for a SoftmaxClassifier."""
    path = as_path("path", path)
    check_writable("path", path)
    encoding = model.encoding_
    if vectorizer is not None:
        check_vectorizer("vectorizer", vectorizer, (TextVectorizer,), model.n_features_in_)
        encoding = Encoding(vectorizer=vectorizer)
    params = model.get_params(deep=False)
    params["class_weight"] = stored_labels.pack_weights(params["class_weight"])
    fitted = {"n_features_in_": model.n_features_in_, "n_iter_": model.n_iter_.tolist()}
    names = getattr(model, "feature_names_in_", ())
    saved = model_file.Saved(params, fitted, model.classes_, names, model._model, None, encoding.to_dict())
    model_file.write(path, FORMAT, saved)
    model.encoding_ = encoding  # a save that fails changes nothing


def load(kind, path, *, memory_map=False):
    """The SoftmaxRegression of class `kind` in file `path`; ValueError where it is damaged."""
    path, memory_map = as_path("path", path), check_bool("memory_map", memory_map)
    saved = model_file.read(path, FORMAT, memory_map=memory_map)
    try:
        model = kind(**saved.params | {"class_weight": stored_labels.unpack_weights(saved.params["class_weight"])})
        check_regression_params(model)
        check_regression_model(saved.model, saved.classes)
        n_iter = np.array([check_int("the model's n_iter_", n, minimum=0) for n in saved.fitted["n_iter_"]], np.int32)
        n_features = check_int("the model's n_features_in_", saved.fitted["n_features_in_"], minimum=1)
        encoding = Encoding.from_dict(saved.encoding)
        model._set_fitted(
            _model=saved.model, classes_=saved.classes, n_features_in_=n_features, n_iter_=n_iter, encoding_=encoding
        )
        if saved.feature_names:
            model._name_features(np.array(saved.feature_names, dtype=object))
        if encoding.vectorizer is not None:
            check_vectorizer("the model's vectorizer", encoding.vectorizer, (TextVectorizer,), n_features)
    except tensor_file.DAMAGE as error:
        raise model_file.incomplete(path, error) from error
    return model
