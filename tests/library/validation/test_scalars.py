"""Sizes and numbers beyond what C holds, of NumPy's types, and random states."""

import numpy as np
import pytest
from flat_options import flat_classifier
from numpy.testing import assert_array_equal

import fastsoftmax as fs
from fastsoftmax import features, losses, metrics, optimizers, samplers, terms

RNG = np.random.default_rng(0)
X, W, Y = RNG.random((40, 6)), RNG.random((4, 6)), np.arange(40) % 4
MODEL = flat_classifier(direct="dense", hidden_size=None, max_iter=1).fit(X, Y)
MANY = 3 * RNG.standard_normal((3000, 6))
SOME = {"threshold": 0.1}


def fitted(**params):
    return fs.SoftmaxClassifier(**{"max_iter": 1, "random_state": 0} | params).fit(X, Y)


SIZES = {
    "axis": lambda n: fs.softmax(X, axis=n),
    "ignore_index": lambda n: fs.cross_entropy(X, Y, ignore_index=n),
    "n_threads": lambda n: fs.softmax(X, n_threads=n),
    "working_memory": lambda n: fs.linear_cross_entropy(X, W, Y, working_memory=n),
    "k": lambda n: fs.linear_topk(X, W, n, **SOME),
    "min_count": lambda n: fs.support(X, Y, min_count=n),
    "n_classes": samplers.Uniform,
    "n": lambda n: samplers.Uniform(4).draw(n, 0),
    "SampledSoftmax.n_negatives": lambda n: fitted(loss=losses.SampledSoftmax("uniform", n_negatives=n)),
    "LowRank.size": lambda n: fitted(hidden_size=terms.LowRank(n)),
    "LowRank.n_features": lambda n: fitted(direct="sparse", hidden_size=terms.LowRank(2, n_features=n)),
    "hidden_size": lambda n: fitted(hidden_size=n),
    "batch_size": lambda n: fitted(batch_size=n),
    "max_iter": lambda n: fitted(max_iter=n),
    "max_iter of one-vs-all": lambda n: fs.OneVsAllClassifier(max_iter=n).fit(X, Y),
    "verbose": lambda n: fitted(verbose=n),
    "ks": lambda n: metrics.evaluate(MODEL, X, Y, ks=(n,)),
    "order": lambda n: features.NGramFeatures(order=n),
    "n_features": lambda n: features.TextVectorizer(n_features=n),
    "context": lambda n: features.context_features(Y, [0], 4, n),
    "n_classes of features": lambda n: features.context_features(Y, [0], n),
}
NUMBERS = {
    "label_smoothing": lambda x: fs.cross_entropy(X, Y, label_smoothing=x),
    "threshold": lambda x: fs.linear_topk(X, W, 1, threshold=x),
    "learning_rate": lambda x: fitted(learning_rate=x),
    "C": lambda x: fs.SoftmaxRegression(C=x).fit(X, Y),
    "C of one-vs-all": lambda x: fs.OneVsAllClassifier(C=x).fit(X, Y),
    "tol": lambda x: fs.OneVsAllClassifier(tol=x).fit(X, Y),
    "intercept_scaling": lambda x: fs.OneVsAllClassifier(intercept_scaling=x).fit(X, Y),
    "feature_scaling": lambda x: fs.OneVsAllClassifier(feature_scaling=x).fit(X, Y),
    "min_weight": lambda x: fs.OneVsAllClassifier(min_weight=x).fit(X, Y),
    "class_weight": lambda x: fitted(class_weight={0: x}),
    "Adagrad.alpha": lambda x: fitted(optimizer=optimizers.Adagrad(alpha=x)),
    "power": lambda x: samplers.Unigram([1, 2], power=x),
}
OPTIONS = {
    "reduction": lambda x: fs.cross_entropy(X, Y, reduction=x),
    "loss": lambda x: fs.OneVsAllClassifier(loss=x).fit(X, Y),
    "solver": lambda x: fs.SoftmaxRegression(solver=x).fit(X, Y),
    "schedule": lambda x: fitted(schedule=x),
    "storage": MODEL.compressed,
}


@pytest.mark.parametrize(("name", "call"), SIZES.items(), ids=SIZES)
def test_sizes(name, call):
    name = name.partition(" ")[0]
    for n in (10**30, -(10**30)):
        with pytest.raises(ValueError, match=rf"^{name} must be .*, got {n}$"):
            call(n)
    for wrong in (2.0, np.nan, "3", np.array([2, 3]), np.ma.masked):
        with pytest.raises(TypeError, match=rf"^{name} must be an integer, got "):
            call(wrong)


@pytest.mark.parametrize(("name", "call"), NUMBERS.items(), ids=NUMBERS)
def test_numbers(name, call):
    name = name.partition(" ")[0]
    for number in (10**400, np.nan, np.longdouble("-1e4000"), -np.inf):
        with pytest.raises(ValueError, match=rf"^{name} must be "):
            call(number)
    for wrong in (None, "1.5", 1j, np.array([0.1, 0.2]), np.ma.masked):
        if wrong is None and name == "threshold":
            continue
        with pytest.raises(TypeError, match=rf"^{name} must (be a|hold) real number"):
            call(wrong)


