"""`fastsoftmax bench quality`: problems, scores, the processes of the systems and the order of their runs."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from fastsoftmax import metrics
from fastsoftmax.benches.quality import compare, environments, problems, runs, scores
from fastsoftmax.benches.quality.worker.problem import Part, Problem
from fastsoftmax.benches.quality.worker.systems import SYSTEMS

LIMITS = {"n_threads": 1, "limit_seconds": 120, "max_bytes": 2**33}


def part_of(labels, n_features=3):
    """A part whose rows have the given lists of labels."""
    starts = np.cumsum([0] + [len(found) for found in labels])
    X = sparse.csr_matrix(np.ones((len(labels), n_features), np.float32))
    return Part(X, np.array([label for found in labels for label in found], np.int64), starts)


@pytest.fixture
def small(tmp_path):
    """A separable problem of 3 classes, and its folder."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    X = sparse.csr_matrix(np.eye(3, dtype=np.float32)[labels] + (rng.random((120, 3)) < 0.1))
    starts = np.arange(101)
    train, test = Part(X[:100], labels[:100], starts), Part(X[100:], labels[100:], starts[:21])
    problem = Problem("small", "small", "sparse", 3, train, test)
    problem.save(tmp_path / "small")
    return SimpleNamespace(problem=problem, folder=tmp_path / "small", run_folder=tmp_path / "run")


# Problems


def test_a_problem_comes_back_from_its_folder(small):
    again = Problem.load(small.folder)
    assert again.summary() == small.problem.summary()
    for a, b in ((again.train, small.problem.train), (again.test, small.problem.test)):
        assert (a.X != b.X).nnz == 0
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.label_starts, b.label_starts)


def test_digits():
    problem = problems.digits()
    assert problem.summary()["n_train"] == 1437 and problem.n_classes == 10 and problem.kind == "dense"
    assert problem.train.X.max() == 1 and not problem.is_multi_label


def test_tokens_are_the_same_each_time():
    problem, again = problems.tokens(quick=True), problems.tokens(quick=True)
    assert problem.train.n_rows == problems.N_TRAIN_QUICK
    assert problem.n_features == problems.CONTEXT * problem.n_classes
    np.testing.assert_array_equal(np.unique(problem.train.labels), np.arange(problem.n_classes))
    counts = np.bincount(problem.train.labels)
    assert np.all(np.diff(counts) <= 0) and counts[-1] >= 2
    np.testing.assert_array_equal(problem.train.labels, again.train.labels)
    # the feature of place 0 is the label of the row before, but for first rows of files
    X = problem.train.X
    first = np.array([X.indices[X.indptr[i]] if X.indptr[i + 1] > X.indptr[i] else -1 for i in range(1, X.shape[0])])
    assert np.mean(first == problem.train.labels[:-1]) > 0.95


def test_svmlight_file_with_test_rows(tmp_path):
    train, test = tmp_path / "set.train.svm", tmp_path / "test.svm"
    train.write_text("7 0:1 2:0.5\n-3 1:1\n7 2:1\n")
    test.write_text("-3 1:2\n5 0:1\n7 30:1\n")
    problem = problems.from_files(train, test)
    assert problem.name == "set" and problem.n_classes == 2 and problem.kind == "sparse"
    np.testing.assert_array_equal(problem.train.labels, [1, 0, 1])
    np.testing.assert_array_equal(problem.test.labels, [0, -1, 1])  # 5 does not occur in training
    assert problem.train.X.shape == problem.test.X.shape == (3, 31)


def test_xmc_file_with_several_labels_a_row(tmp_path):
    path = tmp_path / "set.txt"
    rows = [f"{i % 3},{3 + i % 2} {i % 5}:1" for i in range(39)] + [" 4:1"]
    path.write_text("40 5 6\n" + "\n".join(rows) + "\n")
    problem = problems.from_files(path)
    assert problem.is_multi_label and problem.n_classes == 5
    assert problem.train.n_rows + problem.test.n_rows == 39  # the row without a label is left out
    assert problem.test.n_rows in (3, 4)
    X, y = problem.train.one_label_a_row()
    assert X.shape[0] == len(y) == 2 * problem.train.n_rows


def test_fasttext_file(tmp_path):
    path = tmp_path / "set.txt"
    path.write_text("".join(f"__label__{'ab'[i % 2]} word{i % 2} other\n" for i in range(30)))
    problem = problems.from_files(path)
    assert problem.n_classes == 2 and problem.train.n_rows == 27 and problem.test.n_rows == 3


