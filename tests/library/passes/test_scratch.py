"""No pass writes beyond the scratch that was planned for it, down to sizes of one and rows without entries."""

import itertools

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from covering import ISAS, covering
from flat_options import flat_classifier
from guards import GUARD, guarded_workspaces

from fastsoftmax import OneVsAllClassifier, SoftmaxRegression, linear_cross_entropy, linear_topk, sampled_cross_entropy
from fastsoftmax.kernels import batch as batch_kernel
from fastsoftmax.model.compact import STORAGES, CompactModel
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.model.runners import runner_for
from fastsoftmax.passes import pairs, tiles
from fastsoftmax.runtime.workspaces import Workspace


@pytest.fixture(autouse=True)
def guarded():
    with guarded_workspaces():
        yield


@pytest.mark.parametrize("beyond", [-1, 5])
def test_guards_see_what_is_written_beyond_an_array(beyond):
    """Also less than a cache line beyond it, and where the workspace is gone."""
    with pytest.raises(AssertionError, match="beyond the scratch 'a'"), guarded_workspaces():
        workspace = Workspace()
        workspace.array("a", (5,), np.uint8)
        workspace._buffers["a"][GUARD + beyond] = 0


@covering(
    {
        "isa": ISAS,
        "n_hidden": [0, 1, 5],
        "density": [0.0, 0.3],
        "n_rows": [1, 3, 40],
        "n_classes": [1, 2, 17, 700],
        "dtype": ["float32", "float64"],
    }
)
def test_passes_over_tiles_stay_in_their_scratch(isa, n_hidden, density, n_rows, n_classes, dtype):
    rng = np.random.default_rng(0)
    X = sp.random_array((n_rows, 6), density=density, format="csr", rng=rng).astype(dtype)
    batch = batch_kernel.RowReader(6).take(X.indptr, X.indices, X.data, np.arange(n_rows))
    W = np.asfortranarray(rng.standard_normal((n_classes, 6)).astype(dtype))
    bias, target = rng.standard_normal(n_classes).astype(dtype), rng.integers(0, n_classes, n_rows)
    hidden = V = None
    if n_hidden:
        hidden = rng.standard_normal((n_rows, n_hidden)).astype(dtype)
        V = rng.standard_normal((n_classes, n_hidden)).astype(dtype)
    terms = tiles.Terms(n_rows, n_classes, batch=batch, W=W, bias=bias, hidden=hidden, V=V)
    logits = X @ W.T + bias + (hidden @ V.T if n_hidden else 0)
    workspace = Workspace()

    out = np.empty((n_rows, n_classes), dtype)
    tiles.write_logits(terms, out, 1, workspace)
    np.testing.assert_allclose(out, logits, rtol=1e-5, atol=1e-5)
    dW = np.zeros_like(W)
    tiles.add_gradient(terms, out, dW, 1, workspace)
    np.testing.assert_allclose(dW, out.T @ X, rtol=1e-4, atol=1e-4)
    tiles.topk(terms, 1, 1, workspace)
    for memory in (0, 1 << 24):
        forward = tiles.Forward(terms, target, memory=memory, workspace=workspace)
        dhidden = None if hidden is None else np.empty_like(hidden)
        gradients = {"W": np.zeros_like(W), "bias": np.zeros_like(bias), "V": None if V is None else np.zeros_like(V)}
        forward.backward(np.ones(n_rows), tiles.Destination(**gradients), dhidden=dhidden)


SIZES = [(0, 1, 1), (1, 0, 1), (1, 1, 1), (1, 1, 2), (3, 0, 17), (3, 1, 700), (40, 6, 17), (40, 6, 700)]


def problem(n_rows, n_features, n_classes, density, dtype):
    """X, W, bias and targets: some rows have no entries, some features occur in no row, and some rows do not count."""
    rng = np.random.default_rng(0)
    X = sp.random_array((n_rows, n_features), density=density, format="csr", rng=rng).astype(dtype)
    W, bias = rng.standard_normal((n_classes, n_features)).astype(dtype), rng.standard_normal(n_classes).astype(dtype)
    target = rng.integers(0, n_classes, n_rows)
    target[::3] = -100
    return X, W, bias, target


