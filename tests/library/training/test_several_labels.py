"""Rows with several labels: losses that take all of them, objectives, hard negatives, and marginal probabilities."""

import pickle

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from several_labels import N_CLASSES, small

import fastsoftmax as fs
from fastsoftmax import losses, metrics, objectives
from fastsoftmax.model.runners import runner_for
from fastsoftmax.training import ranking
from fastsoftmax.training.targets import HardTargets, SoftTargets

SEVERAL = ["decoupled_softmax", "sampled_decoupled_softmax", "one_vs_all", losses.OneVsAll("squared_hinge")]
TERMS = {
    "dense": {"direct": "dense"},
    "low rank": {"direct": None, "hidden_size": 16},
    "sparse": {"direct": "sparse", "hidden_size": None},
    "both": {"direct": "sparse", "hidden_size": 16},
}


def precision(model, X, Y, k=1):
    return metrics.precision_at_k(model.predict_topk(X, k)[0], Y, k)


# -- losses --


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize("loss", SEVERAL, ids=str)
def test_losses_learn(terms, loss, data, test_rows):
    """Whatever the terms, labels are found that the features tell of."""
    if terms["direct"] == "sparse" and terms["hidden_size"] is None and loss == "sampled_decoupled_softmax":
        with pytest.raises(ValueError, match="'decoupled_softmax' or 'one_vs_all'"):
            small(loss=loss, **terms).fit(*data)
        return
    model = small(loss=loss, objective="recall", **terms).fit(*data)
    assert precision(model, *test_rows) > 0.6
    assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize("loss", [*SEVERAL, losses.Softmax(labels="sum")], ids=str)
def test_any_number_of_threads_gives_the_same_bits(terms, loss, data):
    if terms["direct"] == "sparse" and terms["hidden_size"] is None and loss == "sampled_decoupled_softmax":
        return
    models = [small(loss=loss, max_iter=2, n_threads=n, objective="recall", **terms).fit(*data) for n in (1, 2, 3)]
    for other in models[1:]:
        for name, a in models[0]._model.parameters().items():
            assert_array_equal(a, other._model.parameters()[name])


@pytest.mark.parametrize("labels", losses.LABELS)
@pytest.mark.parametrize("kind", [losses.Softmax, losses.SampledSoftmax, losses.SampledLogistic, losses.NCE])
def test_labels_take_part_in_three_ways(kind, labels, data, test_rows):
    model = small(loss=kind(labels=labels), hidden_size=16, direct=None, objective="recall").fit(*data)
    assert precision(model, *test_rows) > 0.6


def test_one_label_a_row_is_the_same_in_all_ways(data):
    X, Y = data
    codes = Y.indices[Y.indptr[:-1]]
    models = [small(loss=losses.Softmax(labels=way), hidden_size=8).fit(X, codes) for way in losses.LABELS]
    models.append(small(loss="decoupled_softmax", hidden_size=8).fit(X, codes))
    for other in models[1:3]:
        assert_array_equal(models[0].hidden_coef_, other.hidden_coef_)
    assert_allclose(models[0].hidden_coef_, models[3].hidden_coef_, atol=1e-3)


def test_the_targets_of_a_batch():
    masses = sp.csr_array(np.array([[0.5, 0.5, 0, 0], [0, 0, 0, 1.0], [0.2, 0, 0.2, 0.6]]))
    target, rows = SoftTargets(masses), np.array([2, 1])
    mean, total = (target.of_batch(rows, way, None) for way in ("mean", "sum"))
    assert_array_equal(mean.indptr, [0, 3, 4])
    assert_array_equal(mean.class_ids, [0, 2, 3, 3])
    assert_allclose(mean.mass, [0.2, 0.2, 0.6, 1])
    assert_allclose(total.mass, [0.6, 0.6, 1.8, 1])
    one = target.of_batch(rows, "one", np.random.default_rng(0))
    assert one.is_one_each and one.class_ids[1] == 3 and one.class_ids[0] in (0, 2, 3)
    assert HardTargets(np.array([3, 1])).of_batch(np.array([1]), "sum", None).class_ids.tolist() == [1]