def test_dense_files_are_told(tmp_path):
    path = tmp_path / "dense.svm"
    path.write_text("".join(f"{i % 2} 0:{i} 1:1 2:{i + 1}\n" for i in range(1, 20)))
    assert problems.from_files(path).kind == "dense"


def test_a_single_row_cannot_be_split(tmp_path):
    path = tmp_path / "set.svm"
    path.write_text("1 0:1\n")
    with pytest.raises(ValueError, match="single row"):
        problems.from_files(path)


def test_file_without_labels(tmp_path):
    path = tmp_path / "set.txt"
    path.write_text("2 2 2\n 0:1\n 1:1\n")
    with pytest.raises(ValueError, match="no training row has a label"):
        problems.from_files(path, path)


# Scores


def test_metrics_of_predictions(tmp_path):
    test = part_of([[0], [1], [-1], [2]])
    problem = Problem("p", "p", "sparse", 3, test, test)
    np.save(
        tmp_path / "class_ids.npy",
        np.pad([[0, 1, -1], [0, 1, 2], [0, 1, 2], [0, 1, -1]], ((0, 0), (0, 17)), constant_values=-1),
    )
    np.save(tmp_path / "log_proba.npy", np.log([0.5, 0.25, 1, 0], where=[1, 1, 1, 0], out=np.full(4, -np.inf)))
    np.save(tmp_path / "best_proba.npy", np.array([0.5, 0.75, 1, 1]))
    found = scores.of_predictions(problem, tmp_path)
    assert found["precision@1"] == 0.25 and found["hit@20"] == 0.5
    assert found["mrr@20"] == pytest.approx((1 + 1 / 2) / 4)
    # the unknown label is in no log-loss; a probability of zero counts as the least one
    assert found["log_loss"] == pytest.approx(-np.log([0.5, 0.25, scores.LEAST_PROBA]).mean())
    # one row a bin: |0.5 - 1|, and the confidences of three misses
    assert found["calibration_error"] == pytest.approx((0.5 + 0.75 + 1 + 1) / 4)


def test_metrics_without_probabilities_and_with_several_labels(tmp_path):
    test = part_of([[0, 2], [1, -1]])
    problem = Problem("p", "p", "sparse", 3, test, test)
    class_ids = np.full((2, 20), -1)
    class_ids[:, :2] = [[2, 0], [0, 1]]
    np.save(tmp_path / "class_ids.npy", class_ids)
    found = scores.of_predictions(problem, tmp_path)
    assert found["precision@1"] == 0.5 and found["precision@3"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert found["log_loss"] is None and found["calibration_error"] is None


def test_several_labels_have_ndcg_and_psp(tmp_path):
    train, test = part_of([[0, 1], [0], [0, 2], [0]]), part_of([[0, 2], [1, -1]])
    class_ids = np.full((2, 20), -1)
    class_ids[:, :2] = [[0, 2], [0, 1]]
    np.save(tmp_path / "class_ids.npy", class_ids)
    found = scores.of_predictions(Problem("p", "p", "sparse", 3, train, test), tmp_path)
    assert found["ndcg@5"] == pytest.approx((1 + np.log2(3) ** -1 / (1 + np.log2(3) ** -1)) / 2)
    gain = dict(enumerate(metrics.inverse_propensities([[0, 1], [0], [0, 2], [0]], n_classes=4)))  # 3: unknown
    assert found["psp@5"] == pytest.approx((gain[0] + gain[2] + gain[1]) / (gain[0] + gain[2] + gain[1] + gain[3]))
    single = Problem("p", "p", "sparse", 3, part_of([[0], [1], [2]]), part_of([[0], [1]]))
    assert "psp@5" not in scores.of_predictions(single, tmp_path)
    few = Problem("p", "p", "sparse", 3, part_of([[0, 1], [2]]), test)
    assert scores.of_predictions(few, tmp_path)["psp@5"] is None


def test_no_prediction_is_no_hit_of_an_unknown_label(tmp_path):
    test = part_of([[-1], [0]])
    problem = Problem("p", "p", "sparse", 3, test, test)
    class_ids = np.full((2, 20), -1)
    class_ids[1, 0] = 0
    np.save(tmp_path / "class_ids.npy", class_ids)
    np.save(tmp_path / "best_proba.npy", np.array([0.0, 1.0]))
    assert scores.of_predictions(problem, tmp_path)["calibration_error"] == 0


def test_log_loss_of_several_labels_is_the_mean_of_row_means():
    part = part_of([[0, 1], [2], [-1]])
    loss = scores.log_loss(np.log([0.5, 0.125, 0.5, 1.0]), part)
    assert loss == pytest.approx((np.log(2) + np.log(8)) / 4 + np.log(2) / 2)


def test_calibration_error_of_calibrated_predictions_is_small():
    rng = np.random.default_rng(0)
    confidence = rng.random(100_000)
    correct = rng.random(100_000) < confidence
    assert scores.calibration_error(confidence, correct) < 0.01
    assert scores.calibration_error(confidence, rng.random(100_000) < confidence**2) > 0.1


# One run


def test_a_run(small):
    found = runs.run(small.problem, small.folder, "fastsoftmax linear", 10, 0, limits=LIMITS, folder=small.run_folder)
    assert found["status"] == "ok" and found["metrics"]["precision@1"] > 0.7
    assert 0 < found["train_seconds"] < 60 and found["model_bytes"] > 0 and found["predict_rows_per_second"] > 0
    assert found["metrics"]["log_loss"] > 0 and "fastsoftmax" in found["versions"]
    assert not small.run_folder.exists()


OF_THIS_ENVIRONMENT = [name for name in SYSTEMS if name.startswith(("fastsoftmax", "scikit-learn"))]


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, "sparse") for name in OF_THIS_ENVIRONMENT]
    + [("fastsoftmax linear", "dense"), ("fastsoftmax sparse", "dense"), ("scikit-learn LogisticRegression", "dense")]
    + [("fastsoftmax OneVsAllClassifier", "dense"), ("scikit-learn LinearSVC", "dense")]
    + [("fastsoftmax sampled", "several"), ("fastsoftmax SoftmaxRegression", "several")]
    + [("fastsoftmax OneVsAllClassifier", "several"), ("scikit-learn LinearSVC", "several")],
)
def test_systems_of_this_environment(small, name, kind):
    problem = small.problem
    if kind == "several":
        train = part_of([[i % 3, (i + 1) % 3] for i in range(30)])
        problem = Problem("small", "small", "sparse", 3, train, train)
    elif kind == "dense":
        problem = Problem("small", "small", "dense", 3, problem.train, problem.test)
    problem.save(small.folder)
    found = runs.run(problem, small.folder, name, SYSTEMS[name].budget, 0, limits=LIMITS, folder=small.run_folder)
    if found["status"] == "not applicable":
        assert kind == "dense" and found["reason"] == "for sparse rows"
    else:
        assert found["status"] == "ok", found
        assert kind == "several" or found["metrics"]["precision@1"] > 0.6


