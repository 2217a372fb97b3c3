"""What NumPy or pandas would turn into other labels without a word is kept as it was given, or refused by name and value."""

import collections
import datetime
import enum
from decimal import Decimal

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_array_equal

import fastsoftmax as fs
import fastsoftmax.validation as v
from fastsoftmax import SoftmaxRegression
from fastsoftmax.files import stored_labels, tensor_file
from fastsoftmax.metrics import evaluate

X = sp.csr_array(np.eye(3, dtype=np.float32)[np.arange(60) % 3])
NAN = float("nan")
DATE, DURATION = np.datetime64, np.timedelta64


def small(**params):
    return flat_classifier(
        **{"random_state": 0, "n_threads": 1, "max_iter": 8, "learning_rate": 0.5, "direct": "dense"} | params
    )


def tiled(*labels):
    return [labels[i % len(labels)] for i in range(60)]


class Colour(enum.Enum):
    RED, GREEN, BLUE = 1, 2, 3


# -- refused --

BAD = {
    "float and half": (tiled(1, 2.5), ValueError, "y must hold class labels, got 2.5 at position 1"),
    "infinite": (tiled(1.0, np.inf), ValueError, "y must hold class labels, got inf at position 1"),
    "half of float16": (np.array(tiled(1, 2.5), "e"), ValueError, "got 2.5 at position 1"),
    "float16": (np.array(tiled(1, 2050), "e"), ValueError, r"y holds 2050.0 at .* beyond 2\*\*11 apart"),
    "half of long double": (np.array(tiled(1, 2.5), "g"), ValueError, "got 2.5 at position 1"),
    "long double": (tiled(np.longdouble(0.5), np.longdouble(1)), ValueError, "got 0.5 at position 0"),
    "long double among others": (tiled("a", np.longdouble(0.5)), ValueError, "got 0.5 at position 1"),
    "complex": (np.array(tiled(1j, 2)), TypeError, "y must hold integers, .* got an array of complex128"),
    "equal numbers": (tiled(1, 1.0, 2), ValueError, r"y holds 1 and 1\.0, which are equal"),
    "equal decimals": (tiled(Decimal(1), 1), ValueError, r"y holds Decimal\('1'\) and 1, which are equal"),
    "equal tuples": (
        tiled(("a", 1), ("a", True)),
        ValueError,
        r"y holds \('a', 1\) and \('a', True\), which are equal",
    ),
    "equal sets": (
        tiled(frozenset({1}), frozenset({1.0})),
        ValueError,
        "which are equal: make them labels of one type",
    ),
    "NaN in a tuple": (tiled(("a", NAN), "b"), ValueError, r"y must not hold NaN within .*'a', nan.* at position 0"),
    "NaN of decimal": (tiled(Decimal("NaN"), Decimal(1)), ValueError, "y must not hold missing labels, got Decimal"),
    "dates too far": (
        tiled(DATE("0001-01-01"), DATE(5, "ns")),
        ValueError,
        r"y holds np.datetime64\('0001-01-01'\) at position 0 and .* at position 1, and no unit holds all of its dates",
    ),
    "years and days": (tiled(DURATION(1, "Y"), DURATION(1, "D")), ValueError, "no unit holds all of its durations"),
    "a duration without a unit": (tiled("a", DURATION(1)), TypeError, "y must hold hashable labels"),
    "NaT": (tiled(DATE("NaT"), DATE("2020")), ValueError, "y must not hold missing labels, got .*NaT.* at position 0"),
    "masked": (np.ma.array(tiled("a", "b"), mask=[True] + [False] * 59), ValueError, "y must not hold missing labels"),
    "generator": ((k for k in tiled(1, 2)), ValueError, r"y must be 1-D, .* a generator is .*, so give list\(\.\.\.\)"),
    "values": ({k: k for k in range(60)}.values(), ValueError, "a dict_values is no sequence of labels"),
    "set": ({"a", "b"}, ValueError, "y must be 1-D, .* a set is no sequence of labels"),
    "text": ("ab" * 30, ValueError, r"y must be 1-D, one label a row, got shape \(\)"),
    "no dimension": (np.array(1), ValueError, r"y must be 1-D, one label a row, got shape \(\)"),
    "three dimensions": (np.ones((60, 1, 1)), ValueError, r"y must .*1, 1\)"),
    "several columns of text": (np.array([["a", "b"]] * 60), TypeError, "y, of two dimensions, must hold masses"),
    "bytearrays": (tiled(bytearray(b"a"), bytearray(b"b")), TypeError, "y must hold hashable labels, got bytearray"),
    "one column": (sp.csr_array(np.ones((60, 1))), ValueError, r"y must have a column for each .* got shape \(60, 1\)"),
}


