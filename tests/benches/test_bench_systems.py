"""The systems of `fastsoftmax bench quality` and their environments, as far as they can be tested without the peers."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from fastsoftmax.benches.quality import environments
from fastsoftmax.benches.quality.worker.systems import SYSTEMS, fasttext_
from fastsoftmax.benches.quality.worker.systems.base import blocks, bytes_of, rectangle, rows_as_text, top_of_dense
from fastsoftmax.cli import main as cli

ASKED = (
    "fastsoftmax full", "fastsoftmax sampled", "fastsoftmax linear", "fastsoftmax sparse + low rank",
    "fastsoftmax OneVsAllClassifier", "scikit-learn LogisticRegression", "scikit-learn SGDClassifier",
    "scikit-learn LinearSVC", "LIBLINEAR", "PyTorch full", "PyTorch sampled", "fastText softmax", "fastText hs",
    "fastText ns", "fastText ova", "PECOS XLinear", "napkinXC PLT", "napkinXC HSM", "omikuji Parabel",
    "omikuji Bonsai", "LibMultiLabel tree", "Vowpal Wabbit oaa", "Vowpal Wabbit plt", "gensim",
)  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_systems_that_people_use_are_there(name):
    assert any(known.startswith(name) for known in SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_a_system_says_what_it_is(system):
    assert system.environment in environments.REQUIREMENTS
    assert system.packages and system.settings
    assert list(system.budgets) == sorted(set(system.budgets))
    assert system.budget in system.budgets if system.budgets else system.budget is None


SMALL = {
    "name": "p", "title": "p", "kind": "sparse", "n_classes": 2000, "n_features": 1000, "n_train": 5000, "n_test": 500,
    "entries_a_row": 5.0, "labels_a_row": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_what_a_system_cannot_do_is_known_before(system):
    if not system.name.startswith("gensim"):
        assert system.why_not(SMALL) == ""
    assert system.why_not(SMALL | {"kind": "tokens"}) == ""
    for change in (
        {"kind": "dense"},
        {"labels_a_row": 2.5},
        {"n_classes": 10**7, "n_features": 10**7, "n_train": 10**7},
    ):
        assert isinstance(system.why_not(SMALL | change), str)


def test_exact_linear_models_of_ten_million_classes_do_not_fit():
    large = SMALL | {"n_classes": 10**7, "n_features": 10**6, "n_train": 10**6}
    for name in ("fastsoftmax linear", "scikit-learn LogisticRegression", "LIBLINEAR logistic", "PyTorch full softmax"):
        assert SYSTEMS[name].why_not(large)
    assert SYSTEMS["fastsoftmax sampled"].why_not(large) == SYSTEMS["fastsoftmax sparse"].why_not(large) == ""


def test_one_versus_rest_is_for_so_many_labels():
    several = SMALL | {"n_classes": 23_000, "n_features": 98_000, "n_train": 262_000, "labels_a_row": 2.9}
    for name in ("fastsoftmax OneVsAllClassifier", "scikit-learn LinearSVC"):
        assert SYSTEMS[name].why_not(several) and not SYSTEMS[name].why_not(several | {"n_classes": 700})
    for name in ("omikuji Parabel", "omikuji Bonsai", "LibMultiLabel tree"):
        assert not SYSTEMS[name].why_not(several)


def test_rows_as_text():
    X = sparse.csr_matrix(np.array([[0.5, 0, 1], [0, 0, 0], [0, 1 / 3, 0]], "f"))
    assert list(rows_as_text(X)) == ["0:0.5 2:1", "", "1:0.333333"]


def test_top_of_dense():
    scores = np.array([[1.0, 3.0, 2.0], [0.0, -1.0, 5.0]])
    class_ids, best = top_of_dense(scores, 2)
    np.testing.assert_array_equal(class_ids, [[1, 2], [2, 0]])
    np.testing.assert_array_equal(best, [[3, 2], [5, 0]])
    assert top_of_dense(scores, 20)[0].shape == (2, 3)


def test_rectangle_pads_short_lists():
    np.testing.assert_array_equal(rectangle([[3, 1], [], [2, 0, 1]], 3), [[3, 1, -1], [-1, -1, -1], [2, 0, 1]])
    assert rectangle([], 3).shape == (0, 3)


def test_blocks_cover_all_rows():
    for n_rows, n_classes in ((0, 5), (1, 5), (10, 3), (7, 10**9)):
        rows = [i for b in blocks(n_rows, n_classes, max_elements=9) for i in range(n_rows)[b]]
        assert rows == list(range(n_rows))


def test_bytes_of_files_and_folders(tmp_path):
    (tmp_path / "model" / "deep").mkdir(parents=True)
    (tmp_path / "model" / "a").write_bytes(b"123")
    (tmp_path / "model" / "deep" / "b").write_bytes(b"45")
    assert bytes_of(tmp_path / "model") == 5 and bytes_of(tmp_path / "model" / "a") == 3


def test_the_paths_of_hierarchical_softmax_are_a_distribution():
    """fastText's tree from its labels' counts: the probabilities of all classes add up to one."""
    rng = np.random.default_rng(0)
    counts = np.sort(rng.integers(1, 50, 23))[::-1]
    labels = [f"{fasttext_.LABEL}{i}" for i in rng.permutation(23)]
    model = SimpleNamespace(
        get_labels=lambda include_freq=False: (labels, counts) if include_freq else labels,
        get_words=lambda: ["</s>", "f1", "f0"],
        get_input_matrix=lambda: rng.standard_normal((3, 4)).astype("f"),
        get_output_matrix=lambda: np.random.default_rng(1).standard_normal((23, 4)).astype("f"),
    )
    problem = SimpleNamespace(n_classes=23, kind="sparse")
    system = fasttext_.HierarchicalSoftmax(problem, n_threads=1, seed=0, budget=1, folder=None)
    system.model = model
    X = sparse.csr_matrix(np.array([[1.0, 1.0]], "f"))[np.zeros(23, int)]
    assert np.exp(system.target_log_proba(X, np.arange(23))).sum() == pytest.approx(1.0, abs=1e-6)


# Environments


@pytest.fixture
def peers(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSOFTMAX_PEERS", str(tmp_path / "with blanks"))
    requirements = {"fastsoftmax": [], "broken": ["./no such folder"], "numpy-itself": ["numpy"], "other": ["zzz-none"]}
    monkeypatch.setattr(environments, "REQUIREMENTS", requirements)
    return tmp_path / "with blanks"


def test_peers_of_the_running_interpreter(peers):
    assert environments.python_of("fastsoftmax") == environments.python_of("numpy-itself") == sys.executable
    assert environments.python_of("other") is None
    assert "other: not installed" in environments.listing()


def test_an_environment_that_is_half_made_does_not_count(peers):
    (peers / "other" / "bin").mkdir(parents=True)
    (peers / "other" / "bin" / "python").symlink_to(sys.executable)
    assert environments.python_of("other") is None


def test_a_failure_is_told_and_the_others_are_made(peers, capsys, monkeypatch):
    done, run = [], subprocess.run

    def pip(command, **kwargs):
        """The real one for a requirement that fails without a network; else as if it had installed."""
        done.append(command)
        if "pip" in command and "./no such folder" not in command:
            return SimpleNamespace(returncode=0, stderr="", stdout="")
        if "-c" in command:
            return SimpleNamespace(returncode=0, stderr="", stdout='{"zzz-none": "1.0"}')
        return run(command, **kwargs)

    monkeypatch.setattr(environments.subprocess, "run", pip)
    assert cli.main(["bench", "peers", "--install", "broken", "other", "fastsoftmax"]) == 1
    shown = capsys.readouterr().out
    assert "broken: FAILED: pip ended with 1" in shown and "other: installed" in shown
    assert environments.python_of("broken") is None
    assert environments.python_of("other") == str(peers / "other" / "bin" / "python")
    assert cli.main(["bench", "peers"]) == 0
    shown = capsys.readouterr().out
    assert "zzz-none 1.0" in shown and "broken: not installed" in shown


def test_an_unknown_environment(peers, capsys):
    assert cli.main(["bench", "peers", "--install", "nonsense"]) == 1
    assert "got 'nonsense'" in capsys.readouterr().err
