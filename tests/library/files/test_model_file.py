import json
import os
import threading

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_array_equal
from safetensors.numpy import save_file

from fastsoftmax import SoftmaxClassifier, load, losses
from fastsoftmax.estimators import saving
from fastsoftmax.files import model_file, tensor_file

TERMS = [{"direct": "dense"}, {"direct": None, "hidden_size": 5}, {"direct": "dense", "hidden_size": 5}]
LABELS = {
    "integers": np.arange(9) * 10**12 - 3,
    "strings": np.array(["", "a", "b", "c", "d", "e", "läng\n\0er", "猫", "🙂"]),
    "bools": np.array([False, True]),
    "floats": np.arange(9.0),
    "bytes": np.array([b"", b"a", b"b\0b", b"\xff"]),
    "dates": np.array(["1969-12-31", "2024-02-29"], "datetime64[s]"),
    "tuples": np.fromiter([("a", 1), ("a", 2.5), ("z", ("y", 2**70)), ("é", None, True)], object, 4),
    "mixed": np.fromiter(["b", 3, ("a",), 2**70, 2.0], object, 5),
}


def trained(labels=LABELS["integers"], make_X=sp.csr_array, **params):
    rng = np.random.default_rng(0)
    X, y = make_X(sp.random_array((60, 7), density=0.5, rng=rng)), np.resize(labels, 60)
    return flat_classifier(random_state=0, max_iter=2, n_threads=1, **params).fit(X, y), X, y


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a model.fastsoftmax"


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("make_X", [sp.csr_array, sp.coo_array.toarray], ids=["csr", "dense"])
@pytest.mark.parametrize("terms", TERMS, ids=str)
@pytest.mark.parametrize("optimizer", ["adagrad", "sgd"])
def test_round_trip(path, labels, make_X, terms, optimizer):
    classifier, X, y = trained(labels, make_X, **terms, optimizer=optimizer)
    classifier.save(path)
    other = SoftmaxClassifier.load(str(path))
    assert other.get_params() == classifier.get_params()
    assert other.classes_.dtype == classifier.classes_.dtype
    assert_array_equal(other.classes_, classifier.classes_)
    assert other.loss_curve_ == classifier.loss_curve_ and other.n_iter_ == classifier.n_iter_
    for name, a in classifier._model.arrays().items():
        b = other._model.arrays()[name]
        assert_array_equal(a, b)
        assert a.dtype == b.dtype and a.strides == b.strides and b.flags.writeable
    for a, b in zip(classifier.predict_topk(X, 2), other.predict_topk(X, 2), strict=True):
        assert_array_equal(a, b)
    assert_array_equal(classifier.predict_proba(X), other.predict_proba(X))
    other.partial_fit(X, y)
    assert other.n_iter_ == 3 and np.isfinite(other.predict_proba(X)).all()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_sampled_model_goes_on_with_its_counts(path):
    classifier, X, y = trained(loss="sampled_softmax", n_negatives=3)
    classifier.save(path)
    other = load(path)
    assert_array_equal(other._state.class_counts, classifier._state.class_counts)
    other.partial_fit(X, y)
    assert_array_equal(other._state.class_counts, 2 * classifier._state.class_counts)
    assert np.isfinite(other.intercept_).all()


def test_numpy_parameters(path):
    """NumPy's numbers are kept, since parameter searches set them."""
    trained(hidden_size=np.int64(4), learning_rate=np.float32(0.25))[0].save(path)
    other = load(path)
    assert other.learning_rate == 0.25 and other.hidden_size_ == 4


def test_nothing_in_the_file_is_executable(path):
    trained(LABELS["strings"])[0].save(path)
    content = path.read_bytes()
    header_size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + header_size])
    assert json.loads(header["__metadata__"]["fastsoftmax"])["format"] == saving.FORMAT
    assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} <= {"F32", "I64", "U8"}
    assert b"pickle" not in content and b"cnumpy" not in content


def refuses(path):
    """Return whether loading fails with an error that names the path; otherwise the model has to work."""
    try:
        classifier = load(path)
    except (ValueError, OSError) as error:
        assert str(path) in str(error)
        return True
    classifier.predict(np.ones((2, classifier.n_features_in_)))
    return False


def test_cut_short_at_any_length(path):
    trained()[0].save(path)
    content = path.read_bytes()
    for n in np.linspace(0, len(content) - 1, 25).astype(int):
        path.write_bytes(content[:n])
        assert refuses(path), n