@pytest.mark.parametrize(("y", "error", "message"), BAD.values(), ids=BAD)
def test_refused(y, error, message):
    model = small()
    with pytest.raises(error, match=message):
        model.fit(X, y)
    assert not hasattr(model, "classes_")


def test_regression_refuses_an_indicator():
    with pytest.raises(ValueError, match=r"y must be 1-D, one label a row, got a csr_array of shape \(60, 3\)"):
        SoftmaxRegression().fit(X, X)


def test_missing_labels_of_decimal_are_left_out():
    y = tiled(Decimal("sNaN"), Decimal(1), Decimal(2))
    assert small(ignore_label=NAN).fit(X, y).classes_.tolist() == [Decimal(1), Decimal(2)]


@pytest.mark.parametrize(
    "labels", [(Decimal("0.5"), Decimal(2)), tuple(Colour), (datetime.date(2020, 1, 1), 5), (1j, 2)]
)
def test_what_no_file_holds_is_kept_in_memory(labels, tmp_path):
    model = small().fit(X[: 20 * len(labels)] if len(labels) == 3 else np.eye(2)[np.arange(60) % 2], tiled(*labels))
    rows = X[:3] if len(labels) == 3 else np.eye(2)
    assert model.predict(rows).tolist() == list(labels)
    assert list(map(type, model.predict(rows))) == list(map(type, labels))
    with pytest.raises(TypeError, match=r"labels of type .* cannot be saved, got .* pickle keeps"):
        model.save(tmp_path / "model")


# -- kept --


@pytest.mark.parametrize("container", [collections.deque, collections.UserList, tuple])
def test_sequences_are_read_as_lists(container):
    for labels in ((1, "1", "a"), (("a", 1), ("b", 2), "c"), (2**63, -1, 5)):
        model = small().fit(X, container(tiled(*labels)))
        assert model.predict(X[:3]).tolist() == list(labels)
        assert model.score(X, container(tiled(*labels))) == 1


@pytest.mark.parametrize(("labels", "types"), [((True, 2, 3), [bool, int, int]), ((2**63, -1, 3), [int] * 3)])
def test_columns_as_lists(labels, types):
    predicted = small().fit(X, [[label] for label in tiled(*labels)]).predict(X[:3]).tolist()
    assert predicted == list(labels) and list(map(type, predicted)) == types


@pytest.mark.parametrize("dtype", ["i1", "u8", "e", "U3", "M8[D]", "M8[ns]", "m8[ns]", "O"])
def test_masked_labels_leave_the_type_of_the_others(dtype):
    y = np.array(tiled(1, 2, 3)).astype(dtype)
    masked = np.ma.array(y, mask=[False] * 57 + [True] * 3)
    model, expected = small(ignore_label=NAN).fit(X, masked), small().fit(X[:57], y[:57])
    assert model.classes_.dtype == expected.classes_.dtype
    assert_array_equal(model.classes_, expected.classes_)
    assert_array_equal(model.coef_, expected.coef_)


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("make", [sp.csr_array, sp.csr_matrix])
def test_indicators_in_every_format(format, make):
    y = make(X).asformat(format)
    model = small().fit(X, y)
    assert_array_equal(model.coef_, small().fit(X, sp.csr_array(X.toarray())).coef_)
    assert model.score(X, y) == evaluate(model, X, y, ks=[1])["precision@1"] == 1


