"""Labels are found among many long ones by search, and what only a walk over all classes tells is found once."""

import gc

import numpy as np
import pytest
from flat_options import flat_classifier

from fastsoftmax import validation as v
from fastsoftmax.validation import class_facts, classes

K = 500
TEXTS = {
    "long strings": [f"{k:04d}" + "é" * 80 for k in range(K)],
    "a NUL at the end": [f"{k:04d}\0" for k in range(K)],
    "long bytes": [b"%04d" % k + b"x" * 300 for k in range(K)],
}


def learned(labels):
    return v.learn_classes(v.check_labels(labels)[0])[0]


@pytest.fixture
def walks(monkeypatch):
    """The lengths of the arrays whose labels were all looked at."""
    lengths = []

    def counted(labels, family=class_facts.family):
        lengths.append(len(labels))
        return family(labels)

    monkeypatch.setattr(class_facts, "family", counted)
    return lengths


@pytest.mark.parametrize("labels", TEXTS.values(), ids=TEXTS)
def test_the_codes_of_few_labels_among_many_texts(labels, monkeypatch):
    known, empty = learned(labels), labels[0][:0]
    assert known.dtype == object and class_facts.facts(known).is_ascending_text
    asked = [
        labels[-1],
        labels[0],
        labels[K // 2],
        labels[0],
        empty,
        labels[3][:-1],
        labels[3] + labels[0],
        max(labels) * 2,
    ]
    expected = [K - 1, 0, K // 2, 0, -1, -1, -1, -1]
    for given in (asked, np.array(asked, object)):
        assert v.encode_labels(v.check_labels(given)[0], known, unknown=-1).tolist() == expected
    monkeypatch.setattr(classes, "SEARCHES", K)  # so that a dict is made
    assert v.encode_labels(v.check_labels(asked)[0], known, unknown=-1).tolist() == expected
    fixed = np.array([label for label in asked if len(label) < 10])  # NumPy drops a NUL at the end
    assert v.encode_labels(fixed, known, unknown=-1).tolist() == [-1] * len(fixed)


@pytest.mark.parametrize("labels", TEXTS.values(), ids=TEXTS)
def test_classes_are_walked_over_once(labels, walks):
    known = learned(labels)
    for k in range(3):
        v.encode_labels(v.check_labels(labels[k : k + 2])[0], known)
    assert walks.count(K) == 1


def test_a_model_walks_over_its_classes_once(walks):
    names, X = TEXTS["long strings"], np.eye(3, 4, dtype=np.float32)
    model = flat_classifier(direct="dense", n_threads=1).partial_fit(X, names[:3], classes=names)
    for _ in range(2):
        model.partial_fit(X, names[3:6]).target_log_proba(X, names[:3])
        model.predict_topk(X, 2, exclude=[names[:2]] * 3)
    assert walks.count(K) == 1
    model.add_classes(["new" * 30])
    log_proba = model.predict_log_proba(X)
    np.testing.assert_allclose(
        model.target_log_proba(X, [names[-1], "new" * 30, names[0]]), log_proba[[0, 1, 2], [-2, -1, 0]]
    )


def test_texts_in_no_order_are_found_too():
    """A stored model may have them so."""
    labels = TEXTS["long strings"][::-1]
    known = np.fromiter(labels, object, K)
    assert not class_facts.facts(known).is_ascending_text
    assert v.encode_labels(v.check_labels(labels[5:8])[0], known).tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    "labels", [[("a", k) for k in range(K)], [*range(K - 1), "a"], [b"a" * 300, *TEXTS["long strings"]]]
)
def test_other_objects_are_no_text(labels):
    known = v.learn_classes(np.fromiter(labels, object, len(labels)))[0]
    assert not class_facts.facts(known).is_ascending_text
    asked = np.fromiter(labels[-3:], object, 3)
    assert v.encode_labels(asked, known).tolist() == [known.tolist().index(label) for label in asked]


def test_facts_go_with_their_array():
    gc.collect()
    before = len(class_facts._known)
    for labels in ([*TEXTS["long strings"]], [("a", k) for k in range(K)]) * 20:  # at the same place in memory, mostly
        known = learned(labels)
        assert class_facts.facts(known).family == ("strings" if isinstance(labels[0], str) else "objects")
        assert class_facts.facts(known) is class_facts.facts(known)
        del known
    gc.collect()
    assert len(class_facts._known) == before
