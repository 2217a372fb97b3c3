"""What users may write with every public name: `mypy` checks it in strict mode, and a test runs it."""

import io
import sys
import warnings
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import fastsoftmax
from fastsoftmax import (
    LanguageModel,
    NextItemModel,
    NGramFeatures,
    NGramLanguageModel,
    OneVsAllClassifier,
    PreparedWeights,
    SequenceFeatures,
    SoftmaxClassifier,
    SoftmaxRegression,
    cross_entropy,
    datasets,
    estimators,
    features,
    from_sklearn,
    linear_cross_entropy,
    linear_logsumexp,
    linear_topk,
    load,
    log_softmax,
    logsumexp,
    losses,
    metrics,
    objectives,
    optimizers,
    plots,
    sampled_cross_entropy,
    samplers,
    softmax,
    support,
    terms,
)

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 6)).astype(np.float32)
W = RNG.standard_normal((5, 6)).astype(np.float32)
Y = np.arange(200) % 5
Floats = NDArray[np.floating[Any]]


def dense() -> None:
    assert_type(softmax(X, axis=1), NDArray[np.float32])
    assert_type(log_softmax(X.astype(np.float64), axis=-1, n_threads=1), NDArray[np.float64])
    softmax([[1.0, 2.0]], axis=(0, 1), out=np.empty((1, 2)))
    total: float = logsumexp([1.0, 2.0])
    value, sign = logsumexp(X, axis=1, b=[1, 1, 1, 1, 1, -1], return_sign=True)
    loss, gradient = cross_entropy(X, Y, weight=np.ones(6), return_grad=True)
    each: NDArray[np.float32] = cross_entropy(X, Y, reduction="none", label_smoothing=0.1)
    print(total, value, sign, loss, gradient, each)


def linear() -> None:
    assert_type(linear_logsumexp(X, W, np.zeros(5)), Floats)
    class_ids, log_proba = linear_topk(X, W, 2, exclude=[[i % 5] for i in range(200)], threshold=0.01)
    assert_type(class_ids, NDArray[np.int64])
    loss: float = linear_cross_entropy(X, W, Y, reduction="sum")
    loss, (dX, dW, _) = linear_cross_entropy(X, W, Y, return_grad=("X", "W"), out=(None, np.empty_like(W), None))
    counts = support(X, Y)
    prepared = PreparedWeights(counts, np.zeros(5))
    print(loss, dX, dW, log_proba, linear_logsumexp(X, prepared))


def sampling() -> None:
    counts = np.bincount(Y)
    some: list[samplers.Sampler] = [
        samplers.Uniform(5),
        samplers.LogUniform(5),
        samplers.Unigram(counts, power=0.5),
        samplers.LearnedUnigram(5),
        samplers.Custom([0.1, 0.2, 0.3, 0.2, 0.2]),
        samplers.InBatch(counts),
        samplers.MultiIndex(5, n_codes=2),
        samplers.make("unigram", counts),
    ]
    some.append(samplers.Mixed([some[0], some[2]], shares=[0.5, 0.5]))
    assert samplers.kind_of("in_batch") is samplers.NAMED["in_batch"]
    class_ids, log_expected_counts = some[0].draw(3, RNG)
    assert_type(sampled_cross_entropy(X, W, Y, class_ids=class_ids, log_expected_counts=log_expected_counts), float)
    loss, (dX, rows, dW, dbias) = sampled_cross_entropy(
        X, W, Y, class_ids=class_ids, log_expected_counts=log_expected_counts, return_grad=True
    )
    print(loss, dX, rows, dW, dbias)


def choices() -> None:
    for loss in (
        losses.Softmax(labels="one"),
        losses.SampledSoftmax("uniform", n_negatives=3),
        losses.NCE("uniform", n_negatives=3),
        losses.SampledLogistic("uniform", n_negatives=3),
        losses.NegativeSampling("uniform", n_negatives=3),
        losses.DecoupledSoftmax(),
        losses.SampledDecoupledSoftmax(),
        losses.OneVsAll("logistic"),
    ):
        model = SoftmaxClassifier(loss=loss, hidden_size=terms.LowRank(2), max_iter=1, random_state=0)
        assert_type(model.fit(X, Y), SoftmaxClassifier)
    assert_type(terms.LowRank(2, normalize=9.0).scale, float | None)
    for objective in (objectives.Precision(C=1.0), objectives.Recall(), objectives.Tail()):
        SoftmaxClassifier(direct=terms.SparseTerm(min_count=2), objective=objective).get_params()
    for optimizer in (optimizers.SGD(alpha=1e-4), optimizers.Adagrad(clip_norm=1.0)):
        SoftmaxClassifier("softmax", optimizer=optimizer, max_iter=1).partial_fit(X, Y, n_classes=5)


