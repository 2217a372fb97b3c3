"""Weights and rows in memory-mapped files give the same results and take no memory."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_array_equal

from fastsoftmax import load
from fastsoftmax.runtime import allocation
from fastsoftmax.runtime.row_subset import RowSubset

MODELS = {
    "dense": {"direct": "dense"},
    "low rank": {"direct": None, "hidden_size": 6, "loss": "sampled_softmax"},
    "sparse": {"direct": "sparse", "hidden_size": 6},
    "early stopping": {"direct": "dense", "hidden_size": 6, "early_stopping": True},
}


def data(n_classes=20, n_rows=300):
    rng = np.random.default_rng(0)
    y = np.resize(np.arange(n_classes), n_rows)
    noise = sp.random_array((n_rows, 12), density=0.3, rng=rng, format="csr")
    return sp.csr_array(sp.hstack([sp.eye_array(n_classes, format="csr")[y], noise])).astype(np.float32), y


def classifier(**params):
    return flat_classifier(
        **{"n_negatives": 8, "batch_size": 32, "max_iter": 3, "n_threads": 1, "random_state": 3} | params
    )


def is_mapped(a):
    while isinstance(a, np.ndarray):
        a = a.base
    return a is not None and "mmap" in repr(getattr(a, "obj", a))


def assert_same(a, b):
    for name, value in a._model.arrays().items():
        assert_array_equal(value, b._model.arrays()[name], err_msg=name)
        assert value.strides == b._model.arrays()[name].strides


@pytest.fixture
def all_in_files(monkeypatch):
    monkeypatch.setattr(allocation, "SMALLEST_FILE", 1)


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_weights_in_files_are_the_same(all_in_files, tmp_path, params):
    X, y = data()
    model = classifier(**params, weights_dir=tmp_path).fit(X, y)
    assert_same(classifier(**params).fit(X, y), model)
    for name in {"W", "E", "V"} & model._model.parameters().keys():
        assert is_mapped(getattr(model._model, name)), name
    assert not list(tmp_path.iterdir())  # files have no names
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_same(model, other)
    model.save(tmp_path / "model")
    assert_same(model, load(tmp_path / "model"))
    assert load(tmp_path / "model").weights_dir is None
    assert_same(model.partial_fit(X, y), load(tmp_path / "model").partial_fit(X, y))


@pytest.mark.parametrize("make_X", [sp.csr_array, sp.csr_array.toarray], ids=["csr", "dense"])
@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_a_mapped_file_predicts_and_trains(all_in_files, tmp_path, params, make_X):
    X, y = data()
    model = classifier(**params).fit(make_X(X), y)
    model.save(tmp_path / "model")
    mapped = load(tmp_path / "model", memory_map=True)
    for name, a in mapped._model.arrays().items():
        assert is_mapped(a) and not a.flags.writeable, name
    for a, b in zip(mapped.predict_topk(make_X(X), 3), model.predict_topk(make_X(X), 3), strict=True):
        assert_array_equal(a, b)
    assert_array_equal(mapped.predict_proba(make_X(X)), model.predict_proba(make_X(X)))
    before = (tmp_path / "model").read_bytes()
    mapped.set_params(weights_dir=tmp_path).partial_fit(make_X(X), y)
    assert_same(model.partial_fit(make_X(X), y), mapped)
    assert is_mapped(mapped._model.bias) and (tmp_path / "model").read_bytes() == before


def test_damage_beside_the_weights_is_seen(tmp_path):
    X, y = data()
    classifier(direct="dense").fit(X, y).save(tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    labels = np.arange(20).tobytes()
    assert content.count(labels) == 1
    (tmp_path / "model").write_bytes(content.replace(labels, np.arange(1, 21).tobytes()))
    with pytest.raises(ValueError, match="a checksum is wrong"):
        load(tmp_path / "model", memory_map=True)


def test_disk_space_is_forecast(tmp_path):
    X, y = data()
    X = sp.csr_array((X.data, X.indices, X.indptr), shape=(X.shape[0], 2**31 - 1))
    with pytest.raises(OSError, match=r"weights_dir=.* needs [\d.]+ GiB of disk .* are free there"):
        classifier(direct=None, hidden_size=10**5, weights_dir=tmp_path).fit(X, y)
    with pytest.raises(NotADirectoryError, match="weights_dir must be a folder, got"):
        classifier(weights_dir=tmp_path / "missing").fit(X, y)


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_held_out_rows_are_not_copied(monkeypatch, params):
    """A RowSubset gives what a copy of the rows gives."""
    X, y = data()
    models = []
    for copies in (True, False):
        take = (lambda X, ids: X[ids]) if copies else RowSubset
        monkeypatch.setattr("fastsoftmax.training.training.RowSubset", take)
        models.append([classifier(**params).fit(rows, y) for rows in (X, X.toarray())])
    for a, b in zip(*models, strict=True):
        assert_same(a, b)
        assert a.validation_curve_ == b.validation_curve_ and a.calibration_ == b.calibration_


LIMITED = """
import re, resource, sys
import numpy as np, scipy.sparse as sp
from fastsoftmax import SoftmaxClassifier, load
from fastsoftmax.losses import SampledSoftmax