def test_time_memory_and_crashes_are_told_apart(small, monkeypatch):
    def outcome(**limits):
        return runs.run(
            small.problem, small.folder, "fastsoftmax full", 10, 0, limits=LIMITS | limits, folder=small.run_folder
        )

    assert outcome(limit_seconds=0.05) == {"status": "too slow", "reason": "not done in 0.05 s"}
    assert outcome(max_bytes=1 << 27) == {"status": "no memory", "reason": "needs more than 0.125 GiB"}
    (small.folder / "train.npz").unlink()
    lost = outcome()
    assert lost["status"] == "failed" and "FileNotFoundError" in lost["reason"]
    monkeypatch.setattr(environments, "python_of", lambda environment: None)
    assert outcome() == {"status": "missing", "reason": "not installed"}


def test_a_python_that_dies_is_a_failure(small, monkeypatch, tmp_path):
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\necho last words\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(environments, "python_of", lambda environment: killed)
    found = runs.run(small.problem, small.folder, "fastsoftmax full", 10, 0, limits=LIMITS, folder=small.run_folder)
    assert found == {"status": "failed", "reason": "killed by signal 9: last words"}


# The comparison

FULL, REGRESSION = "fastsoftmax full", "fastsoftmax SoftmaxRegression"
OPTIONS = LIMITS | {"quick": False, "repetitions": 3, "limit_seconds": 10}


@pytest.fixture
def stub(monkeypatch):
    """Runs that take as many seconds as is said here, per unit of the budget."""
    stub = SimpleNamespace(seconds={FULL: 0.1, REGRESSION: 0.1}, calls=[])

    def run(problem, problem_folder, system, budget, seed, *, limits, folder):
        stub.calls.append((system, budget, seed))
        seconds = stub.seconds[system]
        if isinstance(seconds, str):
            return {"status": seconds, "reason": "why"}
        if seconds * budget > limits["limit_seconds"]:
            return {"status": "too slow", "reason": "not done"}
        return {"status": "ok", "reason": "", "train_seconds": seconds * budget, "versions": {"numpy": "2"}}

    monkeypatch.setattr(runs, "run", run)
    return stub


