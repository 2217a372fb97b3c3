"""What fitted models compute, in operators of ONNX: the converters that skl2onnx calls.

The logits are one Gemm a term, each of which adds to the one before. ONNX has no sparse products, so a sparse term is written
as the dense matrix that it stands for. Best classes and labels come from the logits, which rounding in a softmax cannot tie.
"""

import numpy as np
from onnx import TensorProto, numpy_helper
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from skl2onnx.common.utils import check_input_and_output_numbers

from fastsoftmax.estimators.base import SoftmaxEstimator
from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.estimators.one_vs_all import OneVsAllClassifier
from fastsoftmax.estimators.regression import SoftmaxRegression
from fastsoftmax.validation import (
    check_exported_labels,
    check_exported_size,
    check_exported_topk,
    check_one_process,
    check_opset,
)

KINDS = (SoftmaxClassifier, SoftmaxRegression, OneVsAllClassifier)

# The first three are those of all classifiers in skl2onnx. None: any value.
OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [True, False],
    "raw_scores": [True, False],
    "topk": None,
}


def register():
    """Teach skl2onnx to convert `SoftmaxClassifier`, `SoftmaxRegression` and `OneVsAllClassifier`.

    After that, its own functions take these models, alone and within a Pipeline, and so do those of other packages that call
    them. `to_onnx` here calls it. To call it again changes nothing.

    Notes
    -----
    Options of skl2onnx's converters of classifiers are taken: "zipmap" (True by default, as there: a dict of all labels for
    each row; False gives a matrix), "nocl" (the positions of labels in `classes_` in their place), "output_class_labels" and
    "raw_scores" (logits in the place of probabilities). There are two more: "log_proba" (natural logarithms of probabilities,
    for the two softmax models) and "topk" (only so many best labels of each row, and their values; it needs
    ``zipmap=False``). `OneVsAllClassifier` gives logits whatever is asked for.

    Examples
    --------
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> import fastsoftmax.onnx
    >>> from fastsoftmax import SoftmaxRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegression().fit(X, y)
    >>> fastsoftmax.onnx.register()
    >>> proto = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False})
    >>> [output.name for output in proto.graph.output]
    ['label', 'probabilities']
    """
    for kind in KINDS:
        options = OPTIONS | ({"log_proba": [True, False]} if issubclass(kind, SoftmaxEstimator) else {})
        update_registered_converter(kind, f"Fastsoftmax{kind.__name__}", _set_types, _convert, options=dict(options))


def _options(owner, model):
    """The options of the conversion of `model`; `owner` : the scope or the container of skl2onnx that knows them."""
    options = {"zipmap": True, "nocl": False, "raw_scores": False, "topk": None}
    if isinstance(model, SoftmaxEstimator):
        options["log_proba"] = False
    options = owner.get_options(model, options)
    options["topk"] = check_exported_topk(options["topk"], len(model.classes_), options["zipmap"])
    return options


def _labels(model, options):
    if options["nocl"]:
        return np.arange(len(model.classes_), dtype=np.int64)
    return check_exported_labels(model.classes_)


def _is_double(operator):
    return isinstance(operator.inputs[0].type, DoubleTensorType)


def _set_types(operator):
    """Set the types and shapes of the two outputs, the labels and their values; skl2onnx calls it before `_convert`."""
    check_input_and_output_numbers(operator, input_count_range=1, output_count_range=2)
    model = operator.raw_operator
    options = _options(operator.scope_inst, model)
    labels, topk = _labels(model, options), options["topk"]
    n_rows = operator.inputs[0].get_first_dimension()
    label_type = Int64TensorType if labels.dtype == np.int64 else StringTensorType
    value_type = DoubleTensorType if _is_double(operator) else FloatTensorType
    operator.outputs[0].set_type(label_type([n_rows] if topk is None else [n_rows, topk]))
    operator.outputs[1].set_type(value_type([n_rows, topk or len(labels)]))