@covering({"isa": ISAS, "beside": [False, True], "size": SIZES, "density": [0.0, 0.3], "dtype": ["float32", "float64"]})
def test_functions_of_linear_models(isa, beside, size, density, dtype, monkeypatch):
    """Dense and CSR rows, dense and sparse W, all and few pairs, one and all classes of a row as its best."""
    monkeypatch.setattr(pairs, "PAIRED_FROM", 0 if beside else 1 << 62)
    X, W, bias, target = problem(*size, density, dtype)
    n_classes = size[2]
    sparse_W = sp.csc_array(np.where(np.random.default_rng(1).random(W.shape) < density, W, 0))
    for x in (X, X.toarray()):
        for w in (W, np.asfortranarray(W), sp.csc_array(W), sparse_W):
            for smoothing in (0.0, 0.1):
                options = {"reduction": "sum", "label_smoothing": smoothing}
                loss, gradients = linear_cross_entropy(x, w, target, bias, **options, return_grad=True, n_threads=2)
                truth, of_truth = reference.linear_cross_entropy(x, w, target, bias, **options)
                np.testing.assert_allclose(loss, truth, rtol=1e-5, atol=1e-5)
                np.testing.assert_allclose(gradients[2], of_truth[2], atol=1e-4)
            for k in {1, n_classes}:
                log_proba = linear_topk(x, w, k, bias, n_threads=2)[1]
                np.testing.assert_allclose(log_proba, reference.linear_topk(x, w, k, bias)[1], rtol=1e-4, atol=1e-4)


@covering({"isa": ISAS, "threshold": [1e-3, 0.9], "size": SIZES, "dtype": ["float32", "float64"]})
def test_rounded_gradients(isa, threshold, size, dtype):
    """Lists of few entries, and tiles whose entries are too many."""
    X, W, bias, target = problem(*size, 0.5, dtype)
    for scale in (1, 30):
        for w in (W, np.asfortranarray(W)):
            options = {"reduction": "sum", "gradient_threshold": threshold, "random_state": 0, "return_grad": True}
            loss, gradients = linear_cross_entropy(scale * X.toarray(), w, target, bias, **options, n_threads=2)
            truth = reference.linear_cross_entropy(scale * X, w, target, bias, reduction="sum")[0]
            np.testing.assert_allclose(loss, truth, rtol=1e-5, atol=1e-4)
            assert all(np.isfinite(gradient).all() for gradient in gradients)


@covering(
    {"isa": ISAS, "loss": ["sampled_softmax", "nce"], "size": SIZES[1:], "density": [0.0, 0.3], "n_drawn": [0, 1, 5]}
)
def test_losses_of_candidates(isa, loss, size, density, n_drawn):
    X, W, bias, target = problem(*size, density, "float64")
    target = np.maximum(target, 0)
    for x in (X, X.toarray()):
        for true in (target, np.stack([target, np.zeros_like(target)], axis=1)):
            draws = {
                "class_ids": np.arange(n_drawn) % size[2],
                "log_expected_counts": np.zeros(n_drawn),
                "target_log_expected_counts": np.zeros(true.shape),
                "loss": loss,
            }
            result, gradients = sampled_cross_entropy(x, W, true, bias, **draws, return_grad=True, n_threads=2)
            truth, of_truth = reference.sampled_cross_entropy(x, W, true, bias, **draws)
            np.testing.assert_allclose(result, truth, rtol=1e-9)
            np.testing.assert_allclose(gradients[2], of_truth[1][gradients[1]], atol=1e-9)


