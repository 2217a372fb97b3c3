"""Labels of every type keep value and type, in memory that goes with their text, through training, files and metrics."""

import enum
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_array_equal
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import cross_val_score

import fastsoftmax as fs
from fastsoftmax import OneVsAllClassifier, SoftmaxRegression
from fastsoftmax.metrics import evaluate

X = sp.csr_array(np.eye(3, dtype=np.float32)[np.arange(60) % 3])


def small(**params):
    return flat_classifier(
        **{"random_state": 0, "n_threads": 1, "max_iter": 8, "learning_rate": 0.5, "direct": "dense"} | params
    )


class Text(str, enum.Enum):  # noqa: UP042 (its `str` is "Text.A", while that of a StrEnum is "x")
    A, B, C = "x", "y", "z"


class Number(enum.IntEnum):
    A, B, C = 1, 2, 3


ARRAYS = {dtype: np.array([1, 2, 3]).astype(dtype) for dtype in "bBhHiIlLqQefdg"}
ARRAYS |= {
    f"limits of {dtype}": np.array([np.iinfo(dtype).min, 1, np.iinfo(dtype).max], dtype) for dtype in "bBhHiIlLqQ"
}
ARRAYS |= {
    f"limits of {dtype}": np.array([np.iinfo(dtype).min, 1, np.iinfo(dtype).max]).astype(dtype)
    for dtype in (">i2", ">i4", ">u2")
}
ARRAYS |= {f"dates in {unit}": np.array([-5, 0, 7], f"M8[{unit}]") for unit in ("Y", "M", "25s", "us", "ns", "as")}
ARRAYS |= {f"durations in {unit}": np.array([-5, 0, 7], f"m8[{unit}]") for unit in ("Y", "7D", "ns", "as")}
ARRAYS |= {
    "bools": np.array([False, True, True]),
    "durations without a unit": np.array([1, 2, 3], "m8"),
    "U0": np.array(["", "", "b"]),
    "NUL within": np.array(["a\0b", "a", "b"]),
    "NUL within bytes": np.array([b"a\0b", b"a", b"b"]),
    "one accent": np.array(["\u00e9", "e\u0301", "e"]),
    "beyond the basic plane": np.array(["\U0001f600", "\ud83d\ude00", "\uffff"]),
    "rows of a matrix": np.array([[1, 9], [2, 9], [3, 9]], np.int16)[:, 0],
}
ARRAYS |= {
    dtype: np.array([1, 2, 3]).astype(dtype) for dtype in (">i2", ">u8", ">f4", ">U3", "U70", "U100", "S3", "S300")
}
ARRAYS |= {dtype: np.array([1, 2, 3]).astype(dtype) for dtype in ("M8[D]", ">M8[s]", "m8[ns]", ">m8[h]")}
ARRAYS["beyond int64"] = np.array([2**63, 2**63 + 1, 2**64 - 1], np.uint64)
LISTS = {
    "enumeration of text": (list(Text), ["x", "y", "z"]),
    "enumeration of numbers": (list(Number), [1, 2, 3]),
    "strings of NumPy": ([np.str_("a"), "b", np.str_("c")], ["a", "b", "c"]),
    "empty": (["", "b", "c"], ["", "b", "c"]),
    "NUL": (["a", "a\0", "b"], ["a", "a\0", "b"]),
    "NUL in bytes": ([b"a", b"a\0", b"b"], [b"a", b"a\0", b"b"]),
    "half a surrogate pair": (["a", "\ud800", "\ud800\0"], ["a", "\ud800", "\ud800\0"]),
    "long": (["a", "b" * 300, "c"], ["a", "b" * 300, "c"]),
    "long bytes": ([b"a", b"b" * 300, b"c"], [b"a", b"b" * 300, b"c"]),
    "numbers of several types": ([np.int8(1), np.uint64(2**63), 3], [1, 3, 2**63]),
    "a type of NumPy": ([np.int8(-128), np.int8(127), np.int8(0)], [-128, 0, 127]),
    "long doubles": ([np.longdouble(1), np.longdouble(2), np.longdouble(3)], [1.0, 2.0, 3.0]),
    "bytes and strings": ([b"a", "a", b"a\0"], [b"a", "a", b"a\0"]),
    "strings and numbers": ([1, "1", "1\0"], [1, "1", "1\0"]),
    "a bool and numbers": ([True, 2, 3], [True, 2, 3]),
    "huge integers": ([2**64, -1, 2**63], [-1, 2**63, 2**64]),
    "halves of a pair, and the pair": (["\ud83d\ude00", "\U0001f600", 3], ["\ud83d\ude00", "\U0001f600", 3]),
    "the same in tuples": (
        [("\ud83d\ude00", 1), ("\U0001f600", 1), ("a", b"\0")],
        [("a", b"\0"), ("\ud83d\ude00", 1), ("\U0001f600", 1)],
    ),
    "a date among others": (["a", np.datetime64(5, "ns"), 5], ["a", np.datetime64(5, "ns"), 5]),
    "a duration among others": (["a", np.timedelta64(7, "ns"), 5], ["a", np.timedelta64(7, "ns"), 5]),
    "dates as objects": (np.array([np.datetime64(k, "ns") for k in (1, 2, 3)], object), [1, 2, 3]),
    "dates in several units": (
        [np.datetime64("2020-01-01"), np.datetime64("2019-01-01T00:00"), np.datetime64("2021")],
        np.array(["2019-01-01", "2020-01-01", "2021-01-01"], "M8[m]").tolist(),
    ),
    "durations as objects": (
        np.array([*np.array([1, 2, 3], "m8[h]")], object),
        list(np.array([1, 2, 3], "m8[h]").tolist()),
    ),
}