def test_only_labels_that_count_alike_are_several():
    """Masses are a distribution, which the softmax learns, and single labels in a matrix are single labels."""
    assert SoftTargets(sp.csr_array([[0.5, 0.5], [0, 1]])).several_labels
    assert not SoftTargets(sp.csr_array([[0.4, 0.6], [0, 1]])).several_labels
    assert not SoftTargets(sp.csr_array([[1.0, 0], [0, 1]])).several_labels
    assert not HardTargets(np.array([1, 0])).several_labels


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda: losses.OneVsAll("hinge"), "OneVsAll.loss must be one of 'logistic', 'squared_hinge', got 'hinge'"),
        (lambda: losses.Softmax(labels="all"), "Softmax.labels must be one of .* got 'all'"),
        (lambda: losses.NCE(labels=2), "NCE.labels must be one of .* got 2"),
        (
            lambda: losses.SampledDecoupledSoftmax(n_negatives=0),
            "SampledDecoupledSoftmax.n_negatives must be at least 1",
        ),
    ],
)
def test_bad_options_of_losses(loss, message, data):
    with pytest.raises((ValueError, TypeError), match=message):
        small(loss=loss()).fit(*data)


# -- objectives --


def test_what_auto_chooses(data, ranked):
    X, Y = data
    assert (ranked.objective_, ranked.loss_, ranked.direct_, ranked.hidden_size_) == (
        "precision", "decoupled_softmax", "sparse", 128,
    )  # fmt: skip
    assert set(ranked.ranking_) == {"C", "softmax_share"} and len(ranked.loss_curve_) == 5
    assert small().fit(X.toarray(), Y).objective_ == "recall"
    assert small(loss="softmax").fit(X, Y).objective_ == "recall"
    assert small(hidden_size=8, direct=None).fit(X, Y).objective_ == "recall"
    assert small().fit(X, Y.indices[Y.indptr[:-1]]).objective_ is None
    assert small(hidden_size=None).fit(X, Y).hidden_size_ is None
    assert small().partial_fit(X, Y, n_classes=N_CLASSES).objective_ == "recall"


def test_precision_is_better_than_recall_at_the_top(data, test_rows, ranked):
    softmax = small(objective="recall", direct="sparse", hidden_size=128).fit(*data)
    assert precision(ranked, *test_rows) >= precision(softmax, *test_rows)
    assert precision(ranked, *test_rows, 3) >= precision(softmax, *test_rows, 3) - 0.01


def test_for_the_tail_rare_labels_count_more(data):
    """Their hinges are steeper beside those of common labels than they are for precision."""
    options = {"C": 0.1, "softmax_share": 0.0}
    tail, other = (small(objective=kind(**options)).fit(*data) for kind in (objectives.Tail, objectives.Precision))
    assert tail.objective_ == "tail"
    norms = [np.sqrt((model.coef_ / model.calibration_["W"]).power(2).sum(axis=1)) for model in (tail, other)]
    order = np.argsort(np.asarray(data[1].sum(axis=0)).reshape(-1))
    rare, common = ((norms[0] / norms[1])[labels].mean() for labels in (order[:10], order[-10:]))
    assert rare > 1.05 * common


def test_the_logits_are_those_of_a_share_of_the_softmax_and_of_hinges(data):
    X, Y = data
    softmax = small(calibration_fraction=0, direct="sparse", hidden_size=8, max_iter=2, objective="recall").fit(X, Y)
    objective = objectives.Precision(C=0.5, softmax_share=0.2, n_candidates=10)
    model = small(calibration_fraction=0, direct="sparse", hidden_size=8, max_iter=2, objective=objective).fit(X, Y)
    assert model.ranking_ == {"C": 0.5, "softmax_share": 0.2} and model.calibration_ == {}
    assert_allclose(model.hidden_coef_, 0.2 * softmax.hidden_coef_, rtol=1e-6)
    assert_allclose(model.intercept_, 0.2 * softmax.intercept_, rtol=1e-6)
    hinge = (model.coef_ - 0.2 * softmax.coef_).toarray()
    z = X @ hinge.T - 1  # the hinge's bias is -1, the same for all labels
    assert np.mean(z[Y.toarray() > 0]) > 0 and np.mean(z[Y.toarray() == 0]) < -0.9