def limit_memory(n_bytes):
    with open("/proc/self/status") as file:
        used = int(re.search(r"VmData:\\s+(\\d+)", file.read())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (used + n_bytes, used + n_bytes))

def warm_up(**params):
    X, y = sp.random_array((400, 50), density=0.2, format="csr", dtype=np.float32), np.arange(400) % 40
    for rows in (X, X.toarray()):
        SoftmaxClassifier(max_iter=1, **params).fit(rows, y).predict(rows)

folder = sys.argv[1]
"""


def run(program, folder):
    return subprocess.run([sys.executable, "-c", LIMITED + program, str(folder)], capture_output=True, text=True)


STREAM = """
params = {"direct": "dense", "loss": "softmax", "early_stopping": True, "n_threads": 2, "random_state": 0}
warm_up(**params)
rows = {name: np.load(f"{folder}/{name}.npy", mmap_mode="r") for name in ("data", "indices", "indptr", "dense", "y")}
X = sp.csr_array((rows["data"], rows["indices"], rows["indptr"]), shape=(len(rows["y"]), 1000))
limit_memory(100 << 20)
for given in (X, rows["dense"]):
    model = SoftmaxClassifier(max_iter=1, batch_size=1024, **params).fit(given, rows["y"])
    model.partial_fit(given, rows["y"])
    assert (model.predict(given) >= 0).all()
try:
    X.copy()
except MemoryError:
    print("a copy does not fit")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory")
def test_rows_in_files_larger_than_memory(tmp_path):
    """Training with rows held out, partial_fit and predictions take 240 MB of CSR rows and 240 MB of dense rows in 100 MiB."""
    rng, n_rows, per_row = np.random.default_rng(0), 60_000, 500
    np.save(tmp_path / "data.npy", rng.random(n_rows * per_row, dtype=np.float32))
    np.save(tmp_path / "indices.npy", rng.integers(0, 1000, n_rows * per_row, dtype=np.int32))
    np.save(tmp_path / "indptr.npy", np.arange(n_rows + 1, dtype=np.int32) * per_row)
    np.save(tmp_path / "dense.npy", rng.random((n_rows, 1000), dtype=np.float32))
    np.save(tmp_path / "y.npy", rng.integers(0, 5, n_rows))
    done = run(STREAM, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "a copy does not fit" in done.stdout


N_CLASSES, N_FEATURES = 300_000, 400_000
WEIGHTS = f"""
warm_up(loss=SampledSoftmax(), direct=None, hidden_size=8)
rng = np.random.default_rng(0)
X = sp.random_array((300, {N_FEATURES}), density=20 / {N_FEATURES}, format="csr", rng=rng, dtype=np.float32)
y = rng.integers(0, {N_CLASSES}, 300)
params = dict(loss="sampled_softmax", direct=None, hidden_size=100, random_state=0, n_threads=2, working_memory=16 << 20)
limit_memory(120 << 20)
model = SoftmaxClassifier(**params, weights_dir=folder).partial_fit(X, y, classes=np.arange({N_CLASSES}))
model.calibrate(X[:60], y[:60])
model.save(folder + "/model")
mapped = load(folder + "/model", memory_map=True)
assert (mapped.predict_topk(X[:50], 3)[0] == model.predict_topk(X[:50], 3)[0]).all()
np.save(folder + "/V.npy", model.hidden_coef_[y])
try:
    SoftmaxClassifier(**params).partial_fit(X, y, classes=np.arange({N_CLASSES}))
except MemoryError:
    print("it does not fit")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory")
def test_weights_larger_than_memory(tmp_path):
    """280 MB of weights are trained, calibrated, saved, mapped and used for predictions in 120 MiB."""
    done = run(WEIGHTS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "it does not fit" in done.stdout
    rng = np.random.default_rng(0)
    X = sp.random_array((300, N_FEATURES), density=20 / N_FEATURES, format="csr", rng=rng, dtype=np.float32)
    y = rng.integers(0, N_CLASSES, 300)
    params = {"loss": "sampled_softmax", "direct": None, "hidden_size": 100, "working_memory": 16 << 20}
    model = flat_classifier(**params, random_state=0, n_threads=2)
    model.partial_fit(X, y, classes=np.arange(N_CLASSES)).calibrate(X[:60], y[:60])
    assert_array_equal(np.load(tmp_path / "V.npy"), model.hidden_coef_[y])
