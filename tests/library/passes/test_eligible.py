"""Top-k among some classes: subsets, classes excluded row by row, a least probability; exactly k columns."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import SoftmaxClassifier, linear_topk
from fastsoftmax.kernels import dispatch
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.model.runners import runner_for
from fastsoftmax.passes.eligible import Eligible

settings.register_profile("kernels", deadline=None)


@st.composite
def problems(draw):
    """(X, W, bias, k, options, mask): numbers are small integers, so logits are exact and there are many ties."""
    n_rows = draw(st.sampled_from([0, 1, 2, 7, 8, 9, 17, 33]))
    n_classes = draw(st.sampled_from([1, 2, 5, 31, 97, 300, 1300]))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    X, W = (rng.integers(-2, 3, shape).astype(dtype) for shape in ((n_rows, 3), (n_classes, 3)))
    bias = rng.integers(-2, 3, n_classes).astype(dtype)
    if draw(st.booleans()):
        W *= rng.random(W.shape) < 0.3
        W = sp.csc_array(W)
    if draw(st.booleans()):
        X = sp.csr_array(X)
    options, mask = {}, None
    if draw(st.booleans()):
        options["class_ids"] = rng.integers(0, n_classes, draw(st.integers(1, n_classes)))
    share = draw(st.sampled_from([None, 0.0, 0.1, 0.7, 1.0]))
    if share is not None:
        mask = rng.random((n_rows, n_classes)) < share
        options["exclude"] = sp.csr_array(mask)
        if draw(st.booleans()):
            options["exclude"] = [rng.permutation(np.append(np.flatnonzero(row), -1)) for row in mask]
    if draw(st.booleans()):
        options["threshold"] = draw(st.sampled_from([1e-6, 1e-3, 0.05, 0.3, 0.9]))
    k = draw(st.integers(1, n_classes + 3 if options else n_classes))
    return X, W, bias, k, options, mask


@pytest.mark.parametrize("isa", dispatch.available())
@settings(settings.get_profile("kernels"), max_examples=150)
@given(problem=problems(), n_threads=st.sampled_from([1, 3]))
def test_against_brute_force(isa, n_threads, problem):
    X, W, bias, k, options, mask = problem
    before = dispatch.selected()
    dispatch.select(isa)
    try:
        ids, log_proba = linear_topk(X, W, k, bias, n_threads=n_threads, **options)
    finally:
        dispatch.select(before)
    all_log_proba = reference.log_softmax(reference.linear_logits(X, W, bias), axis=1)
    expected_ids, expected = reference.eligible_topk(all_log_proba, k, **options | {"exclude": mask})
    assert ids.shape == log_proba.shape == (X.shape[0], k) and log_proba.dtype == W.dtype
    assert_array_equal(ids, expected_ids)
    assert_allclose(log_proba, expected, rtol=2e-6, atol=2e-6)


TERMS = [
    {"direct": "dense"},
    {"direct": "sparse"},
    {"direct": None, "hidden_size": 4},
    {"direct": "dense", "hidden_size": 4},
    {"direct": "sparse", "hidden_size": 4},
]
N_CLASSES = 40


def trained(terms, labels=None, make_X=sp.csr_array):
    rng = np.random.default_rng(0)
    X = make_X(sp.random_array((200, 30), density=0.2, rng=rng, dtype=np.float32))
    y = np.resize(np.arange(N_CLASSES) * 3 if labels is None else labels, 200)
    return SoftmaxClassifier(random_state=0, max_iter=2, **terms).fit(X, y), X


@pytest.mark.parametrize("make_X", [sp.csr_array, sp.coo_array.toarray], ids=["csr", "dense"])
@pytest.mark.parametrize("terms", TERMS, ids=str)
def test_classifier(terms, make_X):
    classifier, X = trained(terms, make_X=make_X)
    rng = np.random.default_rng(1)
    mask = rng.random((200, N_CLASSES)) < 0.4
    codes = rng.choice(N_CLASSES, 15, replace=False)
    log_proba = classifier.predict_log_proba(X)
    for exclude in (sp.csr_array(mask), [classifier.classes_[row] for row in mask]):
        labels, found = classifier.predict_topk(
            X, 12, classes=classifier.classes_[codes], exclude=exclude, threshold=0.02
        )
        expected_ids, expected = reference.eligible_topk(log_proba, 12, codes, mask, 0.02)
        assert_array_equal(labels, np.where(expected_ids < 0, -1, classifier.classes_[expected_ids]))
        assert_allclose(found, expected, rtol=1e-4)
        assert (labels == -1).any() and (labels != -1).any()
        assert_array_equal(labels == -1, found == -np.inf)


def test_page_by_page():
    """If earlier results are excluded, padding and all, the next ones follow."""
    classifier, X = trained({"direct": "dense"})
    everything, _ = classifier.predict_topk(X, N_CLASSES)
    seen = np.empty((200, 0), int)
    for _ in range(6):
        seen = np.hstack([seen, classifier.predict_topk(X, 7, exclude=seen)[0]])
    assert_array_equal(seen[:, :N_CLASSES], everything)
    assert (seen[:, N_CLASSES:] == -1).all()


@pytest.mark.parametrize(
    ("labels", "padding", "dtype"),
    [
        (np.array(["b", "a", "läng"]), "", np.dtype("<U4")),
        (np.array([3, 1, 2], np.uint8), -1, np.dtype(np.int64)),
        (np.array([False, True]), -1, np.dtype(np.int64)),
        (np.array([3, -1, 2]), -1, np.dtype(np.int64)),
        (np.array([b"b", b"a"]), b"", np.dtype("S1")),
        (np.fromiter([(1, "a"), (2,), ()], object, 3), None, np.dtype(object)),
    ],
    ids=["strings", "unsigned", "bools", "with -1", "bytes", "tuples"],
)
def test_padding_of_labels(labels, padding, dtype):
    classifier, X = trained({"direct": "dense"}, labels)
    n = len(labels)
    best = classifier.predict(X)
    found, log_proba = classifier.predict_topk(X, n + 1, exclude=best[:, None])
    assert found.dtype == dtype and found.shape == (200, n + 1)
    assert (found[:, n - 1 :] == padding).all() and (log_proba[:, n - 1 :] == -np.inf).all()
    for row, label, proba in zip(found.tolist(), best.tolist(), log_proba, strict=True):
        assert sorted(row[: n - 1]) == sorted({*labels.tolist()} - {label}) and np.isfinite(proba[: n - 1]).all()
    again, _ = classifier.predict_topk(X, 1, exclude=found)
    assert_array_equal(again[:, 0], best.astype(dtype) if padding not in labels.tolist() else again[:, 0])


def test_exclusions_of_dates_and_tuples():
    days = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[D]")
    classifier, X = trained({"direct": "dense"}, days)
    first, _ = classifier.predict_topk(X, 4, exclude=days[:1][None].repeat(200, 0))
    assert np.isnat(first[:, 2:]).all()
    again, _ = classifier.predict_topk(X, 3, exclude=first)
    assert (again[:, 0] == days[0]).all() and np.isnat(again[:, 1:]).all()
    tuples = np.fromiter([(1, "a"), (2, "b"), (3, "c")], object, 3)
    classifier, X = trained({"direct": "dense"}, tuples)
    found, _ = classifier.predict_topk(X, 2, exclude=[[(1, "a"), (3, "c")]] * 200)
    assert set(found[:, 0]) == {(2, "b")} and set(found[:, 1]) == {None}


def test_probabilities_stay_those_among_all_classes():
    classifier, X = trained({"direct": None, "hidden_size": 4})
    proba = classifier.predict_proba(X)
    labels, log_proba = classifier.predict_topk(X, 1, classes=classifier.classes_[[5]])
    assert (labels == classifier.classes_[5]).all()
    assert_allclose(log_proba[:, 0], np.log(proba[:, 5]), rtol=1e-5)


@pytest.mark.parametrize("make_W", [np.asarray, sp.csc_array], ids=["dense", "sparse"])
def test_more_rows_than_a_chunk(make_W):
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((9000, 4)), rng.standard_normal((20, 4))
    mask = rng.random((9000, 20)) < 0.5
    ids, _ = linear_topk(X, make_W(W), 6, exclude=sp.csr_array(mask))
    assert_array_equal(ids, reference.eligible_topk(X @ W.T, 6, exclude=mask)[0])


def test_inputs_stay_as_they_are_and_need_no_order():
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((5, 3)), rng.standard_normal((50, 3))
    exclude = sp.csr_array((np.zeros(6), np.array([9, 3, 3, 40, 2, 7]), np.array([0, 3, 3, 5, 5, 6])), shape=(5, 50))
    before = exclude.indices.copy()
    exclude.indices.flags.writeable = exclude.indptr.flags.writeable = False
    ids, _ = linear_topk(X, W, 50, exclude=exclude)
    assert_array_equal(exclude.indices, before)
    assert [sorted({*range(50)} - {*row}) for row in ids.tolist()] == [[3, 9], [], [2, 40], [], [7]]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"classes": [0, 1]}, ValueError, "classes must hold classes among the 40 classes, got 1"),
        ({"classes": []}, ValueError, "classes must name at least one class"),
        ({"classes": [[0, 3]]}, ValueError, "classes must be 1-D"),
        ({"classes": ["a"]}, ValueError, "classes must hold classes among.*got 'a'"),
        ({"threshold": 0}, ValueError, "threshold must be above 0, got 0"),
        ({"threshold": 1.0}, ValueError, "threshold must be below 1, got 1"),
        ({"threshold": "x"}, TypeError, "threshold must be a real number"),
        ({"exclude": [[0]]}, ValueError, "exclude must have an array of classes for each of the 200 rows.*got 1"),
        ({"exclude": np.zeros(200, int)}, ValueError, "exclude must hold an array of classes for each row.*row 0"),
        ({"exclude": [[0]] * 199 + [["a"]]}, ValueError, "exclude must hold classes among.* are integers.*got 'a'"),
        ({"exclude": [[0.5]] * 200}, ValueError, "exclude must hold class labels, got 0.5"),
        ({"exclude": "abc"}, TypeError, "exclude must be a sparse matrix or a sequence"),
        ({"exclude": sp.csr_array((200, 39))}, ValueError, r"exclude must have shape \(200, 40\).*got \(200, 39\)"),
        ({"k": 41}, ValueError, "k must be at most 40, got 41"),
        ({"k": 0, "threshold": 0.5}, ValueError, "k must be at least 1"),
    ],
)
def test_refused(options, error, message):
    classifier, X = trained({"direct": "dense"})
    with pytest.raises(error, match=message):
        classifier.predict_topk(X, **options)


@pytest.mark.parametrize("options", [{"class_ids": [50]}, {"class_ids": [-1]}, {"exclude": [[0], [50]]}])
def test_refused_codes(options):
    with pytest.raises(ValueError, match=r"must hold classes in \[0, 50\), got (50|-1)"):
        linear_topk(np.ones((2, 3)), np.ones((50, 3)), 2, **options)
    with pytest.raises(TypeError, match="class_ids must hold integers"):
        linear_topk(np.ones((2, 3)), np.ones((50, 3)), 2, class_ids=[0.5])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_classes", [5, 40, 1300])
@pytest.mark.parametrize("excludes", [False, True])
def test_the_best_logits(isa, excludes, n_classes, dtype, problem):
    """Models of which nobody asks for probabilities: the logits of what is left, of a dense and of a sparse W."""
    X, W, bias, _ = problem(33, n_classes, 20, 0.3, dtype)
    bias = bias * 300  # log-sum-exps hide what differs by less
    logits = reference.linear_logits(X, W, bias)
    is_excluded = (np.random.default_rng(0).random(logits.shape) < 0.5) & excludes
    indptr = np.concatenate([[0], np.cumsum(is_excluded.sum(axis=1))]).astype(np.intp)
    eligible = (
        Eligible(indptr=indptr, excluded=np.ascontiguousarray(np.nonzero(is_excluded)[1])) if excludes else Eligible()
    )
    for model in (
        Model(W=np.asfortranarray(W.toarray()), bias=bias),
        Model(W=W.data, bias=bias, pairs=Pairs.of(W)),
    ):
        ids, values = runner_for(model, X, n_threads=2).topk(3, eligible, normalise=False)
        left = np.where(is_excluded, -np.inf, logits)
        expected_ids = np.argsort(-left, axis=1, kind="stable")[:, :3]
        expected = np.take_along_axis(left, expected_ids, axis=1)
        assert values.dtype == dtype
        assert_array_equal(ids, np.where(expected > -np.inf, expected_ids, -1))
        assert_allclose(values, expected, rtol=1e-5 if dtype == "float32" else 1e-13)