def models(folder: Path) -> None:
    stopping = estimators.EarlyStopping(validation_fraction=0.2)
    checkpoint = estimators.Checkpoint(folder / "checkpoint")
    model = SoftmaxClassifier(
        direct="sparse", hidden_size=None, early_stopping=stopping, checkpoint=checkpoint, max_iter=2
    )
    model.fit(X, Y.tolist(), sample_weight=np.ones(200), X_val=X, y_val=Y)
    labels, log_proba = model.predict_topk(X, 2, classes=[0, 1, 2])
    assert_type(log_proba, Floats)
    assert_type(model.predict_proba(X), Floats)
    assert_type(model.n_iter_, int)
    curve: list[float] = model.validation_curve_
    model.calibrate(X, Y).prune(0.01).save(folder / "model")
    again: SoftmaxClassifier = load(folder / "model")
    assert_type(again, SoftmaxClassifier)
    assert_type(again.compressed("int8").score(X, Y), float)
    assert_type(again.predictor(1).predict_topk(X[:1], 1)[1], Floats)
    regression = SoftmaxRegression(C=0.5, class_weight="balanced").fit(X, Y)
    assert_type(regression.target_log_proba(X, Y), Floats)
    taken: SoftmaxClassifier | OneVsAllClassifier = from_sklearn(regression, dtype="float32", n_threads=1)
    assert_type(taken.predict_topk(X, 2)[1], Floats)
    regression.save(folder / "regression", vectorizer=regression.vectorizer_)
    assert_type(SoftmaxRegression.load(folder / "regression", memory_map=True), SoftmaxRegression)
    several = OneVsAllClassifier("logistic").fit(X, [[i % 5, (i + 1) % 5] for i in range(200)])
    assert_type(several.predict_marginals(X), Floats)
    print(labels, curve, several.coef_, estimators.SoftmaxClassifier is SoftmaxClassifier)


def explanations() -> None:
    model = SoftmaxClassifier(max_iter=2, random_state=0).fit(X, Y)
    names = ["a", "b", "c", "d", "e", "f"]
    explained = model.explain(X[:2], labels=[1, 2], k=3, feature_names=names)
    assert_type(explained, list[estimators.Explanation])
    assert_type(explained[0].logit, float)
    assert_type(explained[0].contributions, NDArray[np.float64])
    assert_type(SoftmaxRegression().fit(X, Y).explain(X[:1], labels=1)[0].names(), list[str])
    features_of_one, weights = OneVsAllClassifier().fit(X, Y).top_features(1, 2, feature_names=np.array(names))
    assert_type(features_of_one, list[str] | list[int])
    alike, cosines = model.similar_classes(1, k=2)
    assert_type(cosines, NDArray[np.float64])
    print(*explained, weights, alike)


def pictures() -> None:
    def new() -> Any:
        return Figure().add_subplot()

    model = SoftmaxClassifier(max_iter=2, random_state=0).fit(X, Y)
    explained = plots.ExplanationDisplay.from_estimator(model, X[:1], k=3, ax=new(), height=0.5)
    assert_type(explained, plots.ExplanationDisplay)
    plots.ExplanationDisplay.from_predictions(explained.explanation, ax=new())
    plots.LossCurveDisplay.from_estimator(model, ax=new(), name="model")
    plots.LossCurveDisplay.from_predictions([1.0, 0.5], ax=new()).plot(new(), color="C1")
    reliable = plots.ReliabilityDisplay.from_estimator(model, X, Y, n_bins=5, ax=new())
    assert_type(reliable.expected_calibration_error, float)
    labels, log_proba = model.predict_topk(X, 1)
    predicted = labels[:, 0], np.exp(log_proba[:, 0])
    plots.ReliabilityDisplay.from_predictions(Y, *predicted, strategy="quantile", ax=new())
    edges = reliable.bin_edges
    again = plots.ReliabilityDisplay(reliable.prob_true, reliable.prob_pred, reliable.counts, edges, estimator_name="m")
    again.plot(new()).figure_.savefig(io.BytesIO())