def _convert(scope, operator, container):
    """Write the operators of a fitted model; the names of the arguments are those that skl2onnx asks for."""
    model = operator.raw_operator
    check_one_process(model._model, "to_onnx")
    check_opset(container.target_opset)
    options, (label_out, value_out) = _options(container, model), operator.output_full_names
    graph = _Graph(scope, container, np.dtype(np.float64 if _is_double(operator) else np.float32))
    X = operator.inputs[0].full_name
    if not isinstance(operator.inputs[0].type, (FloatTensorType, DoubleTensorType)):
        X = graph.node("Cast", [X], to=TensorProto.FLOAT)
    labels = graph.labels(_labels(model, options))
    values = logits = _logits(graph, X, model._model)
    if isinstance(model, SoftmaxEstimator) and not options["raw_scores"]:
        values = graph.node("LogSoftmax" if options["log_proba"] else "Softmax", [logits], axis=1)
    if options["topk"] is None:
        best = graph.node("ArgMax", [logits], axis=1, keepdims=0)
        graph.node("Identity", [values], value_out)
    else:
        k = graph.integers([options["topk"]])
        best = scope.get_unique_variable_name("best")
        graph.node("TopK", [logits, k], [scope.get_unique_variable_name("best_logits"), best], axis=1)
        graph.node("GatherElements", [values, best], value_out, axis=1)
    graph.node("Gather", [labels, best], label_out, axis=0)


def _logits(graph, X, model):
    """Write the logits of a Model over the rows named `X`; return their name."""
    check_exported_size(_sizes(model, graph.dtype.itemsize))
    total = graph.weights("bias", model.bias)
    if model.W is not None:
        W = model.sparse_matrix().toarray() if model.pairs is not None else _widened(model.W)
        total = graph.node("Gemm", [X, graph.weights("coef", W), total], transB=1)
    if model.E is not None:
        E, V = _widened(model.E), _widened(model.V)
        if len(E) < model.n_features:  # the low-rank term takes the first columns only
            X = graph.node("Slice", [X, graph.integers([0]), graph.integers([len(E)]), graph.integers([1])])
        hidden = graph.node("MatMul", [X, graph.weights("embedding", E)])
        if model.scale is not None:
            hidden = graph.node("LpNormalization", [hidden], axis=1, p=2)
            V = V * V.dtype.type(model.scale)
        total = graph.node("Gemm", [hidden, graph.weights("hidden_coef", V), total], transB=1)
    return total


def _widened(a):
    return a if isinstance(a, np.ndarray) else a.widened()


def _sizes(model, itemsize):
    """The bytes of each term as it is written, by what it is."""
    n_classes, n_features, sizes = model.n_classes, model.n_features, {}
    if model.W is not None:
        kind = "dense" if model.pairs is None else "sparse"
        how = "" if model.pairs is None else ", as a dense matrix, since ONNX has no sparse ones"
        name = f"those of the {kind} direct term ({n_classes:,} classes x {n_features:,} features{how})"
        sizes[name] = n_classes * n_features * itemsize
    if model.E is not None:
        (n_embedded, size), name = model.E.shape, "those of the low-rank term"
        shape = f"({n_embedded:,} features + {n_classes:,} classes) x {size}"
        sizes[f"{name} ({shape})"] = (n_embedded + n_classes) * size * itemsize
    return sizes


class _Graph:
    """Adds nodes and constants to a graph of skl2onnx, under names of their own.

    dtype : float32 or float64, that of all weights
    """

    def __init__(self, scope, container, dtype):
        self.scope, self.container, self.dtype = scope, container, dtype

    def node(self, kind, inputs, outputs=None, **attributes):
        """Add a node; return the name of its output, which may be given, or is a new one."""
        outputs = outputs or self.scope.get_unique_variable_name(kind.lower())
        name = self.scope.get_unique_operator_name(kind)
        self.container.add_node(kind, inputs, outputs, name=name, **attributes)
        return outputs

    def weights(self, name, a):
        """Add an array of weights, and return its name."""
        return self._constant(name, a.astype(self.dtype, copy=False))

    def integers(self, numbers):
        return self._constant("numbers", np.array(numbers, np.int64))

    def labels(self, labels):
        if labels.dtype == np.int64:
            return self._constant("classes", labels)
        name = self.scope.get_unique_variable_name("classes")
        texts = [label.encode() for label in labels]
        self.container.add_initializer(name, TensorProto.STRING, labels.shape, texts)
        return name

    def _constant(self, name, a):
        name = self.scope.get_unique_variable_name(name)
        self.container.add_initializer(name, None, a.shape, numpy_helper.from_array(a))
        return name