@pytest.mark.parametrize("labels", ARRAYS.values(), ids=ARRAYS)
def test_arrays(labels, tmp_path):
    check(
        np.tile(labels, 20), np.unique(labels.astype(np.float64) if labels.dtype == "g" else labels).tolist(), tmp_path
    )


@pytest.mark.parametrize(("labels", "classes"), LISTS.values(), ids=LISTS)
def test_lists(labels, classes, tmp_path):
    y = np.tile(labels, 20) if isinstance(labels, np.ndarray) else labels * 20
    check(y, classes, tmp_path)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 2 has it")
def test_strings_of_variable_width(tmp_path):
    check(np.array(["a", "b", "c" * 300] * 20, np.dtypes.StringDType()), ["a", "b", "c" * 300], tmp_path)


def check(y, classes, tmp_path):
    """Train, predict, save, load and go on training with labels `y` that stand for the columns of X."""
    model = small().fit(X, y)
    assert model.classes_.tolist() == classes and model.classes_.dtype.isnative
    assert list(map(type, model.classes_.tolist())) == list(map(type, classes))
    assert model.score(X, y) == 1
    model.save(tmp_path / "model")
    for memory_map in (False, True):
        other = fs.load(tmp_path / "model", memory_map=memory_map)
        assert other.classes_.dtype == model.classes_.dtype and other.classes_.tolist() == classes
        assert list(map(type, other.classes_.tolist())) == list(map(type, classes))
        assert other.score(X, y) == other.compressed().score(X, y) == 1
        assert other.compressed().predict(X).tolist() == model.predict(X).tolist()
    other = fs.load(tmp_path / "model")
    assert other.partial_fit(X, y).score(X, y) == 1
    assert model.predict(X).tolist() == other.predict(X).tolist() and model.predict(X).dtype == model.classes_.dtype
    assert evaluate(model, X, y, ks=[1])["precision@1"] == 1
    assert SoftmaxRegression().fit(X, y).score(X, y) == 1
    one_vs_all = OneVsAllClassifier().fit(X, y)
    assert one_vs_all.score(X, y) == 1 and one_vs_all.predict(X).tolist() == model.predict(X).tolist()
    again = small(warm_start=True, early_stopping=True).fit(X, y).fit(X, y, X_val=X, y_val=y)
    assert again.score(X, y) == 1
    assert small().partial_fit(X, y, classes=y[:3]).classes_.tolist() == classes
    check_options(model, y, tmp_path)


def check_options(model, y, tmp_path):
    """Labels as keys of `class_weight`, as `ignore_label`, as a subset and as what is excluded."""
    label = y[0]
    if getattr(label, "dtype", None) == "m8":  # NumPy cannot hash a duration without a unit
        return
    code = int(np.flatnonzero(model.classes_ == model.predict(X[:1]))[0])
    weighted = small(class_weight={label: 3.0}).fit(X, y)
    assert (weighted.intercept_[code] > np.delete(weighted.intercept_, code)).all()
    weighted.save(tmp_path / "weighted")
    assert fs.load(tmp_path / "weighted").class_weight == {label: 3.0}
    if len(model.classes_) > 2:
        rest = small(ignore_label=label).fit(X, y)
        assert set(rest.classes_.tolist()) == set(np.delete(model.classes_, code).tolist())
        rest.save(tmp_path / "rest")
        assert fs.load(tmp_path / "rest").ignore_label == label
    if model.classes_.dtype != np.uint64 or model.classes_.max() < 2**63:  # which leave no room for padding
        assert (model.predict_topk(X[:3], 1, classes=[label])[0] == model.predict(X[:1])).all()
        labels, _ = model.predict_topk(X[:3], 1, exclude=[[given] for given in y[:3]])
        assert all(a != b for a, b in zip(labels[:, 0].tolist(), model.predict(X[:3]).tolist(), strict=True))


def test_long_doubles():
    y = np.array([1, 2, 2**53] * 20, np.longdouble)
    assert small().fit(X, y).classes_.dtype == np.float64
    with pytest.raises(ValueError, match=r"y holds .* at position 2: .* does not tell integers beyond 2\*\*53 apart"):
        small().fit(X, y * 2)