def test_flipped_bits_of_the_header(path):
    """The result is an error or a model whose parameters differ, never a crash."""
    trained(direct="dense", hidden_size=2)[0].save(path)
    content = bytearray(path.read_bytes())
    n_header = 8 + int.from_bytes(content[:8], "little")
    rng, n_refused = np.random.default_rng(0), 0
    for at in [*range(12), *rng.integers(12, n_header, 300).tolist()]:
        flipped = content.copy()
        flipped[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        n_refused += refuses(path)
    assert n_refused > 150


def rewritten(path, change):
    """The model in `path` with its header and tensors changed."""
    header, tensors = tensor_file.read(path, saving.FORMAT, (model_file.FORMAT_VERSION,))
    change(header, tensors)
    header["crc32"] = tensor_file.checksums(tensors)
    save_file(tensors, path, metadata={"fastsoftmax": json.dumps(header)})


REALS = ["W", "bias", "state.W", "state.bias"]
CHANGES = {
    "newer version": (lambda h, t: h.update(format_version=4), "version 4, but this version reads"),
    "scale of nothing": (lambda h, t: h.update(format_version=3, scale=9.0), "not complete"),
    "no scale": (lambda h, t: h.update(format_version=3), "format version 3 with scale None"),
    "scale in an older version": (lambda h, t: h.update(scale=9.0), "format version 2 with scale 9.0"),
    "bad scale": (lambda h, t: h.update(format_version=3, scale=-1), "the model's scale must be above 0"),
    "other format": (lambda h, t: h.update(format="other"), "'other'"),
    "unknown parameter": (lambda h, t: h["params"].update(colour=1), "colour"),
    "bad parameter": (lambda h, t: h["params"].update(n_threads=0), "n_threads"),
    "no state of training": (lambda h, t: h["fitted"].pop("loss_"), "loss_"),
    "no bias": (lambda h, t: t.pop("bias"), "not a complete"),
    "no weights": (lambda h, t: [h["fortran"].clear(), t.pop("W"), t.pop("state.W")], "not complete"),
    "shape of W": (lambda h, t: t.update(W=t["W"][:-1].copy()), "W has shape"),
    "dtype of W": (lambda h, t: t.update(W=t["W"].astype(np.float64)), "dtype float64"),
    "half floats": (lambda h, t: t.update({n: np.zeros(t[n].shape, "f2") for n in REALS}), "bias has dtype float16"),
    "one-dimensional W": (lambda h, t: t.update(W=t["W"].ravel()), "W has shape"),
    "one-dimensional V": (lambda h, t: t.update(V=np.zeros(9, np.float32)), "not a complete"),
    "state of nothing": (lambda h, t: t.update({"state.Q": t["bias"]}), "Q"),
    "fewer counts": (
        lambda h, t: t.update({"training.class_counts": t["training.class_counts"][1:].copy()}),
        "class counts",
    ),
    "fewer classes": (lambda h, t: t.update(classes=t["classes"][1:].copy()), "not a complete"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_inconsistent_models(path, change, message):
    trained()[0].save(path)
    rewritten(path, change)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_not_a_model(path):
    for content in (b"", b"\0" * 100, os.urandom(1000), b"__label__a b c\n", b"\xff" * 8 + b"{}"):
        path.write_bytes(content)
        assert refuses(path)
    save_file({"W": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="a safetensors file, but not a fastsoftmax model"):
        load(path)
    for header in ("[1, 2]", "{", "null"):
        save_file({"W": np.zeros(3)}, path, metadata={"fastsoftmax": header})
        with pytest.raises(ValueError, match="damaged header"):
            load(path)


def test_a_flipped_bit_of_the_weights(path):
    trained()[0].save(path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        load(path)


def test_saving_into_a_pipe(tmp_path):
    """The sums stand before the tensors there, where nothing can be written afterwards."""
    os.mkfifo(tmp_path / "pipe")
    classifier, X, _ = trained()
    reader = threading.Thread(target=lambda: (tmp_path / "model").write_bytes((tmp_path / "pipe").read_bytes()))
    reader.start()
    classifier.save(tmp_path / "pipe")
    reader.join()
    assert_array_equal(load(tmp_path / "model").predict_proba(X), classifier.predict_proba(X))
    classifier.save(tmp_path / "regular")
    assert (tmp_path / "regular").read_bytes() == (tmp_path / "model").read_bytes()


def test_no_such_file_and_a_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        load(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="missing"):
        trained()[0].save(tmp_path / "missing" / "model")


def test_a_failed_save_leaves_the_old_file(path, monkeypatch):
    classifier, X, _ = trained()
    classifier.save(path)
    with pytest.raises(TypeError, match="cannot be saved"):
        classifier.save(path, vectorizer=object())
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        classifier.partial_fit(X, classifier.predict(X)).save(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert load(path).n_iter_ == 2


def test_only_samplers_by_name_are_saved(path):
    from fastsoftmax.samplers import Uniform

    classifier, *_ = trained(loss="sampled_softmax", sampler=Uniform(9), n_negatives=3)
    with pytest.raises(TypeError, match=r"only samplers given by name can be saved, got sampler=Uniform\(9\)"):
        classifier.save(path)
    assert not path.exists()


def test_only_schedules_by_name_are_saved(path):
    classifier, *_ = trained(schedule=lambda progress: 1 - progress)
    with pytest.raises(TypeError, match="only schedules given by name can be saved, got schedule=<function"):
        classifier.save(path)
    classifier.set_params(schedule="linear").save(path)


def test_a_number_of_negatives_that_an_earlier_build_kept_for_a_sampler_that_draws_none(tmp_path):
    model = SoftmaxClassifier(loss=losses.SampledSoftmax(), hidden_size=4, direct=None, max_iter=1)
    model.fit(np.eye(4), [0, 1, 2, 3]).set_params(loss__n_negatives=1024).save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.loss.n_negatives == "auto"
    loaded.fit(np.eye(4), [0, 1, 2, 3])


def test_path_of_bytes(path):
    model = trained()[0]
    model.save(os.fsencode(path))
    assert_array_equal(load(os.fsencode(path)).coef_, model.coef_)
    with pytest.raises(ValueError, match="path must be the path of a file"):
        load(b"")
