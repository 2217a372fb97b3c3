"""The same seed gives the same bits in another process."""

SAME_SEED = """
import hashlib, sys
import numpy as np, scipy.sparse as sp
from fastsoftmax import SoftmaxClassifier
from fastsoftmax.losses import SampledSoftmax
rng = np.random.default_rng(0)
X = sp.random_array((3000, 400), density=0.03, format="csr", rng=rng, dtype=np.float32)
y = rng.integers(0, 600, 3000)
n_threads = int(sys.argv[1]) or None
low_rank = dict(direct=None, hidden_size=64)
for params in (
    dict(loss="softmax", **low_rank), dict(loss="softmax", direct="dense"), dict(direct="sparse"),
    dict(loss=SampledSoftmax("multi_index", n_negatives=100), **low_rank),
):
    model = SoftmaxClassifier(max_iter=2, random_state=0, n_threads=n_threads, **params).fit(X, y)
    digest = hashlib.sha256()
    for name, a in sorted(model._model.arrays().items()):
        digest.update(np.ascontiguousarray(a).tobytes())
    digest.update(model.predict_proba(X[:100]).tobytes())
    print(digest.hexdigest())
"""


def test_same_seed_same_bits_in_another_process(run_python):
    """The other process has other numbers of threads of OpenMP and BLAS, and other hashes of strings."""
    one = run_python(SAME_SEED, 1, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", PYTHONHASHSEED="1")
    assert len(set(one.split())) == 4
    assert run_python(SAME_SEED, 3, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2", PYTHONHASHSEED="2") == one
    assert run_python(SAME_SEED, 0, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="3", PYTHONHASHSEED="3") == one