def test_shortlists_hold_no_label_of_the_row(data, ranked):
    X, Y = data
    target = SoftTargets(sp.csr_array(Y / Y.sum(axis=1)[:, None]))
    found = ranking.shortlists(runner_for(ranked._model, X.astype(np.float32), n_threads=1), target, 20)
    assert found.shape == (X.shape[0], 20) and found.dtype == np.int32
    assert not np.any(Y.toarray()[np.arange(len(found))[:, None], found])
    everything = ranking.shortlists(runner_for(ranked._model, X.astype(np.float32), n_threads=1), target, 1000)
    assert_array_equal((everything < 0).sum(axis=1), Y.sum(axis=1))


def test_every_stage_gives_the_same_bits_for_any_number_of_threads(data, ranked):
    for n_threads in (2, 3):
        other = small(n_threads=n_threads).fit(*data)
        assert other.ranking_ == ranked.ranking_ and other.marginals_ == ranked.marginals_
        for name, a in ranked._model.parameters().items():
            assert_array_equal(a, other._model.parameters()[name])


def test_a_ranked_model_is_kept_by_files_pickles_and_compression(tmp_path, ranked, test_rows):
    X = test_rows[0]
    ranked.save(tmp_path / "model")
    for other in (fs.load(tmp_path / "model"), pickle.loads(pickle.dumps(ranked))):
        assert (other.objective_, other.ranking_, other.marginals_) == (
            ranked.objective_, ranked.ranking_, ranked.marginals_,
        )  # fmt: skip
        assert_array_equal(other.predict_topk(X, 5)[0], ranked.predict_topk(X, 5)[0])
        assert_array_equal(other.predict_marginals(X), ranked.predict_marginals(X))
    compact = ranked.compressed()
    assert np.mean(compact.predict(X) == ranked.predict(X)) > 0.98
    compact.predict_marginals(X)


def test_a_ranked_model_is_not_trained_on(data, ranked):
    model = pickle.loads(pickle.dumps(ranked))
    with pytest.raises(ValueError, match=r"cannot be trained on.*objective='recall'"):
        model.partial_fit(*data)
    with pytest.raises(ValueError, match=r"cannot be trained on.*objective='recall'"):
        model.set_params(warm_start=True).fit(*data)
    model.set_params(warm_start=False).calibrate(*data)
    assert set(model.calibration_.values()) == {model.calibration_["W"]}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"direct": "dense"}, "objective must be 'auto' or 'recall' with direct='dense', got 'precision'"),
        ({"hidden_size": 4, "direct": None}, "objective must be .* with direct=None, got 'precision'"),
        ({"objective": "best"}, "objective must be one of .*'precision'.*got 'best'"),
        ({"objective": objectives.Precision(C=0)}, "Precision.C must be above 0, got 0"),
        ({"objective": objectives.Tail(n_candidates=0)}, "Tail.n_candidates must be at least 1, got 0"),
        ({"objective": objectives.Precision(softmax_share=-1)}, "Precision.softmax_share must be at least 0, got -1"),
    ],
)
def test_bad_objectives(params, message, data):
    with pytest.raises(ValueError, match=message):
        small(**{"objective": "precision"} | params).fit(*data)


def test_objectives_that_a_training_cannot_have(data, tmp_path):
    X, Y = data
    with pytest.raises(ValueError, match=r"objective must be 'auto' or 'recall' with dense rows, got 'precision'"):
        small(objective="precision").fit(X.toarray(), Y)
    with pytest.raises(ValueError, match=r"objective must be 'auto' or 'recall' in partial_fit.*got 'tail'"):
        small(objective="tail").partial_fit(X, Y, n_classes=N_CLASSES)
    with pytest.raises(ValueError, match=r"objective must be 'auto' or 'recall' with weights_dir, got 'precision'"):
        small(objective="precision", weights_dir=tmp_path).fit(X, Y)


