"""Eight Python threads at once: kernels run without the interpreter's lock, and where there is none, all else does, too."""

import subprocess
import sys
import sysconfig
import threading

import numpy as np
import pytest
from language_twin import sentences
from scipy import sparse

from fastsoftmax import LanguageModel, OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression

N_THREADS = 8
MODELS = {
    "dense": lambda: SoftmaxClassifier(direct="dense", hidden_size=None, max_iter=2, random_state=0),
    "sparse and low rank": lambda: SoftmaxClassifier(direct="sparse", hidden_size=8, max_iter=2, random_state=0),
    "sampled": lambda: SoftmaxClassifier(loss="sampled_softmax", hidden_size=8, max_iter=2, random_state=0),
    "regression": lambda: SoftmaxRegression(),
    "one against all": lambda: OneVsAllClassifier(),
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = sparse.random_array((400, 80), density=0.1, format="csr", dtype=np.float32, rng=rng)
    return X, rng.integers(0, 30, 400)


@pytest.fixture(autouse=True)
def threads_take_turns_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def in_threads(function):
    """What `function` of the thread's number returns in each of N_THREADS threads, which begin at the same time."""
    begin, results, errors = threading.Barrier(N_THREADS), [None] * N_THREADS, []

    def run(number):
        begin.wait()
        try:
            results[number] = function(number)
        except BaseException as error:  # to be raised in the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def predictions(model, X):
    arrays = [model.predict(X), model.decision_function(X)]
    if hasattr(model, "predict_topk"):
        arrays += model.predict_topk(X, 5)
    if hasattr(model, "predict_proba"):
        arrays.append(model.predict_proba(X))
    return arrays


def assert_same(found, expected):
    for arrays in found:
        for array, other in zip(arrays, expected, strict=True):
            np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("kind", MODELS)
def test_each_fits_a_model(rows, kind):
    expected = predictions(MODELS[kind]().fit(*rows), rows[0])
    assert_same(in_threads(lambda _: predictions(MODELS[kind]().set_params(n_threads=2).fit(*rows), rows[0])), expected)


@pytest.mark.parametrize("kind", MODELS)
def test_all_predict_with_one_model(rows, kind):
    model = MODELS[kind]().fit(*rows)
    parts = [rows[0][number::N_THREADS] for number in range(N_THREADS)]
    expected = [predictions(model, part) for part in parts]
    answers = in_threads(lambda number: [predictions(model, parts[number]) for _ in range(10)])
    for found, one in zip(answers, expected, strict=True):
        assert_same(found, one)


def test_all_ask_one_predictor(rows):
    predictor = MODELS["sparse and low rank"]().fit(*rows).predictor()
    parts = [rows[0][number::N_THREADS] for number in range(N_THREADS)]
    expected = [predictor.predict_topk(part, 3) for part in parts]
    answers = in_threads(lambda number: [predictor.predict_topk(parts[number], 3) for _ in range(50)])
    for found, one in zip(answers, expected, strict=True):
        assert_same(found, one)


def test_all_ask_one_language_model():
    model = LanguageModel(order=3, hidden_size=8, cache=True, max_iter=1, random_state=0).fit(sentences(300))
    contexts = [f"w{number} w{number + 1}" for number in range(N_THREADS)]
    expected = [model.predict_topk([context], 3) for context in contexts]
    answers = in_threads(lambda number: [model.predict_topk([contexts[number]], 3) for _ in range(10)])
    for found, one in zip(answers, expected, strict=True):
        assert_same(found, one)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has the lock")
def test_the_import_does_not_bring_the_lock_back():
    program = """
import importlib, pkgutil, sys
import fastsoftmax
from fastsoftmax import kernels, runtime
for package in kernels, runtime:
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(package.__name__ + "." + module.name)
assert not sys._is_gil_enabled()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