def test_small_budgets_come_first_and_systems_take_turns(small, stub):
    seen = []
    results = compare.compare(
        [lambda: small.problem], [FULL, REGRESSION], OPTIONS, on_run=lambda r, run: seen.append(len(r["runs"]))
    )
    assert stub.calls == (
        [(FULL, b, 0) for b in (1, 3, 10)]
        + [(REGRESSION, b, 0) for b in (1, 3, 100)]
        + [(FULL, 10, 1), (REGRESSION, 100, 1), (FULL, 10, 2), (REGRESSION, 100, 2)]
    )
    assert seen == list(range(1, 11))
    assert sum(r["is_main"] for r in results["runs"]) == 6
    assert results["systems"][0]["versions"] == {"numpy": "2"}
    json.dumps(results)


def test_hopeless_runs_are_not_tried(small, stub):
    stub.seconds[FULL] = 4.0  # 3 epochs take 12 s: tried, since the estimate may be wrong; 10 take 40 s: not tried
    results = compare.compare([lambda: small.problem], [FULL], OPTIONS)
    assert stub.calls == [(FULL, 1, 0), (FULL, 3, 0)]
    assert [r["status"] for r in results["runs"]] == ["ok", "too slow", "too slow", "too slow", "too slow"]


def test_solvers_that_stop_by_themselves_are_tried(small, stub):
    stub.seconds[REGRESSION] = 5.0
    compare.compare([lambda: small.problem], [REGRESSION], OPTIONS)
    assert stub.calls[:2] == [(REGRESSION, 1, 0), (REGRESSION, 3, 0)]


@pytest.mark.parametrize("status", ["missing", "failed", "no memory", "not applicable"])
def test_what_cannot_run_is_asked_once(small, stub, status):
    stub.seconds[FULL] = status
    results = compare.compare([lambda: small.problem], [FULL], OPTIONS)
    assert stub.calls == [(FULL, 1, 0)]
    assert {r["status"] for r in results["runs"]} == {status}


def test_known_runs_are_kept(small, stub):
    first = compare.compare([lambda: small.problem], [FULL], OPTIONS)
    stub.calls.clear()
    stopped = json.loads(json.dumps(first | {"runs": first["runs"][:2]}))
    again = compare.compare([lambda: small.problem], [FULL], OPTIONS, stopped)
    assert stub.calls == [(FULL, 10, 0), (FULL, 10, 1), (FULL, 10, 2)]
    assert again["runs"] == first["runs"]


def test_a_comparison_of_others_loses_no_earlier_run(small, stub):
    first = compare.compare([lambda: small.problem], [FULL], OPTIONS)
    stored = []
    again = compare.compare(
        [lambda: small.problem], [REGRESSION], OPTIONS, first, lambda results, run: stored.append(results)
    )
    for results in (*stored, again):
        assert [r for r in results["runs"] if r["system"] == FULL] == first["runs"]
        assert [s["name"] for s in results["systems"]] == [REGRESSION, FULL]
    other = Problem("other", "other", "sparse", 3, small.problem.train, small.problem.test)
    assert [p["name"] for p in compare.compare([lambda: other], [FULL], OPTIONS, again)["problems"]] == [
        "other",
        "small",
    ]


def test_runs_of_a_problem_that_has_changed_are_run_again(small, stub):
    first = compare.compare([lambda: small.problem], [FULL], OPTIONS)
    stub.calls.clear()
    train, test = small.problem.train, small.problem.test
    changed = Problem("small", "small", "sparse", 3, Part(train.X * 2, train.labels, train.label_starts), test)
    again = compare.compare([lambda: changed], [FULL], OPTIONS, first)
    assert len(stub.calls) == len(again["runs"]) == 5 and len(again["problems"]) == 1


def test_what_was_missing_is_tried_again(small, stub):
    stub.seconds[FULL] = "missing"
    first = compare.compare([lambda: small.problem], [FULL], OPTIONS)
    stub.seconds[FULL] = 0.1
    assert {r["status"] for r in compare.compare([lambda: small.problem], [FULL], OPTIONS, first)["runs"]} == {"ok"}


def test_runs_with_other_limits_are_not_mixed(small, stub):
    first = compare.compare([lambda: small.problem], [FULL], OPTIONS)
    for name in ("n_threads", "limit_seconds"):
        with pytest.raises(ValueError, match=name):
            compare.compare([lambda: small.problem], [FULL], OPTIONS | {name: 7}, first)


def test_what_problems_are_called(tmp_path):
    names = {
        "a/set.svm": "set",
        "a/set.train.svm.gz": "set",
        "a/set_train.txt": "set",
        "a/train.txt": "a",
        "b/trn.txt": "b",
    }
    assert {path: problems.name_of(tmp_path / path) for path in names} == names