def measures() -> None:
    model = SoftmaxRegression().fit(X, Y)
    topk, _ = model.predict_topk(X, 3)
    proba = model.predict_proba(X)
    propensities = metrics.inverse_propensities(Y)
    results: list[float] = [
        metrics.hit_at_k(topk, Y, 1),
        metrics.mrr_at_k(topk, Y, 3),
        metrics.ndcg_at_k(topk, Y, 3),
        metrics.precision_at_k(topk, Y, 3),
        metrics.recall_at_k(topk, Y, 3),
        metrics.coverage_at_k(topk, 3, model.classes_),
        metrics.popularity_at_k(
            topk, 3, {0: 2.0, 1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0, 5: 1.0, 6: 1.0, 7: 1.0, 8: 1.0, 9: 1.0}
        ),
        metrics.popularity_bias_at_k(topk, Y, 3, np.ones(10)),
        metrics.psp_at_k(topk, Y, 3, propensities),
        metrics.psndcg_at_k(topk, Y, 3, propensities),
        metrics.log_loss(model.target_log_proba(X, Y)),
        metrics.perplexity(model.target_log_proba(X, Y), np.ones(200)),
        metrics.f1_at_threshold(proba, Y, 0.3),
        metrics.precision_at_threshold(proba, Y, average="macro"),
        metrics.recall_at_threshold(proba, Y, [0.1, 0.2, 0.3, 0.4, 0.5]),
    ]
    scorer = metrics.NegLogLoss(floor=1e-9).set_score_request(sample_weight=True)
    assert_type(scorer(model, X, Y, sample_weight=np.ones(200)), float)
    print(results, metrics.evaluate(model, X, Y, ks=(1, 3)), metrics.compare(model, model, X, Y)["change"])


def texts(folder: Path) -> None:
    (folder / "data.txt").write_text("__label__a some text\n__label__b other text\n")
    data = datasets.read(folder / "data.txt", "fasttext")
    assert_type(data, datasets.Dataset)
    assert datasets.detect_format(folder / "data.txt") in datasets.FORMATS
    assert datasets.read_texts(folder / "data.txt").n_samples == data.n_samples
    classes, y = datasets.targets(data.labels, data.label_starts)
    vectorizer = features.TextVectorizer(max_words=1, min_chars=2, max_chars=4, n_buckets=9)
    rows = vectorizer.fit_transform(data.X)
    model = SoftmaxClassifier(max_iter=1).fit(rows, ["a", "b"])
    model.save(folder / "texts", vectorizer=vectorizer)
    assert_type(model.predict_topk(["some text"], 1)[1], Floats)
    print(model.explain(["some text"])[0].features, model.score(data.X, y), vectorizer.get_feature_names_out())
    ids, starts = np.arange(20, dtype=np.int32) % 4, [0, 10]
    grams = NGramFeatures(2).fit(ids, starts)
    assert_type(grams.describe(0), tuple[int | None, ...])
    assert features.NGramFeatures is NGramFeatures
    weights, bias = grams.kneser_ney(ids, starts, 4, discounts=[0.5, 1.0, 1.5])
    language = NGramLanguageModel.estimate(["a b c", "a b d"], 2, discount_fallback=[0.5, 1.0, 1.5])
    assert_type(language.score("a b"), float)
    print(classes, y, rows.shape, weights.shape, bias, features.context_features(ids, starts, 4).shape)