def test_masked_labels_are_missing():
    y = np.ma.array([1, 2, 3] * 20, mask=[False] * 59 + [True])
    with pytest.raises(ValueError, match="y must not hold missing labels, got None at position 59"):
        small().fit(X, y)
    assert_array_equal(small(ignore_label=np.nan).fit(X, y).coef_, small().fit(X[:59], y.data[:59]).coef_)


# -- long labels: no label takes as much memory as the longest --


LONG = """
import io, resource
import numpy as np
from fastsoftmax import SoftmaxClassifier, datasets
from fastsoftmax.metrics import evaluate
n, long = 20_000, "x" * 50_000
names = [f"{i % 7}" for i in range(n)] + [long]
text = "".join(f"__label__{name} w\\n" for name in names)
X = np.ones((n + 1, 1), "f")
SoftmaxClassifier(max_iter=1).fit(X[:20], names[:20]).score(X[:20], names[:20])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = datasets.read(io.BytesIO(text.encode()), "fasttext")
assert data.labels.tolist() == names
classes, y = datasets.targets(data.labels, data.label_starts)
model = SoftmaxClassifier(max_iter=1).fit(X, names)
assert model.classes_.tolist() == classes.tolist() == sorted(set(names))
model.score(X, names), evaluate(model, X, names), evaluate(model, X, [[name] for name in names[::-1]] )
assert len(model.predict_topk(X, 3, exclude=[[name] for name in names])[0]) == n + 1
model.partial_fit(X, names).add_classes(["new", "y" * 50_000])
model.save("model"), SoftmaxClassifier.load("model").predict(X)
SoftmaxClassifier(max_iter=1).partial_fit(X[:20], names[:20], classes=[str(k) for k in range(20_000)] + [long]).predict(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_goes_with_the_text(tmp_path):
    run = subprocess.run([sys.executable, "-c", LONG], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 100 * 1024  # KiB; an array of a fixed width would take 4 GB


def test_scikit_learn_takes_labels_that_are_objects():
    y = ["a", "b", "c" * 300] * 20
    model = small().fit(X, y)
    assert model.classes_.dtype == object
    assert accuracy_score(y, model.predict(X)) == 1
    assert log_loss(y, model.predict_proba(X), labels=model.classes_) < 0.5
    for scoring in ("accuracy", "f1_macro", "neg_log_loss"):
        assert np.isfinite(cross_val_score(small(), X, np.array(y, object), scoring=scoring, cv=3)).all()


def test_padding_of_labels_that_are_objects():
    model = small().fit(X, ["a", "b", "c" * 300] * 20)
    first, _ = model.predict_topk(X, 2, exclude=[["a"]] * 60)
    assert set(first.ravel().tolist()) == {"b", "c" * 300}
    padded, log_proba = model.predict_topk(X, 4, exclude=first)
    assert padded.tolist() == [["a", None, None, None]] * 60 and (log_proba[:, 1:] == -np.inf).all()
    assert model.predict_topk(X, 2, exclude=padded)[0].shape == (60, 2)


# -- labels that are excluded --


def test_excluded_labels_that_the_model_does_not_know():
    """Nothing returns them anyway: a user's history may be older or newer than the model."""
    model = small().fit(X, ["a", "b", "c"] * 20)
    expected = model.predict_topk(X, 2, exclude=[["a"]] * 60)[0]
    for exclude in ([["a", "new", "x" * 100, ""]] * 60, [["a"]] * 30 + [["?", "a", "a"]] * 30, [{"a", "new"}] * 60):
        assert_array_equal(model.predict_topk(X, 2, exclude=[list(row) for row in exclude])[0], expected)
    numbers = small().fit(X, [1, 2, 3] * 20)
    assert_array_equal(
        numbers.predict_topk(X, 2, exclude=[[1, 9]] * 60)[0], numbers.predict_topk(X, 2, exclude=[[1]] * 60)[0]
    )
    for wrong in ([["a", 1]] * 60, [["a"]] * 59 + [[1]], [[b"a"]] * 60):
        with pytest.raises(ValueError, match="exclude must hold classes among the 3 classes, which are strings"):
            model.predict_topk(X, 2, exclude=wrong)
    with pytest.raises(ValueError, match="classes must hold classes among the 3 classes, got 'new'"):
        model.predict_topk(X, 2, classes=["a", "new"])


def test_excluded_elements_that_stand_twice():
    model = small().fit(X, ["a", "b", "c"] * 20)
    once = sp.csr_array((np.ones(60), np.zeros(60, int), np.arange(61)), shape=(60, 3))
    twice = sp.csr_array((np.tile([1, -1.0], 60), np.zeros(120, int), 2 * np.arange(61)), shape=(60, 3))
    assert_array_equal(model.predict_topk(X, 3, exclude=twice)[0], model.predict_topk(X, 3, exclude=once)[0])
    assert twice.nnz == 120