def test_files_in_memory(tmp_path):
    y = np.memmap(tmp_path / "y", ">i2", "w+", shape=60)
    y[:] = tiled(-(2**15), 0, 2**15 - 1)
    assert small().fit(X, y).predict(X[:3]).tolist() == y[:3].tolist()


def test_pandas_labels_with_missing_ones_stay_integers():
    pd = pytest.importorskip("pandas")
    big = 2**60 + 1
    for make in (pd.Categorical, lambda y: pd.Series(y, dtype="Int64"), lambda y: pd.Series(pd.Categorical(y))):
        y = make([big, 1, None] * 20)
        model = small(ignore_label=NAN).fit(X, y)
        assert model.classes_.dtype == np.int64 and model.classes_.tolist() == [1, big]
        with pytest.raises(ValueError, match=r"y must not hold missing labels, got .* at position 2; ignore_label=nan"):
            small().fit(X, y)


def test_pandas_labels():
    pd = pytest.importorskip("pandas")
    names = tiled("a", "b", "c")
    for y in (
        pd.Index(names),
        pd.Categorical(names, categories=["z", "c", "b", "a"], ordered=True),
        pd.Series(names, dtype="string"),
        pd.MultiIndex.from_tuples([(name, 1) for name in names]),
        pd.Series(pd.to_datetime([f"202{k}-01-01" for k in tiled(0, 1, 2)]).tz_localize("Europe/Berlin")),
        pd.Series(tiled(2**64 - 1, 2**63, 0), dtype="UInt64"),
        pd.Series(pd.PeriodIndex(tiled("2020", "2021", "2022"), freq="Y")),
    ):
        assert small().fit(X, y).predict(X[:3]).tolist() == list(y[:3])
    with pytest.raises(ValueError, match="y must not hold missing labels, got NaT at position 0"):
        small().fit(X, tiled(pd.NaT, pd.Timestamp("2020"), pd.Timestamp("2021")))


# -- labels that are looked up in others of another type --


def test_limits_of_small_integers():
    """A float may be the largest integer of a type, and a large integer is none of the floats of a narrow type."""
    for dtype in "bBhHiI":
        top = np.iinfo(dtype).max
        assert v.encode_labels(np.array([top, 0.0]), np.array([0, top], dtype)).tolist() == [1, 0]
    assert v.encode_labels(np.array([2.0**63]), np.array([0, 2**63 - 1]), unknown=-1) == [-1]
    assert v.encode_labels(np.array([2**53 + 1, 2]), np.array([2, 2.0**53]), unknown=-1).tolist() == [-1, 0]
    assert v.encode_labels(np.array([2049, 2048]), np.array([2, 2048], "e"), unknown=-1).tolist() == [-1, 1]


def test_dates_in_other_units():
    days = np.array(["0001-01-01", "1970-01-02"], "M8[D]")
    hit = np.array([DATE(86_400 * 10**9, "ns"), DATE(86_400 * 10**9 + 1, "ns")])
    assert v.encode_labels(hit, days, unknown=-1).tolist() == [1, -1]
    overflows = days.astype("M8[ns]")  # what year 1 would be there, if NumPy were right
    assert v.encode_labels(days, np.sort(overflows), unknown=-1).tolist()[0] == -1
    assert v.encode_labels(np.array([365], "m8[D]"), np.array([1, 2], "m8[Y]"), unknown=-1) == [-1]
    y = np.array(tiled("2020-01-01", "2020-01-02", "2020-01-03"), "M8[D]")
    assert small(ignore_label=DATE("2020-01-01T00", "ns")).fit(X, y).classes_.tolist() == y[1:3].tolist()
    model = small(class_weight={DATE("2020-01-01T00", "h"): 5.0, datetime.date(2020, 1, 2): 2.0}).fit(X, y)
    assert model.intercept_[0] > model.intercept_[1] > model.intercept_[2]
    topk, _ = model.predict_topk(X[:3], 1, exclude=[[y[0], DATE("2020-01-05", "s")], [y[1].astype("M8[m]")], [y[2]]])
    assert (topk[:, 0] != y[:3]).all()


