"""Arrays that cannot be written to are taken by every public function and method."""

import numpy as np
import scipy.sparse as sp
from flat_options import flat_classifier

import fastsoftmax as fs
from fastsoftmax import metrics, samplers


def mapped(a, folder):
    """The array, or the arrays of the sparse matrix, from files that cannot be written to."""
    if sp.issparse(a):
        other = type(a)(a.shape, dtype=a.dtype)
        other.data, other.indices, other.indptr = (mapped(part, folder) for part in (a.data, a.indices, a.indptr))
        return other
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(path, a)
    return np.load(path, mmap_mode="r")


def test_read_only_and_memory_mapped_input(tmp_path, sparse_rows):
    X, y = sparse_rows(300, 40, 12)
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
    terms += [{"direct": "sparse", "hidden_size": 8}]
    for params in terms:
        model = flat_classifier(random_state=0, max_iter=2, **params).fit(X, y, sample_weight)
        model.partial_fit(X, y, sample_weight=sample_weight)
        if params["direct"] != "dense":
            model.calibrate(X, y, sample_weight)
        for method in ("predict", "predict_topk", "predict_proba", "predict_log_proba", "decision_function"):
            getattr(model, method)(X)
            getattr(model, method)(dense)
        model.score(X, y, sample_weight)
        model.target_log_proba(X, y)
        metrics.evaluate(model, X, y, ks=(1, 3))
    flat_classifier(direct="dense", max_iter=2).fit(dense, y)
    flat_classifier(direct="sparse", random_state=0).fit(X, y, coef_init=sparse_W, intercept_init=bias)