@pytest.mark.parametrize(("name", "call"), OPTIONS.items(), ids=OPTIONS)
def test_an_array_is_no_option(name, call):
    with pytest.raises(ValueError, match=rf"^{name} must be one of "):
        call(np.array(["mean", "sum"]))


def test_class_weights_of_any_size():
    assert fitted(class_weight={0: 10**30}).predict(X).tolist() == [0] * len(X)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16])
def test_sizes_of_numpys_types(tmp_path, dtype):
    """They count as Python's, whatever their number of bits, and a model that has them can be saved."""
    params = {"direct": None, "loss": "softmax"}
    expected = fitted(hidden_size=100, working_memory=100, batch_size=7, **params)
    sizes = {"working_memory": dtype(100), "batch_size": dtype(7), "max_iter": dtype(1), "random_state": dtype(0)}
    for hidden_size in (dtype(100), terms.LowRank(dtype(100))):
        model = fitted(hidden_size=hidden_size, **sizes, **params)
        assert_array_equal(model.coef_ if hasattr(model, "coef_") else model.hidden_coef_, expected.hidden_coef_)
        model.save(tmp_path / "model.safetensors")
        loaded = fs.load(tmp_path / "model.safetensors")
        assert_array_equal(loaded.predict(X), expected.predict(X))
        assert loaded.random_state == 0


def test_more_places_than_memory_has():
    for call in (lambda: fs.linear_topk(X, W, 2**62, **SOME), lambda: MODEL.predict_topk(X, 10**12, **SOME)):
        with pytest.raises(MemoryError, match=r"the \(n_samples, k\) result needs .* GiB \(40 x "):
            call()


@pytest.mark.parametrize("n", [2**40, 2**62, 2**63 - 1])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("n", lambda n: samplers.Uniform(4).draw(n, 0)),
        ("n", lambda n: samplers.LogUniform(4).draw(n, 0)),
        ("n", lambda n: samplers.Unigram([1, 2]).draw(n, 0)),
        ("n", lambda n: samplers.InBatch([1, 2]).draw(n, 0)),
        ("n", lambda n: samplers.MultiIndex(4).draw(n, 0)),
        ("n", lambda n: samplers.Mixed([samplers.Uniform(4), samplers.LogUniform(4)]).draw(n, 0)),
        ("n", lambda n: samplers.Uniform(2**63 - 1).draw(n, 0, unique=True)),
        ("n_classes", lambda n: samplers.Uniform(n).probabilities()),
        ("n_classes", lambda n: samplers.LogUniform(n).probabilities()),
        ("n_classes", samplers.LearnedUnigram),
        ("n_classes", samplers.MultiIndex),
    ],
)
def test_more_draws_and_classes_than_memory_has(name, call, n):
    with pytest.raises(MemoryError, match=rf"^{name}={n} needs .* GiB \(\d+ bytes each\), but only .* are available"):
        call(n)


def test_ranking_depths_of_any_size():
    expected = metrics.evaluate(MODEL, X, Y, ks=(4,))
    for labels in (Y, np.eye(5, dtype=int)[Y]):
        result = metrics.evaluate(MODEL, X, labels, ks=(10**10, 2**63 - 1))
        for k in (10**10, 2**63 - 1):
            assert result[f"ndcg@{k}"] == pytest.approx(expected["ndcg@4"])
            assert result[f"precision@{k}"] == pytest.approx(1 / k)
    for wrong in (5, 2.5, "3", b"3", np.array(3)):
        with pytest.raises(TypeError, match=r"^ks must be a sequence of integers, got "):
            metrics.evaluate(MODEL, X, Y, ks=wrong)


def test_contexts_longer_than_the_text():
    short, long = (features.context_features(Y, [0, 5], 4, n).tocoo() for n in (40, 2**31 - 1))
    assert_array_equal(short.coords, long.coords)
    assert long.shape == (40, 4 * (2**31 - 1))


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: samplers.Uniform(1000).draw(5, rng)[0],
        lambda rng: fs.linear_cross_entropy(X, MANY, Y, gradient_threshold=0.5, random_state=rng, return_grad=True)[1][
            1
        ],
        lambda rng: fitted(random_state=rng, direct=None, hidden_size=4).embedding_,
    ],
    ids=["draw", "linear_cross_entropy", "fit"],
)
def test_random_states(call):
    """numpy.random stands for its global state, as it does in scikit-learn; what is no seed is refused."""
    np.random.seed(3)  # noqa: NPY002
    results = [call(np.random), call(np.random)]
    np.random.seed(3)  # noqa: NPY002
    assert_array_equal(call(np.random), results[0])
    assert (results[0] != results[1]).any()
    assert_array_equal(call(np.random.RandomState(3)), results[0])
    for wrong in (True, "5", 1.5, -1):
        with pytest.raises((TypeError, ValueError), match=r"^(rng|random_state) must be None, an int seed or .*, got "):
            call(wrong)