def test_single_labels_may_be_ranked_too(data):
    X, Y = data
    model = small(objective="precision").fit(X, Y.indices[Y.indptr[:-1]])
    assert model.objective_ == "precision" and model.ranking_ and model.marginals_ == {}


def test_weights_and_few_rows(data):
    """A row of weight 0 is as if it were not there, and too few rows hold none out."""
    X, Y = data
    model = small(calibration_fraction=0).fit(X[:40], Y[:40])
    assert model.ranking_ == {"C": ranking.C, "softmax_share": ranking.SHARE_OF_ALL}
    weight = np.ones(80)
    weight[40:] = 0
    other = small(calibration_fraction=0).fit(X[:80], Y[:80], sample_weight=weight)
    assert_allclose(other.intercept_, model.intercept_, rtol=1e-5)
    assert_allclose(other.coef_.toarray(), model.coef_.toarray(), atol=1e-5)


def test_progress(data, capsys):
    small(verbose=1).fit(*data)
    shown = capsys.readouterr()
    assert "objective='precision'" in shown.err and "ranking" in shown.err and not shown.out


@pytest.mark.parametrize("sampler", ["in_batch", "unigram"])
@pytest.mark.parametrize(
    ("sampled", "full"),
    [
        (losses.SampledDecoupledSoftmax, losses.DecoupledSoftmax()),
        (losses.SampledSoftmax, losses.Softmax(gradient_threshold=0)),
        (lambda sampler: losses.SampledLogistic(sampler, labels="sum"), losses.OneVsAll()),
    ],
)
def test_samplers_count_what_batches_draw(sampled, full, sampler):
    """Rows of some labels have eight times as many: their labels are drawn more often than their masses say."""
    rng = np.random.default_rng(0)
    lists = [[int(rng.integers(0, 20))] if i % 2 else (20 + rng.permutation(20)[:8]).tolist() for i in range(4000)]
    X, gaps = np.ones((4000, 1)), []
    for loss in (full, sampled(sampler)):
        model = small(loss=loss, direct="dense", calibration_fraction=0, max_iter=20, average=True).fit(X, lists)
        z = model.decision_function(X[:1])[0]
        gaps.append(z[20:].mean() - z[:20].mean())
    assert gaps[1] == pytest.approx(gaps[0], abs=0.2)


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize("loss", ["decoupled_softmax", "one_vs_all", losses.Softmax(labels="sum"), "softmax"], ids=str)
def test_early_stopping_judges_by_the_loss(terms, loss, data):
    """The model that is kept has the least of them."""
    X, Y = data
    model = small(loss=loss, early_stopping=True, max_iter=4, objective="recall", calibration_fraction=0, **terms)
    model.fit(X, Y, X_val=X, y_val=Y)
    masses = Y.toarray().astype(float)
    if loss == "softmax":
        masses /= masses.sum(axis=1, keepdims=True)
    name = {"decoupled_softmax": "decoupled", "one_vs_all": "logistic"}.get(loss, "softmax")
    expected = reference.row_losses(name, model.decision_function(X), masses)[0].mean()
    assert min(model.validation_curve_) == pytest.approx(expected, rel=1e-4)


def test_options_that_only_a_low_rank_term_has_rule_out_a_sparse_one(data):
    assert small(hidden_size=None, learning_rate=0.05).fit(*data).objective_ == "recall"
    assert small(warm_start=True).fit(*data).fit(*data).objective_ == "recall"


def test_tail_of_two_rows_leaves_the_old_model(data, ranked):
    X, Y = data
    model = pickle.loads(pickle.dumps(ranked)).set_params(objective="tail")
    with pytest.raises(ValueError, match="objective must be 'auto' or 'recall' with 2 rows"):
        model.fit(X[:2], Y[:2])
    assert_array_equal(model.intercept_, ranked.intercept_)


def test_after_an_interrupt_before_the_ranking(data, monkeypatch):
    """The softmax is there, as a model for recall, and may be trained on."""

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(ranking, "rank", interrupted)
    model = small()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data)
    assert (model.objective_, model.ranking_, model.direct_) == ("recall", {}, "sparse")
    assert len(model.partial_fit(*data).loss_curve_) == 6
