"""A fitted model as an ONNX model, alone or at the end of a Pipeline."""

import numpy as np
import skl2onnx
from scipy import sparse
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.validation import check_is_fitted

from fastsoftmax.estimators.base import SoftmaxEstimator
from fastsoftmax.onnx.converters import KINDS, register
from fastsoftmax.validation import (
    check_exported,
    check_exported_columns,
    check_exported_options,
    check_exported_output,
    check_exported_topk,
    check_exported_words,
    check_opset,
)

NAMES = {"proba": "probabilities", "log_proba": "log_probabilities", "logits": "logits"}  # of outputs
CHOSEN = {"proba": {}, "log_proba": {"log_proba": True}, "logits": {"raw_scores": True}}  # options of the converters
LOCALE = "C"  # which all machines have, unlike onnxruntime's own choice; it tells the case of ASCII letters
PATTERN = CountVectorizer().token_pattern
WORDS = r"[\p{L}\p{N}_]{2,}"  # the same in RE2, which does not count other alphabets as \w


def to_onnx(model, X=None, *, output="auto", topk=None, target_opset=None, options=None):
    """The fitted `model` as an ONNX model with the input "X" and two outputs: "label", and the values of labels.

    Parameters
    ----------
    model : SoftmaxClassifier, SoftmaxRegression or OneVsAllClassifier, or a Pipeline that ends in one
        Other steps of a Pipeline are those of scikit-learn that skl2onnx converts.
    X : array, scipy.sparse matrix, list of texts or DataFrame, optional
        Rows like those to come, of which only the types count: where they are float64, the ONNX model takes and computes
        float64, where they are other numbers, float32. Each column of a DataFrame is an input of its own, for a Pipeline
        that begins with a ColumnTransformer. None: texts where the first step is a CountVectorizer or a TfidfVectorizer, else
        numbers of the type that the classifier has weights of.
    output : {"auto", "proba", "log_proba", "logits"}
        The second output, called "probabilities", "log_probabilities" or "logits". Logarithms are natural ones. "auto" is
        "proba", but "logits" for a `OneVsAllClassifier`, which has nothing else.
    topk : int, optional
        Only so many best labels of each row, and their values, best first: what `predict_topk` returns, with
        ``output="log_proba"``. None: the best label, and the values of all, in the order of `classes_`.
    target_opset : int, optional
        The version of ONNX's operators, at least 13; None: the newest that skl2onnx is tested with.
    options : dict, optional
        Further options of skl2onnx, by the class or the id of a step: ``{TfidfVectorizer: {"tokenexp": ...}}``.

    Returns
    -------
    proto : onnx.ModelProto
        Its `SerializeToString()` is what onnxruntime takes, and what belongs into a file. "label" is (n_rows,), or (n_rows,
        topk), int64 or strings, and values are (n_rows, n_classes or topk), float32 or float64.

    Raises
    ------
    ValueError
        If ONNX cannot hold the model: weights of 2 GiB or more, where a sparse term counts as the dense matrix that it
        stands for; labels that are neither integers nor bools nor strings; a step of this library without a converter, such as
        `features.TextVectorizer`, and `LanguageModel` and `NextItemModel`; a vectorizer of n-grams with stop words, which
        skl2onnx would not remove.
    TypeError
        If `model` is something else.

    Notes
    -----
    ONNX's rows are dense: ``session.run(None, {"X": rows.toarray()})`` runs sparse ones, some at a time. Texts are a column,
    (n_rows, 1). Vectorizers of words with the default pattern find the words that scikit-learn finds. Where a vocabulary has
    words that are not ASCII, lower case needs a locale that the machine has: docs/export.md.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsoftmax import SoftmaxRegression
    >>> from fastsoftmax.onnx import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> proto = to_onnx(SoftmaxRegression().fit(X, y), output="log_proba", topk=2)
    >>> [output.name for output in proto.graph.output]
    ['label', 'log_probabilities']
    """
    steps = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    check_exported(steps, KINDS)
    last = steps[-1]
    check_is_fitted(last, "classes_")
    is_softmax = isinstance(last, SoftmaxEstimator)
    output = check_exported_output(output, *(("proba", tuple(NAMES)) if is_softmax else ("logits", ("logits",))))
    check_exported_topk(topk, len(last.classes_), False)
    check_opset(target_opset)
    register()
    chosen = {"zipmap": False, "topk": topk} | CHOSEN[output]
    given = check_exported_options(options)
    given[id(last)] = given.get(type(last), {}) | given.get(id(last), {}) | chosen
    for vectorizer in _vectorizers(model):
        given[id(vectorizer)] = _options_of_words(
            vectorizer, given.get(type(vectorizer), {}) | given.get(id(vectorizer), {})
        )
    types = _input_types(steps[0], X, last)
    common = {"target_opset": target_opset, "options": given}
    if types is None:
        proto = skl2onnx.to_onnx(model, X, **common)
    else:
        proto = skl2onnx.to_onnx(model, initial_types=types, **common)
    _rename_output(proto, 1, NAMES[output])
    return proto


def _options_of_words(vectorizer, given):
    """The given options of a vectorizer, with those that make ONNX find the words that scikit-learn does."""
    check_exported_words(vectorizer)
    options = dict(given)
    by_pattern = vectorizer.analyzer == "word" and vectorizer.token_pattern == PATTERN
    if by_pattern and "separators" not in options:
        options.setdefault("tokenexp", WORDS)
    if all(map(str.isascii, vectorizer.vocabulary_)):  # other letters are in no known word, of whichever case they are
        options.setdefault("locale", LOCALE)
    return options


def _vectorizers(step):
    """The CountVectorizers, of which TfidfVectorizers are a kind, in a pipeline and in its branches."""
    if isinstance(step, CountVectorizer):
        yield step
    parts = ()
    if isinstance(step, Pipeline):
        parts = [part for _, part in step.steps]
    elif isinstance(step, FeatureUnion):
        parts = [part for _, part in step.transformer_list]
    elif isinstance(step, ColumnTransformer):
        parts = [part for _, part, _ in step.transformers_]
    for part in parts:
        yield from _vectorizers(part)


def _input_types(first, X, last):
    """The name and type of the one input, as skl2onnx has them; None where it is to find them in X itself.

    first, last : the first and the last step
    """
    if X is None and isinstance(first, CountVectorizer):
        return [("X", StringTensorType([None, 1]))]
    if X is None or sparse.issparse(X):
        n_columns = check_exported_columns(first) if X is None else X.shape[1]
        dtype = last._model.dtype if X is None else X.dtype
        kind = DoubleTensorType if dtype == np.float64 else FloatTensorType
        return [("X", kind([None, n_columns]))]
    if isinstance(X, list):
        X = np.array(X)
    if isinstance(X, np.ndarray) and X.dtype.kind in "OU":
        return [("X", StringTensorType([None, 1 if X.ndim == 1 else X.shape[1]]))]
    if isinstance(X, np.ndarray):
        kind = DoubleTensorType if X.dtype == np.float64 else FloatTensorType
        return [("X", kind([None, X.shape[1]]))]
    return None


def _rename_output(proto, at, name):
    """Give output number `at` of the graph another name, which nothing else in it has."""
    before = proto.graph.output[at].name
    for node in proto.graph.node:
        for names in (node.input, node.output):
            names[:] = [name if each == before else each for each in names]
    proto.graph.output[at].name = name
