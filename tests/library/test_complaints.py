"""What users of other libraries complain of most, tried on this one; docs/complaints.md has the table of all."""

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

import fastsoftmax as fs
from fastsoftmax import SoftmaxClassifier, metrics, samplers
from fastsoftmax.runtime import memory

ROOT = Path(__file__).parents[2]


def rows(n_rows, n_features, n_classes, dtype=np.float32, seed=0):
    """Sparse X and class codes, each code at least once."""
    rng = np.random.default_rng(seed)
    X = sp.random_array((n_rows, n_features), density=min(1, 8 / n_features), format="csr", rng=rng, dtype=dtype)
    return X, rng.permutation(np.resize(np.arange(n_classes), n_rows))


# -- memory --


def test_no_array_of_samples_times_classes():
    """2,000 x 30,000 probabilities would be 229 MiB."""
    X, y = rows(2000, 40, 30_000)
    W = np.random.default_rng(0).standard_normal((30_000, 40)).astype(np.float32)
    few = {"hidden_size": 8, "direct": None, "max_iter": 1, "calibration_fraction": 0.0, "working_memory": 1 << 20}
    tracemalloc.start()
    try:
        fs.linear_cross_entropy(X.toarray(), W, y % 1000, return_grad=True, working_memory=1 << 20)
        fs.linear_topk(X, W, 5)
        for loss in ("softmax", "sampled_softmax"):
            model = SoftmaxClassifier(loss=loss, random_state=0, **few).fit(X, y)
            model.predict_topk(X, 5)
            model.score(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 * 2**20


def test_float32_stays_float32():
    """Neither weights nor a copy of X in float64."""
    X, y = rows(4000, 2000, 10)
    X = X.toarray()
    model = SoftmaxClassifier(direct="dense", max_iter=1, random_state=0, working_memory=1 << 20, n_threads=1)
    tracemalloc.start()
    try:
        model.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 2
    assert model.coef_.dtype == model.predict_proba(X).dtype == np.float32


@pytest.mark.slow
@pytest.mark.skipif((memory.available() or np.inf) < 14 * 2**30, reason="needs 10 GiB of memory")
def test_more_than_two_to_the_31_elements():
    """One array of 2**31 + 2**17 logits, its last row apart from the others; 8 GiB."""
    n, k = 2**14 + 1, 2**17
    x = np.zeros((n, k), np.float32)
    x[-1] = 1
    x[-1, -1] = 30
    last = np.log((k - 1) * np.e + np.exp(30.0))
    assert_allclose(fs.logsumexp(x, axis=1)[[0, -2, -1]], [np.log(k), np.log(k), last], rtol=1e-6)
    assert_allclose(fs.logsumexp(x), np.log((n - 1.0) * k + np.exp(last)), rtol=1e-6)
    target = np.full(n, k - 1)
    assert_allclose(fs.cross_entropy(x, target, reduction="none")[[0, -1]], [np.log(k), last - 30], rtol=1e-6)
    assert fs.softmax(x, axis=1, out=x) is x
    assert_allclose(x[[0, -2, -1], [-1, 0, -1]], [1 / k, 1 / k, np.exp(30 - last)], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif((memory.available() or np.inf) < 14 * 2**30, reason="needs 10 GiB of memory")
def test_more_than_two_to_the_31_weights():
    """W of 2**31 + 2**12 weights, 8 GiB: the classes beyond, and pairs of row and class beyond."""
    k, d = 2**19 + 1, 2**12
    W = np.zeros((k, d), np.float32)
    W[-1, -1] = 20
    X = sp.csr_array(([1.0], ([4200], [d - 1])), shape=(4201, d), dtype=np.float32)
    class_ids, log_proba = fs.linear_topk(X[-1:], W, 2)
    assert_array_equal(class_ids, [[k - 1, 0]])
    assert_allclose(log_proba[0, 0], 20 - np.log(k - 1 + np.exp(20.0)), atol=2e-6)  # a difference of 20s in float32
    assert_allclose(fs.linear_logsumexp(X[-2:].toarray(), W), [np.log(k), np.log(k - 1 + np.exp(20.0))], rtol=1e-6)
    W = W[:, -4:].copy()  # and n k > 2**31 without an array of it
    class_ids, _ = fs.linear_topk(X[:, -4:], W, 1)
    assert_array_equal(class_ids[[0, -1], 0], [0, k - 1])


# -- numbers --


def test_probabilities_at_very_negative_scores():
    """Independent sigmoids that are all zero cannot be normalised; a softmax can."""
    X, y = rows(60, 20, 6)
    model = SoftmaxClassifier(direct="dense", random_state=0, max_iter=2).fit(X, y)
    model._model.bias -= 1e30
    for p in (model.predict_proba(X), np.exp(model.predict_log_proba(X))):
        assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    for scores in (np.full((2, 4), -1e30, np.float32), np.array([[-1e4, -1e4, -2e4, -np.inf]])):
        assert_allclose(fs.softmax(scores, axis=1).sum(axis=1), 1)
    assert_allclose(fs.cross_entropy(np.array([[-1e4, -2e4]]), [1]), 1e4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_of_large_logits(dtype):
    logits = np.full((1, 2), 1e8, dtype)
    assert_allclose(fs.cross_entropy(logits, [1]), np.log(2), rtol=1e-6)
    assert_allclose(fs.linear_cross_entropy(np.ones((1, 1), dtype), logits.T.copy(), [1]), np.log(2), rtol=1e-6)


def test_the_reported_loss_is_the_loss():
    """Of a step too small to change anything; and the bar's number does not stop growing, since it is a mean."""
    X, y = rows(1000, 30, 7)
    options = {"direct": "dense", "dtype": "float64", "optimizer": "sgd", "learning_rate": 1e-12, "max_iter": 3}
    model = SoftmaxClassifier(loss="softmax", gradient_threshold=0.0, random_state=0, **options).fit(X, y)
    assert_allclose(model.loss_curve_, metrics.log_loss(model.target_log_proba(X, y)), rtol=1e-9)


# -- input --


def mapped(a, folder):
    """The array, or the arrays of the sparse matrix, from files that cannot be written to."""
    if sp.issparse(a):
        other = type(a)(a.shape, dtype=a.dtype)
        other.data, other.indices, other.indptr = (mapped(part, folder) for part in (a.data, a.indices, a.indptr))
        return other
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(path, a)
    return np.load(path, mmap_mode="r")


def test_read_only_and_memory_mapped_input(tmp_path):
    """Every public function and method."""
    X, y = rows(300, 40, 12)
    rng = np.random.default_rng(0)
    W = rng.standard_normal((12, 40)).astype(np.float32)
    dense, X, y, W, bias, weight, sample_weight, p = (
        mapped(a, tmp_path) for a in (X.toarray(), X, y, W, W[:, 0].copy(), rng.random(12), rng.random(300), W[:, :12])
    )
    for function in (fs.logsumexp, fs.softmax, fs.log_softmax):
        function(W)
        function(W, axis=1)
    fs.logsumexp(W, b=np.abs(W))
    fs.cross_entropy(W[:, :12], y[:12], weight=weight, return_grad=True)
    fs.cross_entropy(p, fs.softmax(p, axis=1), weight=weight, return_grad=True)
    for rows_ in (dense, X):
        fs.linear_logsumexp(rows_, W, bias)
        fs.linear_topk(rows_, W, 3, bias)
        fs.linear_cross_entropy(rows_, W, y, bias, weight=weight, return_grad=True)
        class_ids = mapped(np.arange(5), tmp_path)
        fs.sampled_cross_entropy(rows_, W, y, bias, class_ids=class_ids, log_expected_counts=bias[:5], return_grad=True)
    counts = fs.support(X, y)
    sparse_W = mapped(sp.csc_array(counts), tmp_path)
    fs.linear_cross_entropy(X, sparse_W, y, bias, return_grad=True)
    fs.linear_topk(X, sparse_W, 3, bias)
    samplers.Unigram(weight).draw_for(5, rng, y)
    terms = [{"direct": "dense"}, {"direct": "sparse"}, {"direct": None, "hidden_size": 8}]
    terms += [{"direct": "sparse", "hidden_size": 8, "joint": joint} for joint in (False, True)]
    for params in terms:
        model = SoftmaxClassifier(random_state=0, max_iter=2, **params).fit(X, y, sample_weight)
        model.partial_fit(X, y, sample_weight=sample_weight)
        if params["direct"] != "dense":
            model.calibrate(X, y, sample_weight)
        for method in ("predict", "predict_topk", "predict_proba", "predict_log_proba", "decision_function"):
            getattr(model, method)(X)
            getattr(model, method)(dense)
        model.score(X, y, sample_weight)
        model.target_log_proba(X, y)
        metrics.evaluate(model, X, y, ks=(1, 3))
    SoftmaxClassifier(direct="dense", max_iter=2).fit(dense, y)
    SoftmaxClassifier(direct="sparse", random_state=0).fit(X, y, coef_init=sparse_W, intercept_init=bias)


# -- labels --


def test_no_label_is_lost():
    """Neither rare ones nor those of rows without features, and large integers stay what they are."""
    X, y = rows(50, 20, 50)
    X = sp.csr_array(X.toarray() * (np.arange(50) % 7 > 0)[:, None])
    labels = np.array([2**62 + k for k in range(50)])
    for y_given in (labels[y], labels[y].tolist(), np.array([f"label {k}" for k in y])):
        model = SoftmaxClassifier(random_state=0, max_iter=1, min_count=5).fit(X, y_given)
        assert_array_equal(model.classes_, np.unique(y_given))
        assert sorted(model.predict_topk(X[:1], 50)[0][0]) == sorted(set(np.asarray(y_given).tolist()))
    huge = SoftmaxClassifier().fit(X[:3], [2**63, 2**63 + 1, -1])  # of which NumPy makes floats
    assert huge.classes_.tolist() == [-1, 2**63, 2**63 + 1]
    with pytest.raises(ValueError, match=r"y holds .* at position 0: float64 does not tell integers beyond 2\*\*53"):
        SoftmaxClassifier().fit(X[:3], np.array([2.0**60, 1, 2]))


def test_long_labels_are_not_cut():
    X, y = rows(40, 20, 4)
    labels = np.array(["x" * 500 + str(k) for k in range(4)])
    model = SoftmaxClassifier(random_state=0, max_iter=1).fit(X, labels[y])
    assert set(model.predict(X)) <= set(labels)
    model.partial_fit(X, labels[y])
    model = SoftmaxClassifier(random_state=0).partial_fit(X[:5], ["a", "b", "a", "b", "a"], classes=["a", "b", *labels])
    assert_array_equal(model.classes_, sorted(["a", "b", *labels]))
    model.partial_fit(X, labels[y])


def test_partial_fit_of_batches_without_all_classes():
    """A label not told of before is an error, one that a batch lacks is none; both leave the others' weights finite."""
    X, y = rows(90, 20, 9)
    order = np.argsort(y)  # each batch has three classes
    for params in ({"direct": "dense"}, {"direct": "sparse"}, {"direct": None, "hidden_size": 8}):
        model = SoftmaxClassifier(random_state=0, **params)
        for batch in np.split(order, 3):
            model.partial_fit(X[batch], y[batch], classes=np.arange(9)[::-1])
        assert_array_equal(model.classes_, np.arange(9))
        assert model.predict_proba(X).shape == (90, 9)
        with pytest.raises(ValueError, match=r"y holds .*9.* at position 1, which is not among the 9 classes"):
            model.partial_fit(X[:3], [0, 9, 1])


def test_topk_has_k_columns():
    """Distinct classes, the first of any k the first of a larger one."""
    X, y = rows(30, 20, 11)
    X.data[:] = 1  # so that there are ties
    for params in ({"direct": "dense"}, {"direct": "sparse"}, {"direct": None, "hidden_size": 4}):
        model = SoftmaxClassifier(random_state=0, max_iter=1, **params).fit(X, y)
        all_labels, all_log_proba = model.predict_topk(X, 11)
        assert_array_equal(np.sort(all_labels, axis=1), np.tile(np.arange(11), (30, 1)))
        for k in range(1, 11):
            labels, log_proba = model.predict_topk(X, k)
            assert labels.shape == log_proba.shape == (30, k)
            assert_array_equal(labels, all_labels[:, :k])
            assert_allclose(log_proba, all_log_proba[:, :k], rtol=1e-5)


# -- progress --


def test_progress_is_shown(capfd):
    X, y = rows(300, 20, 5)
    SoftmaxClassifier(random_state=0, max_iter=3, verbose=1).fit(X, y)
    shown = capfd.readouterr().err
    for part in ("epoch 3/3", "100%", "rows/s"):
        assert part in shown
    SoftmaxClassifier(random_state=0, max_iter=3).fit(X, y)
    assert capfd.readouterr() == ("", "")


# -- the table --


def test_the_table_names_tests_that_exist():
    path = ROOT / "docs" / "complaints.md"
    if not path.exists():
        pytest.skip("no docs beside the tests")
    lines = [line for line in path.read_text().splitlines() if re.match(r"\| *\d+ *\|", line)]
    assert [int(line.split("|")[1]) for line in lines] == list(range(1, 29))
    for line in lines:
        tests = re.findall(r"`(\w+)\.py::(\w+)`", line)
        assert tests, line
        for file, test in tests:
            source = (ROOT / "tests" / f"{file}.py").read_text()
            assert re.search(rf"^def {test}\(", source, re.MULTILINE), f"{file}.py has no {test}"
