"""Processes that are forked after OpenMP ran: they run on one thread, and do not hang."""

import multiprocessing
import sys

import numpy as np
import pytest

from fastsoftmax import SoftmaxClassifier, linear_cross_entropy, logsumexp
from fastsoftmax.runtime import threads


def problem():
    rng = np.random.default_rng(0)
    return rng.standard_normal((64, 16)), rng.standard_normal((3000, 16)), rng.integers(0, 3000, 64)


def in_child(queue):
    X, W, target = problem()
    loss = linear_cross_entropy(X, W, target, n_threads=4)
    lse = logsumexp(np.zeros((8, 100_000)), axis=1, n_threads=4)
    classifier = SoftmaxClassifier(max_iter=1, n_threads=4).fit(X, target % 5)
    queue.put((loss, lse[0], classifier.predict(X).shape, threads.resolve(4)))


def test_kernels_run_in_a_forked_process():
    """The parent's threads do not survive the fork; a child that waits for them would never end."""
    expected = linear_cross_entropy(*problem(), n_threads=3)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_child, args=(queue,))
    child.start()
    try:
        assert queue.get(timeout=60) == (expected, np.log(100_000), (64,), 1)
        child.join(timeout=60)
        assert child.exitcode == 0
    finally:
        child.kill()


FORK = """
import multiprocessing, sys, threading
import numpy as np, scipy.sparse as sp
import fastsoftmax as fs
rng = np.random.default_rng(0)
X = sp.random_array((600, 300), density=0.05, format="csr", rng=rng, dtype=np.float32)
y = rng.integers(0, 400, 600)
W = rng.standard_normal((5000, 64)).astype(np.float32)

def work(seed):
    A = rng.standard_normal((300, 300))
    A @ A  # BLAS of the process
    fs.logsumexp(np.zeros((8, 100_000)), axis=1, n_threads=2)
    fs.linear_cross_entropy(W[:100], W, np.arange(100), return_grad=True, n_threads=2)
    total = 0.0
    for params in (dict(hidden_size=64, direct=None), dict(direct="sparse"), dict(direct="sparse", hidden_size=32)):
        model = fs.SoftmaxClassifier(random_state=seed, max_iter=2, n_threads=2, **params).fit(X, y)
        total += float(model.target_log_proba(X, y).sum()) + float(model.predict_topk(X, 3)[1].sum())
    return total
"""
POOLS = """
expected = [work(seed) for seed in range(2)]  # OpenMP and BLAS have run
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map_async(work, range(2)).get(timeout=100) == expected
assert work(0) == expected[0]
from joblib import Parallel, delayed
for backend in ("loky", "multiprocessing", "threading"):
    assert Parallel(n_jobs=2, backend=backend, timeout=100)(delayed(work)(seed) for seed in range(2)) == expected, backend
from sklearn.model_selection import GridSearchCV
search = GridSearchCV(fs.SoftmaxClassifier(max_iter=2, random_state=0), {"batch_size": [50, 100]}, cv=2, n_jobs=2)
search.fit(X, y % 5).predict(X)
"""
WHILE_TRAINING = """
expected = work(0)
stop = threading.Event()
def train():
    while not stop.is_set():
        fs.SoftmaxClassifier(hidden_size=64, direct=None, max_iter=5, random_state=0).fit(X, y)
        fs.logsumexp(np.zeros((50, 100_000)), axis=1)
thread = threading.Thread(target=train, daemon=True)
thread.start()
context = multiprocessing.get_context("fork")
def child(queue):
    queue.put(work(0))
for _ in range(6):
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    process.join(30)
    assert process.exitcode == 0, process.exitcode
    assert queue.get() == expected
stop.set()
thread.join(60)
assert work(0) == expected
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks with threads are safe on Linux alone")
@pytest.mark.parametrize("how", [POOLS, WHILE_TRAINING], ids=["pools", "training"])
def test_fork_after_openmp_ran(how, run_python):
    """Children run on one thread and compute the same bits; the parent keeps all of its threads."""
    run_python(FORK + how, timeout=180, JOBLIB_START_METHOD="fork", OPENBLAS_NUM_THREADS="2")