@covering(
    {
        "isa": ISAS,
        "n_hidden": [0, 1, 7],
        "storage": STORAGES,
        "terms": ["W", "W.T", "EV", "WEV", "pairs", "pairs EV"],
        "n_rows": [1, 4, 5, 40],
    }
)
def test_compact_weights(isa, n_hidden, storage, terms, n_rows):
    """Also a hidden layer of no width, which nobody can train, but a file can hold."""
    X, W, bias, _ = problem(n_rows, 6, 29, 0.3, "float32")
    model = Model(bias=bias, **weights_of(terms, W, n_hidden))
    compact = CompactModel.of(model, storage)
    found = runner_for(compact, X, n_threads=2).logits(np.empty((n_rows, 29), np.float32))
    expected = runner_for(model, X, n_threads=2).logits(np.empty((n_rows, 29), np.float32))
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert runner_for(compact, X, n_threads=2).topk(29)[1].shape == (n_rows, 29)


def weights_of(terms, W, n_hidden):
    """The weights of a Model with these terms."""
    rng = np.random.default_rng(0)
    pattern, weights = sp.csc_array(np.where(rng.random(W.shape) < 0.2, W, 0)), {}
    if "pairs" in terms:
        weights = {"W": pattern.data, "pairs": Pairs.of(pattern)}
    elif "W" in terms:
        weights = {"W": np.asfortranarray(W) if "T" in terms else W}
    if "EV" in terms:
        weights["E"] = rng.standard_normal((W.shape[1], n_hidden)).astype(W.dtype)
        weights["V"] = rng.standard_normal((len(W), n_hidden)).astype(W.dtype)
    return weights


@pytest.mark.filterwarnings("ignore")  # on rows without entries there is nothing to learn
@covering(
    {
        "isa": ISAS,
        "direct, hidden_size": [(None, 1), (None, 5), *itertools.product(["dense", "sparse"], [None, 1, 5])],
        "kind": ["adagrad", "sgd"],
        "density": [0.0, 0.3],
        "n_rows": [40, 41],
    }
)
def test_training_on_rows_without_entries(isa, direct, hidden_size, kind, density, n_rows):
    """Batches of ten rows and of the last one; some rows have no weight."""
    X, _, _, _ = problem(n_rows, 6, 17, density, "float32")
    y, weight = np.arange(n_rows) % 17, np.arange(n_rows) % 5 > 0
    model = flat_classifier(
        direct=direct, hidden_size=hidden_size, optimizer=kind, batch_size=10, max_iter=2, n_threads=2
    )
    model.fit(X, y, weight.astype(float))
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
@pytest.mark.parametrize(("n_rows", "n_empty", "n_classes"), [(40, 40, 17), (9000, 8500, 60)])
def test_regression_on_chunks_of_empty_rows(n_rows, n_empty, n_classes, solver):
    """Rows without entries are classified by the intercept alone, whatever stands in their chunk."""
    rng = np.random.default_rng(0)
    rows = sp.random_array((n_rows - n_empty, 50), density=0.1, rng=rng)
    X = sp.vstack([rows, sp.csr_array((n_empty, 50))]).tocsr()
    y = np.arange(n_rows) % n_classes
    model, dense = (SoftmaxRegression(solver=solver, tol=1e-8, max_iter=200).fit(a, y) for a in (X, X.toarray()))
    np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-3)
    np.testing.assert_allclose(model.intercept_, dense.intercept_, atol=1e-3)


@covering({"isa": ISAS, "min_weight": [0.0, 0.05], "n_classes": [2, 17, 65], "dtype": ["float32", "float64"]})
def test_one_vs_all_predictions(isa, min_weight, n_classes, dtype):
    X, _, _, target = problem(140, 6, n_classes, 0.3, dtype)
    target = np.maximum(target, 0)
    target[:n_classes] = np.arange(n_classes)
    for x in (X, X.toarray()):
        model = OneVsAllClassifier(min_weight=min_weight, n_threads=2).fit(x, target)
        labels, logits = model.predict_topk(x, n_classes)
        expected = X @ model.coef_.T + model.intercept_
        if n_classes == 2:
            expected = np.hstack([-expected, expected])
        np.testing.assert_allclose(logits, np.take_along_axis(expected, labels, axis=1), rtol=1e-4, atol=1e-4)
