"""Weights in 16 or 8 bits, for prediction."""

import json
import pickle
import tracemalloc

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from covering import ISAS, covering
from flat_options import flat_classifier, plain_params
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import save_file

from fastsoftmax import load
from fastsoftmax.estimators import saving
from fastsoftmax.files import model_file, tensor_file
from fastsoftmax.model.compact import DTYPES, STORAGES, CompactMatrix, CompactModel, from_bfloat16, to_bfloat16
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.model.pairs_runner import PairsRunner
from fastsoftmax.model.runner import Runner

TERMS = ["dense", "sparse", "low rank", "dense, low rank", "sparse, low rank"]
N_FEATURES = 50


def made(terms, n_classes=77, hidden_size=21, dtype=np.float32, feature_major=True, seed=0):
    """A Model with weights of all sizes."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return (rng.standard_normal(shape) * np.exp(rng.standard_normal(shape))).astype(dtype)

    W = E = V = pattern = None
    if "dense" in terms:
        W = draw(n_classes, N_FEATURES)
        W = np.asfortranarray(W) if feature_major else W
    elif "sparse" in terms:
        pairs = sp.random_array((n_classes, N_FEATURES), density=0.2, format="csc", rng=rng)
        pairs.sort_indices()
        W, pattern = draw(pairs.nnz), Pairs.of(pairs)
    if "low rank" in terms:
        E, V = draw(N_FEATURES, hidden_size), draw(n_classes, hidden_size)
        V[3] = 0
    return Model(W=W, E=E, V=V, bias=draw(n_classes), pairs=pattern)


def twin_logits(model, X, storage):
    """The logits of the twin, in float64."""
    X = np.asarray(X.toarray() if sp.issparse(X) else X, np.float64)
    z = np.tile(model.bias.astype(np.float64), (len(X), 1))
    if model.pairs is not None:
        columns = [np.zeros(model.n_classes) for _ in range(N_FEATURES)]
        for j, column in enumerate(columns):
            at = slice(model.pairs.indptr[j], model.pairs.indptr[j + 1])
            column[model.pairs.class_ids[at]] = reference.compact(model.W[None, at], storage)[0]
        z += X @ np.array(columns)
    elif model.W is not None:
        by_feature = model.E is not None or model.W.flags.f_contiguous
        z += X @ (reference.compact(model.W.T, storage) if by_feature else reference.compact(model.W, storage).T)
    if model.E is not None:
        z += X @ reference.compact(model.E, storage) @ reference.compact(model.V, storage).T
    return z


def runner(model, X, n_threads=2):
    kind = PairsRunner if model.pairs is not None and model.E is None else Runner
    return kind(model, X, n_threads=n_threads)


@covering(
    {"isa": ISAS, "terms": [*TERMS, "dense, class-major"], "dtype": [np.float32, np.float64], "storage": STORAGES}
)
def test_against_the_twin(isa, sparse_X, terms, dtype, storage):
    """All predictions agree, for batches that are dot products, for those that are not, and for dense X."""
    model = made(terms, dtype=dtype, feature_major="class" not in terms)
    compact = CompactModel.of(model, storage)
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    for n_rows in (0, 1, 3, 4, 5, 40):
        X = sparse_X(n_rows, N_FEATURES, dtype)
        expected = twin_logits(model, X, storage)
        assert np.abs(expected).max(initial=0) < 1e4
        for x in (X, X.toarray()):
            r = runner(compact, x)
            logits = r.logits(np.empty(expected.shape, dtype))
            assert_allclose(logits, expected, atol=tolerance, rtol=tolerance)
            log_proba = reference.log_softmax(expected, axis=1) if n_rows else expected
            _, found = r.topk(7)
            assert_allclose(found, -np.sort(-log_proba, axis=1)[:, :7], atol=tolerance, rtol=tolerance)
            target = np.arange(n_rows)
            assert_allclose(r.nll(target), -log_proba[target, target], atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("storage", STORAGES)
def test_more_classes_than_a_direct_map_has(isa, sparse_X, storage):
    """A hash holds the touched classes, with biases beside the weights and without."""
    model = made("sparse", n_classes=40_000)
    compact = CompactModel.of(model, storage)
    for n_rows in (2, 60):
        X = sparse_X(n_rows, N_FEATURES, np.float32)
        log_proba = reference.log_softmax(twin_logits(model, X, storage), axis=1)
        _, found = runner(compact, X).topk(5)
        assert_allclose(found, -np.sort(-log_proba, axis=1)[:, :5], atol=1e-4, rtol=1e-4)


@covering(
    {"isa": ISAS, "storage": STORAGES, "hidden_size": [1, 3, 8, 37, 64, 700], "n_classes": [1, 2, 5, 7, 9, 97, 1500]}
)
def test_shapes(isa, storage, n_classes, hidden_size):
    rng = np.random.default_rng(0)
    V, bias = rng.standard_normal((n_classes, hidden_size), dtype="f"), rng.standard_normal(n_classes, dtype="f")
    compact = CompactModel.of(Model(W=V, bias=bias), storage)
    for n_rows in (1, 2, 9, 35):
        X = rng.standard_normal((n_rows, hidden_size), dtype="f")
        logits = Runner(compact, X, n_threads=3).logits(np.empty((n_rows, n_classes), "f"))
        assert_allclose(logits, X @ reference.compact(V, storage).T + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_every_finite_number_widens_exactly(isa, storage):
    data = np.arange(1 << 16, dtype=np.uint16).view(DTYPES[storage])
    values = data.astype(np.float32) if storage == "float16" else from_bfloat16(data)
    data, values = data[np.isfinite(values)], values[np.isfinite(values)]
    n_columns = 16
    data, values = (np.append(a, np.zeros(-len(a) % n_columns, a.dtype)).reshape(-1, n_columns) for a in (data, values))
    W = CompactMatrix(storage, data, None, np.float32)
    model = CompactModel(storage, W=W, bias=np.zeros(len(data), np.float32))
    for rows in (np.eye(n_columns, dtype="f"), np.eye(n_columns, dtype="f")[[5]]):
        with np.errstate(over="ignore"):
            logits = Runner(model, rows, n_threads=1).logits(np.empty((len(rows), len(data)), "f"))
        expected = values.T if len(rows) > 1 else values.T[[5]]
        assert_array_equal(logits, expected)


@pytest.mark.parametrize("storage", STORAGES)
def test_rounding(storage):
    rng = np.random.default_rng(0)
    a = (rng.standard_normal((60, 50)) * np.exp(3 * rng.standard_normal((60, 50)))).astype(np.float32)
    a[0], a[1, 1:], a[2, :3] = 0, 1e-7, [1e-42, -3e-8, 65504]
    compact = CompactMatrix.of(a, storage)
    assert compact.data.dtype == DTYPES[storage] and compact.widened().dtype == np.float32
    assert_allclose(compact.widened(), reference.compact(a, storage), rtol=1e-7)
    if storage == "int8":
        unit = np.abs(a).max(axis=1, keepdims=True) / 127
        assert (np.abs(compact.widened() - a) <= unit * 0.5001).all() and np.abs(compact.data).max() == 127
    assert_array_equal(CompactMatrix.of(a.T, storage, feature_major=True).widened(), compact.widened().T)


def test_bfloat16_rounds_as_torch_does():
    torch = pytest.importorskip("torch")
    bits = np.random.default_rng(0).integers(0, 1 << 32, 100_000, dtype=np.uint32)
    bits[:4] = [0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF]  # ties, and beside them
    a = bits.view(np.float32)
    a = a[np.isfinite(a)]
    expected = torch.from_numpy(a).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    assert_array_equal(to_bfloat16(a), expected)


# -- of a classifier --

PARAMS = [
    {"direct": "dense"},
    {"direct": "sparse"},
    {"direct": None, "hidden_size": 8},
    {"direct": "dense", "hidden_size": 8},
    {"direct": "sparse", "hidden_size": 8, "n_hidden_features": 20},
]


def trained(params, make_X=sp.csr_array, **more):
    rng = np.random.default_rng(0)
    X = make_X(sp.random_array((300, 40), density=0.2, rng=rng, dtype=np.float32))
    y = np.array([f"label {i}" for i in range(30)])[np.arange(300) % 30]
    return flat_classifier(random_state=0, max_iter=3, n_threads=2, **params, **more).fit(X, y), X, y


def weights(classifier):
    names = ("coef_", "embedding_", "hidden_coef_", "intercept_")
    arrays = [getattr(classifier, name) for name in names if hasattr(classifier, name)]
    return [a.toarray() if sp.issparse(a) else a for a in arrays]


@covering({"params": PARAMS, "make_X": [sp.csr_array, sp.coo_array.toarray], "storage": STORAGES}, strength=2)
def test_classifier(tmp_path, params, make_X, storage):
    classifier, X, y = trained(params, make_X)
    compact = classifier.compressed(storage)
    assert (classifier.storage_, compact.storage_) == (None, storage)
    tolerance = 0.02 if storage == "int8" else 0.01
    for a, b in zip(weights(classifier), weights(compact), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert np.abs(a - b).max() <= tolerance * np.abs(a).max()
    assert_allclose(compact.predict_proba(X), classifier.predict_proba(X), atol=0.05)
    assert (compact.predict(X) == classifier.predict(X)).mean() > 0.8
    assert 0.5 < compact.target_log_proba(X, y).mean() / classifier.target_log_proba(X, y).mean() < 2
    assert compact.predict_topk(X, 40, exclude=y[:, None])[0].shape == (300, 40)
    other_kind = X.toarray() if sp.issparse(X) else sp.csr_array(X)
    assert_allclose(compact.predict_proba(other_kind), compact.predict_proba(X), rtol=1e-4, atol=1e-6)
    path = tmp_path / "model"
    compact.save(path)
    for other in (load(path), pickle.loads(pickle.dumps(compact))):
        assert other.storage_ == storage and plain_params(other) == plain_params(classifier)
        for a, b in zip(weights(compact), weights(other), strict=True):
            assert_array_equal(a, b)
        assert_array_equal(other.predict_proba(X), compact.predict_proba(X))
    for method, call in {"partial_fit": compact.partial_fit, "calibrate": compact.calibrate}.items():
        with pytest.raises(
            TypeError, match=rf"{method} needs weights in full, this classifier is compressed \({storage}"
        ):
            call(X, y)
    with pytest.raises(TypeError, match="compressed needs weights in full"):
        compact.compressed()
    before = weights(classifier)
    compact.fit(X, y)
    assert compact.storage_ is None
    for a, b in zip(before, weights(compact), strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize(("storage", "share"), [("float16", 0.5), ("bfloat16", 0.5), ("int8", 0.25)])
def test_memory_and_file(tmp_path, storage, share):
    rng = np.random.default_rng(0)
    classifier, *_ = trained({"direct": None, "hidden_size": 8})
    V, E = rng.standard_normal((50_000, 64), dtype="f"), rng.standard_normal((40, 64), dtype="f")
    classifier._model = Model(E=E, V=V, bias=np.zeros(50_000, np.float32))
    classifier.classes_, classifier.hidden_size_ = np.arange(50_000), 64
    compact = classifier.compressed(storage)
    size = sum(a.nbytes for a in compact._model.arrays().values())
    assert size <= share * V.nbytes + 3 * 4 * 50_000
    compact.save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_size <= size + 8 * 50_000 + 10_000
    X = sp.random_array((1000, 40), density=0.2, format="csr", dtype=np.float32, rng=rng)
    compact.predict_topk(X[:2])
    tracemalloc.start()
    try:
        compact.predict_topk(X[:1])
        few = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        compact.predict(X)
        assert few < V.nbytes / 4 and tracemalloc.get_traced_memory()[1] < V.nbytes
    finally:
        tracemalloc.stop()


def test_the_original_trains_on_alone():
    classifier, X, y = trained({"direct": None, "hidden_size": 8})
    compact = classifier.compressed("int8")
    before, n_epochs = compact.predict_proba(X), len(compact.loss_curve_)
    classifier.partial_fit(X, y)
    assert_array_equal(compact.predict_proba(X), before)
    assert len(compact.loss_curve_) == n_epochs


@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_same_for_any_number_of_threads(n_threads):
    compact = CompactModel.of(made("dense, low rank", n_classes=5000), "int8")
    X = sp.random_array((33, N_FEATURES), density=0.3, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    for rows in (X, X[:2]):
        for a, b in zip(runner(compact, rows, n_threads).topk(9), runner(compact, rows, 2).topk(9), strict=True):
            assert_array_equal(a, b)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("feature_major", [False, True])
def test_parts_of_a_matrix(storage, feature_major):
    a = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    matrix = CompactMatrix.of(a, storage, feature_major)
    rows, columns = np.array([6, 0, 3, 3]), np.array([4, 1, 0, 4])
    assert_array_equal(matrix[rows], matrix.widened()[rows])
    assert_array_equal(matrix[rows, columns], matrix.widened()[rows, columns])


@pytest.mark.parametrize("params", [{"direct": "dense"}, {"direct": None, "hidden_size": 5}])
@pytest.mark.parametrize("make_X", [sp.csr_array, lambda X: X.toarray()], ids=["CSR", "dense"])
def test_masses_of_classes(params, make_X):
    classifier, X, y = trained(params, make_X)
    codes = np.searchsorted(classifier.classes_, y)
    masses = sp.csr_array(np.eye(len(classifier.classes_))[codes] + 0.1)
    found = classifier.compressed("float16").target_log_proba(X, masses)
    assert_allclose(found, classifier.target_log_proba(X, masses), atol=0.02)


def test_refused():
    classifier, *_ = trained({"direct": "dense"})
    for params in ({"direct": "dense"}, {"direct": "sparse"}):
        with pytest.raises(TypeError, match="prune needs weights in full"):
            trained(params)[0].compressed().prune()
    with pytest.raises(ValueError, match="storage must be one of 'float16', 'bfloat16', 'int8', got 'int4'"):
        classifier.compressed("int4")
    with pytest.raises(AttributeError, match="not fitted"):
        flat_classifier().compressed("int8")
    classifier.coef_[3, 2] = 7e4
    with pytest.raises(ValueError, match="weights are too large for float16: float16 holds up to 65,504"):
        classifier.compressed("float16")
    assert classifier.compressed("bfloat16").coef_[3, 2] == pytest.approx(7e4, rel=2**-8)
    classifier.coef_[3, 2] = np.finfo(np.float32).max
    with pytest.raises(ValueError, match="too large for bfloat16"):
        classifier.compressed("bfloat16")


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("params", PARAMS[:3], ids=str)
def test_damaged_files(tmp_path, params, storage):
    path = tmp_path / "model"
    trained(params)[0].compressed(storage).save(path)

    def damaged(change):
        header, tensors = tensor_file.read(path, saving.FORMAT, (model_file.FORMAT_VERSION,))
        change(header, tensors)
        header["crc32"] = tensor_file.checksums(tensors)
        save_file(tensors, tmp_path / "other", metadata={"fastsoftmax": json.dumps(header)})
        with pytest.raises(ValueError, match="not a complete fastsoftmax model"):
            load(tmp_path / "other")

    _, tensors = tensor_file.read(path, saving.FORMAT, (model_file.FORMAT_VERSION,))
    names = [name for name in tensors if name.split(".")[0] in ("W", "E", "V")]
    assert names
    for name in names:
        damaged(lambda header, tensors, name=name: tensors.pop(name))
        damaged(lambda header, tensors, name=name: tensors.update({name: tensors[name][:-1]}))
        damaged(lambda header, tensors, name=name: tensors.update({name: tensors[name].astype(np.float64)}))
    damaged(lambda header, tensors: header.update(storage="int4"))
    damaged(lambda header, tensors: header.update(storage=next(s for s in STORAGES if s != storage)))
    damaged(lambda header, tensors: header.update(storage=None))
