"""What `fastsoftmax bench quality` asks of packages that need not be installed: stand-ins for them note it."""

import ctypes
import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from fastsoftmax.benches.quality import environments
from fastsoftmax.benches.quality.worker import memory
from fastsoftmax.benches.quality.worker.problem import Part, Problem
from fastsoftmax.benches.quality.worker.systems import SYSTEMS, gensim_


@pytest.fixture
def system(tmp_path):
    """Makes a system ready to be fitted to a problem of 2 classes."""

    def make(name, n_rows=6, n_threads=2):
        labels = np.arange(n_rows) % 2
        X = sparse.csr_matrix(np.eye(2, dtype=np.float32)[labels])
        part = Part(X, labels, np.arange(n_rows + 1))
        problem = Problem("p", "p", "sparse", 2, part, part)
        kind = SYSTEMS[name]
        return kind(problem, n_threads=n_threads, seed=0, budget=kind.budget, folder=tmp_path)

    return make


@pytest.fixture
def stand_in(monkeypatch):
    """Installs a module with these attributes, and its parents."""

    def install(name, **attributes):
        path = ""
        for part in name.split("."):
            path = f"{path}.{part}".lstrip(".")
            monkeypatch.setitem(sys.modules, path, ModuleType(path))
        vars(sys.modules[name]).update(attributes)

    return install


def test_fasttext_has_threads_enough_to_initialise_all_of_its_matrix(system, stand_in):
    asked = []
    stand_in("fasttext", train_supervised=lambda **options: asked.append(options["thread"]))
    for n_threads in (1, 2, 16):
        fitted = system("fastText softmax", n_threads=n_threads)
        fitted.prepare()
        fitted.fit()
    assert asked == [10, 10, 16]


def test_gensim_loses_no_word_of_a_long_text(system, stand_in):
    stand_in("gensim.models")
    prepared = system("gensim word2vec negative", n_rows=2 * gensim_.MAX_SENTENCE + 5)
    prepared.prepare()
    assert [len(sentence) for sentence in prepared.sentences] == [gensim_.MAX_SENTENCE] * 2 + [5]
    assert [int(word) for sentence in prepared.sentences for word in sentence] == prepared.problem.train.labels.tolist()


@pytest.mark.parametrize(
    ("name", "columns"), [("LIBLINEAR logistic", [-1.0]), ("LIBLINEAR Crammer-Singer", [-1.0, 1.0])]
)
def test_liblinear_has_one_column_of_weights_for_two_classes(name, columns, system):
    """Of the class that it met first, which is 1 here: feature 0 speaks against it."""
    fitted = system(name)
    w = np.outer([1.0, -1.0, 0.0], columns)
    pointer = w.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
    model = SimpleNamespace(nr_class=2, nr_feature=2, w=pointer, get_labels=lambda: [1, 0])
    fitted.data, fitted.library = None, SimpleNamespace(train=lambda data, options: model)
    fitted.fit()
    class_ids, _ = fitted.predict_topk(fitted.problem.test.X, 2)
    np.testing.assert_array_equal(class_ids[:2], [[0, 1], [1, 0]])
    if name == "LIBLINEAR logistic":
        log_proba = fitted.target_log_proba(fitted.problem.test.X, fitted.problem.test.labels)
        np.testing.assert_allclose(np.exp(log_proba), 1 / (1 + np.exp(-1)))


def test_paths_reach_vowpal_wabbit_whole(system, stand_in, tmp_path):
    seen = []

    def workspace(arg_list):
        seen.extend(arg_list)
        return SimpleNamespace(finish=lambda: None)

    stand_in("vowpalwabbit", Workspace=workspace)
    fitted = system("Vowpal Wabbit oaa")
    fitted.folder = tmp_path / "a folder"
    fitted.folder.mkdir()
    fitted.prepare()
    fitted.fit()
    assert seen[seen.index("-d") + 1] == str(tmp_path / "a folder" / "train.txt")
    assert seen[seen.index("--passes") + 1] == "10"


def test_omikuji_is_told_its_settings_and_reads_rows_without_entries(system, stand_in):
    asked = []

    class Model:
        default_hyper_param = staticmethod(lambda: SimpleNamespace(cluster_k=2, n_trees=3))
        train_on_data = staticmethod(lambda *given: asked.append(given) or Model())
        init_prediction_thread_pool = staticmethod(asked.append)
        predict = staticmethod(lambda row, top_k: [(1, 0.9), (0, 0.1)][: 1 + len(row)])

    stand_in("omikuji", Model=Model)
    fitted = system("omikuji Bonsai", n_rows=3)
    X = fitted.problem.train.X
    X.data[0] = 0
    X.eliminate_zeros()
    fitted.prepare()
    fitted.fit()
    (path, parameters, n_threads), text = asked[0], fitted.text.read_text()
    assert (path, n_threads) == (str(fitted.text), 2) and text == "3 2 2\n0\n1 1:1\n0 0:1\n"
    assert vars(parameters) == {"cluster_balanced": False, "cluster_k": 100, "max_depth": 3, "n_trees": 3}
    class_ids, proba = fitted.predict_topk(fitted.prepare_predictions(X), 2)
    np.testing.assert_array_equal(class_ids, [[1, -1], [1, 0], [1, 0]])
    assert proba is None and asked[1] == 2


def test_libmultilabel_is_told_the_threads_and_saves_its_weights_once(system, stand_in, tmp_path):
    stand_in("psutil", cpu_count=lambda logical=True: 64)
    stand_in("libmultilabel.linear", train_tree=lambda y, X, verbose: SimpleNamespace(predict_values=X.shape))
    fitted = system("LibMultiLabel tree")
    fitted.prepare()
    assert sys.modules["psutil"].cpu_count(logical=False) == 2
    fitted.fit()
    fitted.model.subtree_models, fitted.model._model_separated = [np.ones(9)], True
    fitted.save(tmp_path / "model")
    saved = pickle.loads((tmp_path / "model").read_bytes())
    assert saved.subtree_models is None and not saved._model_separated


def test_an_environment_that_cannot_be_made_is_reported_and_the_next_one_made(monkeypatch, tmp_path, capsys):
    made = []

    def make(folder, requirements):
        if folder.name == "torch":
            raise PermissionError(13, "Permission denied")
        made.append(folder.name)
        return ""

    monkeypatch.setattr(environments, "_make", make)
    assert environments.install(["torch", "pecos"]) == ["torch"] and made == ["pecos"]
    assert "torch: FAILED: [Errno 13] Permission denied" in capsys.readouterr().out


def test_memory_that_the_system_does_not_tell_is_none(monkeypatch):
    monkeypatch.setattr(memory, "AVAILABLE", True)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace())  # without malloc_trim
    with memory.Peak() as peak:
        pass
    assert peak.beyond(None) is None