def test_excluded_integers_are_no_floats():
    model = small().fit(X, tiled(2**62, 2**62 + 1, 5))
    exclude = [np.array([2**62], np.uint64), np.array([2**62 + 1]), np.array([-1, 5], np.int8)]
    assert set(model.predict_topk(X[:3], 2, exclude=exclude)[0][1].tolist()) == {2**62, 5}


def test_what_is_ignored_is_told_apart():
    assert v.check_labels(np.array(["a", "b"]), ignore_label="a\0")[1] is None
    assert v.check_labels(np.array([b"a", b"b"]), ignore_label=b"a\0")[1] is None
    assert v.check_labels(np.array(["a", "b"]), ignore_label=("a", "b"))[1] is None
    assert v.check_labels(np.array([2**53 + 1, 1]), ignore_label=2.0**53)[1] is None
    assert v.check_labels(np.array([5, 1]), ignore_label=DURATION(5, "ns"))[1] is None
    assert v.check_labels(np.array([5, 1]), ignore_label=5.0)[1].tolist() == [False, True]


@pytest.mark.parametrize(
    "label", [DATE("NaT"), DATE("NaT", "ns"), DATE(5, "ns"), DURATION(5, "ns"), b"\xff", "\ud83d\ude00"]
)
def test_ignored_labels_in_files(label, tmp_path):
    small(ignore_label=label).fit(X, tiled("a", "b", "c")).save(tmp_path / "model")
    loaded = fs.load(tmp_path / "model").ignore_label
    assert type(loaded) is type(label) and (loaded == label or (np.isnat(loaded) and loaded.dtype == label.dtype))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"date": 5},
        {"date": [5, "O"]},
        {"date": [2**70, "<M8[D]"]},
        {"other": "00"},
        {"bytes": "x"},
        {"a": 1, "b": 2},
    ],
)
def test_labels_in_damaged_files(value):
    with pytest.raises(tensor_file.DAMAGE):
        stored_labels.from_json(value)


# -- classes that are added --

ADDED = [
    (np.array([1, 2, 3], np.uint64), [4], "uint64"),
    (np.array([1, 2, 3], np.int8), [4], "int8"),
    (np.array([1, 2, 3], np.int8), [300], "int64"),
    (np.array([1, 2, 3]), [4.0], "int64"),
    (np.array([1, 2, 3], "e"), [4], "float16"),
    (np.array([1, 2, 3], "e"), [2049], "float64"),
    (np.array([1, 2, 3], "M8[D]"), [DATE("2020-01-01T00", "ns")], "M8[D]"),
    (np.array([1, 2, 3], "M8[D]"), [DATE("2020-01-01T05", "h")], "M8[h]"),
    (np.array([1, 2, 3], np.int8), [2**70], "O"),
]


@pytest.mark.parametrize(("labels", "new", "dtype"), ADDED)
def test_added_classes_leave_the_type_of_the_others(labels, new, dtype):
    classes = small().fit(X, np.tile(labels, 20)).add_classes(new).classes_
    assert classes.dtype == dtype
    assert classes.tolist() == np.concatenate([labels, np.array(new)]).astype(dtype).tolist()


@pytest.mark.parametrize(
    ("labels", "new"),
    [
        (np.array([1, 2, 3], np.uint64), [-1]),
        (np.array(["0001", "0002", "0003"], "M8[D]"), [DATE(5, "ns")]),
        (np.array([1, 2, 3], "m8[Y]"), [DURATION(5, "D")]),
        (np.array([1.0, 2, 3]), [2**53 + 1]),
    ],
)
def test_classes_without_a_common_type(labels, new):
    model = small().fit(X, np.tile(labels, 20))
    with pytest.raises(TypeError, match=r"labels of .* and classes of .* have no common type that holds them all"):
        model.add_classes(new)
    assert_array_equal(model.classes_, labels)
