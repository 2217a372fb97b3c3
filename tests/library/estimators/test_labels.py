"""Labels of every kind are told apart, predicted as they were given, ignored, and kept in files. None is lost silently."""

import datetime
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score

import fastsoftmax as fs
import fastsoftmax.validation as v
from fastsoftmax import OneVsAllClassifier, SoftmaxRegression

N_CLASSES = 6


def small(**params):
    defaults = {"random_state": 0, "n_threads": 1, "max_iter": 8, "learning_rate": 0.5, "direct": "dense"}
    return flat_classifier(**defaults | params)


@pytest.fixture
def data():
    codes = np.resize(np.arange(N_CLASSES), 60)
    return sp.csr_array(sp.eye_array(N_CLASSES, format="csr")[codes]), codes


def objects(*labels):
    return np.fromiter(labels, object, len(labels))


SORTED = {
    "strings that end in NUL": objects("a", "a\0", "b", "c", "d", "e\0"),
    "bytes": np.array([b"", b"\0a", b"b", b"c", b"d", b"e"]),
    "bytes that end in NUL": objects(b"a", b"a\0", b"b", b"c", b"d", b"e"),
    "bytes as objects": objects(b"a", b"b", b"c", b"d", b"e", b"\xff"),
    "tuples": objects(("a", 1), ("a", 2), ("b", 0), ("b", 1, 2), ("c",), ("d", None)),
    "dates": objects(*(datetime.date(2020 + i, 1, 1) for i in range(6))),
    "datetime64": np.array(
        ["1960-01-01", "2000-01-01", "2000-01-02", "2001-01-01", "2030-01-01", "2031-01-01"], "M8[D]"
    ),
    "timedelta64": np.arange(6).astype("m8[h]"),
    "fractions": objects(*(Fraction(1, 7 - i) for i in range(6))),
    "large integers": objects(*(2**70 + i for i in range(6))),
    "integers beyond int64": objects(*(2**63 - 3 + i for i in range(6))),
    "integers beyond float": np.array([2**62 + i for i in range(6)]),
    "bools as objects": objects(False, True),
    "integers and floats": objects(1, 2.0, 3, 4.0, 5, 6),
}
UNSORTED = {  # in the order of their first appearance
    "mixed": objects("b", 3, ("a",), 2.0, "a", b"c"),
    "sets": objects(*(frozenset({i}) for i in (3, 1, 2, 0, 5, 4))),
}


@pytest.mark.parametrize("labels", (SORTED | UNSORTED).values(), ids=SORTED | UNSORTED)
@pytest.mark.parametrize("as_list", [False, True])
def test_any_hashable_type(data, labels, as_list):
    X, codes = data
    codes = codes % len(labels)
    y = labels[codes]
    if as_list and labels.dtype.kind not in "mM":
        y = y.tolist()
    model = small().fit(X, y)
    assert model.classes_.tolist() == labels.tolist()
    assert model.predict(X[:6]).tolist() == labels[codes[:6]].tolist()
    assert model.score(X, y) == 1
    assert_allclose(model.target_log_proba(X, y), np.log(model.predict_proba(X)[np.arange(60), codes]), rtol=1e-5)
    weights = model.coef_.copy()
    assert_array_equal(small().fit(X, codes).coef_, weights)
    streamed = small().partial_fit(X, y, classes=y)
    assert streamed.classes_.tolist() == labels.tolist()
    streamed.partial_fit(X[:7], y[:7])


@pytest.mark.parametrize("name", ["tuples", "dates", "mixed"])
def test_metrics_of_objects(data, name):
    X, codes = data
    labels = (SORTED | UNSORTED)[name]
    model = small().fit(X, labels[codes])
    for y in (labels[codes], labels[codes].tolist()):
        result = fs.metrics.evaluate(model, X, y, ks=(1, 2))
        assert result["precision@1"] == result["mrr@2"] == 1 and result["n_unknown"] == 0
    unknown = {"tuples": ("?", 0), "dates": datetime.date(1999, 1, 1), "mixed": "?"}[name]
    assert fs.metrics.evaluate(model, X, [unknown] * 60)["n_unknown"] == 60
    with pytest.raises(
        ValueError, match=r"y holds frozenset.* is not among the 6 classes: y holds frozenset, the classes are"
    ):
        fs.metrics.evaluate(model, X, [frozenset({1})] * 60)


@pytest.mark.parametrize("make", [lambda: small(warm_start=True), lambda: SoftmaxRegression(warm_start=True)])
def test_warm_start_tells_durations_from_numbers(data, make):
    X, codes = data
    model = make().fit(X, codes.astype("m8[s]"))
    with pytest.raises(ValueError, match=r"needs the .*classes"):
        model.fit(X, codes)