def sequences(folder: Path) -> None:
    baskets = [["bread", "milk", "eggs"], ["milk", "eggs"], ["bread", "milk"], ["eggs", "bread", "milk"]]
    model = NextItemModel(hidden_size=4, max_iter=1, random_state=0).fit(baskets)
    items, log_proba = model.predict_topk([["milk"], []], k=2, exclude_seen=True, exclude=[["eggs"], ["milk"]])
    assert_type(log_proba, NDArray[np.float64])
    assert_type(model.partial_fit([["tea", "milk"]]), NextItemModel)
    assert_type(model.predictor(n_threads=1).predict_topk([["tea"]], 2)[1], NDArray[np.float64])
    assert_type(model.log_proba(baskets), NDArray[np.float64])
    assert_type(model.score(baskets), float)
    model.save(folder / "next_item")
    assert_type(NextItemModel.load(folder / "next_item"), NextItemModel)
    again: NextItemModel = load(folder / "next_item")
    assert_type(again.evaluate([["tea", "milk"]], k=(1, 2), protocol="last"), dict[str, float])
    train, histories, targets = metrics.leave_one_out([[1, 2, 3], [2, 3]])
    print(
        train,
        histories,
        targets,
        metrics.every_prefix([[1, 2]]),
        metrics.evaluate_next_items(again, [["tea", "milk"]], 1),
    )
    rows = SequenceFeatures(places=1, decay=0.5).fit([[1, 2, 3], (2, 3), np.array([3, 1])])
    assert_type(rows, SequenceFeatures)
    assert_type(rows.n_features_, int)
    before, y = rows.prefixes([[1, 2, 3]])
    print(items, again.predict([["milk"]]), before.shape, y, rows.transform([[2]]).shape, rows.get_feature_names_out())
    events = {"user": [1, 1, 2, 2], "item": ["tea", "jam", "tea", "jam"], "time": [1, 2, 3, 4]}
    timed = SequenceFeatures(half_life=2.0, ngrams=2, length_buckets=True, side=["user"]).fit(events)
    of_events, masses = timed.partial_fit(events).prefixes(events, reverses=True, n_targets=2, target_decay=0.5)
    print(of_events.shape, masses.shape, timed.side_values_, SequenceFeatures().fit_transform(baskets).shape)
    print([block.shape for block in timed.transform(iter([events]))])


def language(folder: Path) -> None:
    (folder / "text.txt").write_text("the cat sat\nthe dog sat\n" * 5)
    model = LanguageModel(order=2, hidden_size=4, max_iter=1, random_state=0).fit(folder / "text.txt")
    assert_type(model, LanguageModel)
    assert_type(model.perplexity(["the cat sat", ["the", "dog"], "two lines\nof a document"]), float)
    assert_type(model.score([[["the", "cat"], ["the", "dog", "sat"]]]), float)
    assert_type(model.complete("the", n_tokens=2), str)
    assert_type(model.complete(["the"], n_tokens=2), list[Any])
    assert_type(model.sample("the", 2, top_k=2, n_tokens=2, random_state=0), list[str])
    words, log_proba = model.predict_topk(["the", ["the", "cat"]], k=2)
    assert_type(log_proba, NDArray[np.float64])
    model.save(folder / "language")
    again: LanguageModel = load(folder / "language")
    print(words, again.predict_proba(["the"]).shape, LanguageModel.load(folder / "language").vocabulary_)


def mistakes() -> None:
    """Each line is one: that mypy finds it is what the comments ask for. Nothing calls this."""
    softmax(X, axes=1)  # type: ignore[call-overload]
    cross_entropy(X, Y, reduction="average")  # type: ignore[call-overload]
    linear_topk(X, W)  # type: ignore[call-arg]
    SoftmaxClassifier(loss="hinge")  # type: ignore[arg-type]
    SoftmaxClassifier(hidden=128)  # type: ignore[call-arg]
    SoftmaxRegression(solver="sag")  # type: ignore[arg-type]
    from_sklearn(SoftmaxRegression(), dtype="float16")  # type: ignore[arg-type]
    SoftmaxClassifier().fit(X)  # type: ignore[call-arg]
    SoftmaxClassifier().explain(X, feature_names=3)  # type: ignore[arg-type]
    plots.ReliabilityDisplay.from_predictions(Y, Y, Y, strategy="equal")  # type: ignore[arg-type]
    NextItemModel().fit(3)  # type: ignore[arg-type]
    LanguageModel(cache="some")  # type: ignore[arg-type]
    LanguageModel().complete(3)  # type: ignore[call-overload]
    terms.LowRank("large")  # type: ignore[arg-type]
    fastsoftmax.hardmax(X)  # type: ignore[attr-defined]


def main(folder: str) -> None:
    warnings.simplefilter("ignore")
    dense()
    linear()
    sampling()
    choices()
    models(Path(folder))
    explanations()
    pictures()
    measures()
    texts(Path(folder))
    sequences(Path(folder))
    language(Path(folder))
    print(fastsoftmax.__version__)


if __name__ == "__main__":
    main(sys.argv[1])
