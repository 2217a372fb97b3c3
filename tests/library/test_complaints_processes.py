"""What users of other libraries complain of most, as test_complaints.py: what takes processes of its own."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastsoftmax as fs


def run(program, *arguments, timeout=120, **environment):
    """What a fresh Python prints; an error where it fails, or hangs."""
    command = [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)]
    return subprocess.run(
        command, env=os.environ | environment, timeout=timeout, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


# -- randomness --

SAME_SEED = """
import hashlib, sys
import numpy as np, scipy.sparse as sp
from fastsoftmax import SoftmaxClassifier
rng = np.random.default_rng(0)
X = sp.random_array((3000, 400), density=0.03, format="csr", rng=rng, dtype=np.float32)
y = rng.integers(0, 600, 3000)
n_threads = int(sys.argv[1]) or None
low_rank = dict(direct=None, hidden_size=64)
for params in (
    dict(loss="softmax", **low_rank), dict(loss="softmax", direct="dense"), dict(direct="sparse"),
    dict(loss="sampled_softmax", sampler="multi_index", n_negatives=100, **low_rank),
    dict(loss="sampled_softmax", n_negatives=100, direct="sparse", hidden_size=64, joint=True),
):
    model = SoftmaxClassifier(max_iter=2, random_state=0, n_threads=n_threads, **params).fit(X, y)
    digest = hashlib.sha256()
    for name, a in sorted(model._model.arrays().items()):
        digest.update(np.ascontiguousarray(a).tobytes())
    digest.update(model.predict_proba(X[:100]).tobytes())
    print(digest.hexdigest())
"""


def test_same_seed_same_bits_in_another_process():
    """With other numbers of threads of OpenMP and BLAS, and other hashes of strings."""
    one = run(SAME_SEED, 1, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", PYTHONHASHSEED="1")
    assert len(set(one.split())) == 5
    assert run(SAME_SEED, 3, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2", PYTHONHASHSEED="2") == one
    assert run(SAME_SEED, 0, OMP_NUM_THREADS="2", PYTHONHASHSEED="3") == one


# -- interruption --

INTERRUPTED = """
import sys, time
import numpy as np, scipy.sparse as sp
import fastsoftmax as fs
rng = np.random.default_rng(0)
n, k, d = 100_000, 200_000, 64
X, W = rng.standard_normal((n, d), np.float32), rng.standard_normal((k, d), np.float32)
S = sp.csr_array((np.ones(8 * n, np.float32), rng.integers(0, 5000, 8 * n), np.arange(0, 8 * n + 1, 8)), (n, 5000))
y = np.resize(np.arange(k // 4), n)
sampled = fs.SoftmaxClassifier(hidden_size=64, direct=None, max_iter=10**6, calibration_fraction=0.0)
support = fs.SoftmaxClassifier(direct="sparse", max_iter=10**6)
work = {
    "fit, sampled": lambda: sampled.fit(S, y),
    "fit, sparse": lambda: support.fit(S, y),
    "predict_topk": lambda: [sampled.predict_topk(S, 5) for _ in range(10)],
    "predict_topk, sparse": lambda: [support.predict_topk(S, 5) for _ in range(100)],
    "linear_topk": lambda: fs.linear_topk(X, W, 5),
    "linear_logsumexp": lambda: fs.linear_logsumexp(X, W),
    "linear_cross_entropy": lambda: fs.linear_cross_entropy(X, W, y, return_grad=True),
}
for name in work:
    print(name, flush=True)
    try:
        work[name]()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    else:
        print("finished", flush=True)
for model in (sampled, support):
    assert np.isfinite(model.predict_topk(S[:10], 3)[1]).all()
    model.partial_fit(S[:500], y[:500])
assert np.isfinite(fs.linear_cross_entropy(X[:100], W, y[:100]))
print("usable")
"""


def test_ctrl_c():
    """Each of these takes minutes, and ends soon after the signal; what was interrupted can be used."""
    waited = {}
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True) as process:
        try:
            while (name := process.stdout.readline()) != "usable\n":
                time.sleep(1.5 if name.startswith("fit") else 0.6)
                sent = time.monotonic()
                process.send_signal(signal.SIGINT)
                assert process.stdout.readline() == "interrupted\n", name
                waited[name] = time.monotonic() - sent
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
    assert len(waited) == 7
    assert max(waited.values()) < 5, waited  # a tenth of a second where no other process wants the CPUs


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1 << 12, 1 << 17), (1 << 29,), (1 << 25, 1 << 4)], ids=str)
def test_ctrl_c_in_large_arrays(shape):
    """Signals are seen between blocks: the rest of the array stays as it was."""
    x = np.zeros(shape, np.float32)

    def interrupt(*_):
        raise KeyboardInterrupt

    for n_threads in (1, 2):
        x.fill(7)
        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        try:
            with pytest.raises(KeyboardInterrupt):
                fs.softmax(x, axis=-1, out=x, n_threads=n_threads)
        finally:
            signal.signal(signal.SIGALRM, before)
        assert (x.reshape(-1)[[0, -1]] == 7).any()
        x.fill(7)
        assert_allclose(fs.logsumexp(x, n_threads=n_threads), 7 + np.log(x.size), rtol=1e-6)


# -- processes --

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
    fs.linear_cross_entropy(W[:500], W, np.arange(500), return_grad=True, n_threads=2)
    total = 0.0
    for params in (dict(hidden_size=64, direct=None), dict(direct="sparse"), dict(direct="sparse", hidden_size=32)):
        model = fs.SoftmaxClassifier(random_state=seed, max_iter=2, n_threads=2, **params).fit(X, y)
        total += float(model.target_log_proba(X, y).sum()) + float(model.predict_topk(X, 3)[1].sum())
    return total
"""
MULTIPROCESSING = """
expected = [work(seed) for seed in range(4)]  # OpenMP and BLAS have run
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map_async(work, range(4)).get(timeout=100) == expected
assert work(0) == expected[0]
"""
JOBLIB = """
from joblib import Parallel, delayed
expected = [work(seed) for seed in range(4)]
for backend in ("loky", "multiprocessing", "threading"):
    assert Parallel(n_jobs=2, backend=backend, timeout=100)(delayed(work)(seed) for seed in range(4)) == expected, backend
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
        fs.logsumexp(np.zeros((200, 100_000)), axis=1)
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
@pytest.mark.parametrize(
    "how", [MULTIPROCESSING, JOBLIB, WHILE_TRAINING], ids=["multiprocessing", "joblib", "training"]
)
def test_fork_after_openmp_ran(how):
    """Children run on one thread, and come to the same bits; the parent goes on with all of its own."""
    run(FORK + how, timeout=180, JOBLIB_START_METHOD="fork")