def test_order_of_labels(data):
    X, codes = data
    labels = SORTED["tuples"]
    assert small().fit(X, labels[::-1][codes]).classes_.tolist() == labels.tolist()
    labels = UNSORTED["mixed"]
    assert small().fit(X, labels[::-1][codes]).classes_.tolist() == labels[::-1].tolist()


DATES = np.array(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"], "M8[D]")


@pytest.mark.parametrize("dates", [DATES, DATES - DATES[0]], ids=["dates", "durations"])
@pytest.mark.parametrize("fitted_on", [np.asarray, list])
def test_dates_in_lists_are_those_in_arrays(dates, fitted_on):
    X, y = sp.eye_array(40, format="csr", dtype=np.float32), dates[np.arange(40) % 4]
    classifier = flat_classifier(random_state=0, max_iter=20, n_threads=1)
    for kind in (classifier, SoftmaxRegression(), OneVsAllClassifier()):
        model = kind.fit(X, fitted_on(y))
        assert model.classes_.dtype == dates.dtype
        assert model.score(X, y) == model.score(X, list(y)) > 0.9
        labels, _ = model.predict_topk(X, 1, classes=list(dates[:2]))
        assert set(labels[:, 0].tolist()) <= set(dates[:2].tolist())


def test_no_label_is_lost(sparse_rows):
    """Rare labels and those of rows without features are kept, and large integers stay what they are."""
    X, y = sparse_rows(50, 20, 50)
    X = sp.csr_array(X.toarray() * (np.arange(50) % 7 > 0)[:, None])
    labels = np.array([2**62 + k for k in range(50)])
    for y_given in (labels[y], labels[y].tolist(), np.array([f"label {k}" for k in y])):
        model = flat_classifier(random_state=0, max_iter=1).fit(X, y_given)
        assert_array_equal(model.classes_, np.unique(y_given))
        assert sorted(model.predict_topk(X[:1], 50)[0][0]) == sorted(set(np.asarray(y_given).tolist()))
    huge = flat_classifier().fit(X[:3], [2**63, 2**63 + 1, -1])  # of which NumPy makes floats
    assert huge.classes_.tolist() == [-1, 2**63, 2**63 + 1]
    with pytest.raises(ValueError, match=r"y holds .* at position 0: float64 does not tell integers beyond 2\*\*53"):
        flat_classifier().fit(X[:3], np.array([2.0**60, 1, 2]))


def test_long_labels_are_not_cut(sparse_rows):
    X, y = sparse_rows(40, 20, 4)
    labels = np.array(["x" * 500 + str(k) for k in range(4)])
    model = flat_classifier(random_state=0, max_iter=1).fit(X, labels[y])
    assert set(model.predict(X)) <= set(labels)
    model.partial_fit(X, labels[y])
    model = flat_classifier(random_state=0).partial_fit(X[:5], ["a", "b", "a", "b", "a"], classes=["a", "b", *labels])
    assert_array_equal(model.classes_, sorted(["a", "b", *labels]))
    model.partial_fit(X, labels[y])


BAD = [
    ([True] * 30 + [1] * 30, ValueError, "holds True and 1, which are equal"),
    (["a"] * 58 + [1, 1.0], ValueError, "holds 1 and 1.0, which are equal"),
    (["a"] * 59 + [{}], TypeError, r"y must hold hashable labels, got \{\} at position 59"),
    (["a"] * 59 + [None], ValueError, "y must not hold missing labels, got None at position 59; ignore_label=nan"),
    (["a"] * 59 + [float("nan")], ValueError, "y must not hold missing labels, got nan at position 59"),
    (np.array(["2020-01-01"] * 59 + ["NaT"], "M8[D]"), ValueError, "y must not hold missing .*NaT.* at position 59"),
    (["a"] * 59 + [0.5], ValueError, "Unknown label type: y must hold class labels, got 0.5 at position 59"),
    (
        np.append(np.arange(59.0), np.nan),
        ValueError,
        "Unknown label type: y must hold class labels, got nan at position 59",
    ),
    (np.zeros(60, "V3"), TypeError, r"y must hold integers, .*got an array of \|V3"),
]


@pytest.mark.parametrize(("y", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_labels(data, y, error, message):
    with pytest.raises(error, match=message):
        small().fit(data[0], y)
    with pytest.raises(error, match=message):
        small().partial_fit(data[0], y, classes=y)


@pytest.mark.parametrize("long", [False, True])
def test_labels_of_another_kind_are_refused(data, long):
    """NumPy would find 1 among strings. A model that is asked for labels of another type must not just be wrong always."""
    X, codes = data
    names = [name + "x" * 100 * long for name in "012345"]
    model = small(early_stopping=True).fit(X, [names[k] for k in codes])
    others = [codes, codes.astype(float), codes > 2, np.array(list("012345"), "S1")[codes], codes.astype("M8[D]")]
    others += [codes.tolist(), [("0", 1)] * 60, [[0, 1], [2]] * 30]
    message = r"y(_val)? holds .* at position 0, which is not among the 6 classes: y.* the classes are strings"
    for other in others:
        for call in (model.target_log_proba, model.score, model.partial_fit, model.calibrate):
            with pytest.raises(ValueError, match=message if call != model.calibrate else "."):
                call(X, other)
        with pytest.raises(ValueError, match=message):
            small(early_stopping=True).fit(X, [names[k] for k in codes], X_val=X, y_val=other)
    with pytest.raises(ValueError, match="y holds 7 at position 3, which is not among the 6 classes: y holds objects"):
        model.score(X[:4], ["0", "1", "?", 7])
    assert model.score(X[:4], ["?", *names[1:3], "3?"]) == 0.5  # unknown labels of the same kind are only wrong
    numbers = small().fit(X, codes)
    with pytest.raises(ValueError, match=r"y holds '0' at position 1.*y holds objects .*, the classes are integers"):
        numbers.score(X[:2], [1, "0"])
    assert small().fit(X, codes % 2 == 1).score(X, codes % 2) == 1


def test_large_integers_are_not_compared_as_floats(data):
    X, codes = data
    model = small().fit(X, codes.astype(np.uint64) + 2**63)
    assert model.score(X, codes) == 0
    assert model.score(X, [2**63 + int(k) for k in codes]) == 1
    assert (v.encode_labels(np.array([2**63 + 1, 2**63 + 9], np.uint64), model.classes_, unknown=-1) == [1, -1]).all()
    close = np.array([2**62, 2**62 + 2])
    assert (v.encode_labels(np.array([2**62 + 1, 2**62 + 2], np.uint64), close, unknown=-1) == [-1, 1]).all()
    assert (v.encode_labels(np.array([2.0**62, 1e30]), close, unknown=-1) == [0, -1]).all()


def test_pandas(data):
    pd = pytest.importorskip("pandas")
    X, codes = data
    names = np.array([f"name {k}" for k in range(N_CLASSES)])
    expected = small().fit(X, names[codes])
    index = np.arange(60)[::-1] * 3
    series = [
        pd.Series(names[codes], index=index),
        pd.Series(names[codes], index=index, dtype="string"),
        pd.Series(pd.Categorical(names[codes])),
        pd.Categorical(names[codes]),
    ]
    for y in series:
        model = small().fit(X, y)
        assert_array_equal(model.classes_, names)
        assert_array_equal(model.coef_, expected.coef_)
        assert model.score(X, y) == 1
    assert small().fit(X, pd.Series(codes, dtype="Int64")).classes_.dtype == np.int64
    assert small().fit(X, pd.Series(codes.astype("M8[s]"))).classes_.dtype.kind == "M"
    for missing in (pd.Series([*codes[:-1].tolist(), pd.NA], dtype="Int64"), pd.Series([*names[codes[:-1]], None])):
        with pytest.raises(ValueError, match=r"y must .* ignore_label=nan leaves"):
            small().fit(X, missing)
        assert_array_equal(small(ignore_label=np.nan).fit(X, missing).coef_, small().fit(X[:-1], codes[:-1]).coef_)
    indicator = pd.get_dummies(pd.Series(codes))
    assert small().fit(X, indicator).score(X, indicator) == 1


# -- ignored rows --

IGNORED = [
    (-1, lambda y: np.append(y, [-1, -1])),
    (-1, lambda y: [f"c{k}" for k in y] + [-1, -1]),
    ("", lambda y: [f"c{k}" for k in y] + ["", ""]),
    (np.nan, lambda y: np.append(y.astype(float), [np.nan, np.nan])),
    (np.nan, lambda y: [("c", int(k)) for k in y] + [None, np.nan]),
    (np.datetime64("NaT"), lambda y: np.append(y.astype("M8[D]"), [np.datetime64("NaT")] * 2)),
    (("no", 1), lambda y: [("c", int(k)) for k in y] + [("no", 1)] * 2),
    (b"-", lambda y: np.append(y.astype("S1"), [b"-", b"-"])),
]


@pytest.mark.parametrize(("ignore_label", "labels"), IGNORED)
def test_ignored_rows_do_not_count(data, ignore_label, labels):
    X, codes = data
    y = labels(codes)
    X_more = sp.vstack([X, np.ones((2, N_CLASSES))], format="csr")
    weight = np.arange(1.0, 63.0)
    common = {"direct": None, "hidden_size": 3, "calibration_fraction": 0}
    model = small(ignore_label=ignore_label, **common).fit(X_more, y, sample_weight=weight)
    expected = small(**common).fit(X, y[:60], sample_weight=weight[:60])

    def assert_same():
        assert_array_equal(model.embedding_, expected.embedding_)
        assert_array_equal(model.intercept_, expected.intercept_)
        assert model.classes_.tolist() == expected.classes_.tolist()

    assert_same()
    model.partial_fit(X_more, y), expected.partial_fit(X, y[:60])
    assert_same()
    model.calibrate(X_more, y), expected.calibrate(X, y[:60])
    assert_same()
    model.partial_fit(X_more[60:], y[60:])  # nothing counts
    assert_same()
    assert model.score(X_more, y, weight) == expected.score(X, y[:60], weight[:60])
    log_proba = model.target_log_proba(X_more, y)
    assert np.isnan(log_proba[60:]).all()
    assert_array_equal(log_proba[:60], expected.target_log_proba(X, y[:60]))


def test_what_is_not_ignored(data):
    X, codes = data
    y = codes % 2 == 0
    assert_array_equal(small(ignore_label=0).fit(X, y).classes_, [False, True])  # 0 == False, but is not one
    assert_array_equal(small(ignore_label="0").fit(X, codes).classes_, np.arange(6))
    assert_array_equal(small(ignore_label=0).fit(X, codes).classes_, np.arange(1, 6))
    assert small(ignore_label=0).fit(X, [False, *codes[1:].tolist()]).classes_.tolist() == [False, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="none counts"):
        small(ignore_label=1).fit(X, np.ones(60, int))
    with pytest.raises(ValueError, match="none counts"):
        small(ignore_label=1).partial_fit(X, np.ones(60, int), classes=[0, 2])
    with pytest.raises(ValueError, match="y holds 5 at position 5, which is not among"):
        small(ignore_label=0).partial_fit(X, codes, classes=[1, 2, 3, 4])
    with pytest.raises(TypeError, match=r"ignore_label must be a label, got \[1\]"):
        small(ignore_label=[1]).fit(X, codes)


def test_what_is_ignored_is_no_class(data):
    with pytest.raises(ValueError, match="labels must not hold ignore_label, 9"):
        small(ignore_label=9).fit(*data).add_classes([9])
    with pytest.raises(ValueError, match="classes must not hold ignore_label, 9"):
        small(ignore_label=9).partial_fit(*data, classes=[*range(N_CLASSES), 9])


# -- scores and files --


def test_score_is_the_accuracy(data):
    rng = np.random.default_rng(0)
    X, y, weight = rng.standard_normal((60, 4)), rng.integers(0, 5, 60), rng.random(60)
    model = small(max_iter=2).fit(X[:40], y[:40])
    y[:3] = [7, -1, 9]  # unknown ones are wrong
    assert model.score(X, y) == pytest.approx(accuracy_score(y, model.predict(X)))
    assert model.score(X, y, weight) == pytest.approx(accuracy_score(y, model.predict(X), sample_weight=weight))
    with pytest.raises(ValueError, match="y has 59 labels, but X has 60 rows"):
        model.score(X, y[1:])


@pytest.mark.parametrize("weights", [None, {("a", 1): 2.0, ("b", 0): np.float32(0.5)}, "balanced"])
@pytest.mark.parametrize("ignore_label", [None, -1, ("no", None), np.nan])
def test_parameters_in_files(data, tmp_path, weights, ignore_label):
    X, codes = data
    model = small(class_weight=weights, ignore_label=ignore_label).fit(X, SORTED["tuples"][codes])
    model.save(tmp_path / "model")
    other = fs.load(tmp_path / "model")
    assert other.class_weight == weights
    assert other.ignore_label is ignore_label or other.ignore_label == ignore_label or np.isnan(other.ignore_label)
    assert other.classes_.tolist() == model.classes_.tolist()


@pytest.mark.parametrize("name", ["dates", "fractions", "sets"])
def test_labels_that_no_file_holds(data, tmp_path, name):
    X, codes = data
    model = small().fit(X, (SORTED | UNSORTED)[name][codes])
    with pytest.raises(TypeError, match=r"labels of type .* cannot be saved, got "):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
