"""Ctrl-C soon ends what runs, and what it ends stays usable."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastsoftmax as fs

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
    """Each of these calls takes minutes but ends soon after the signal; what was interrupted can be used."""
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
    """Signals are seen between blocks, so the rest of the array stays as it was."""
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
