"""SequenceFeatures in the files of classifiers, and files and pickles of before they had all of their options."""

import pickle

import numpy as np
import pytest

from fastsoftmax import NextItemModel, SequenceFeatures, SoftmaxClassifier, load
from fastsoftmax.cli import main as cli
from fastsoftmax.estimators import next_item_saving, saving
from fastsoftmax.files import model_file, tensor_file

NEW = ("ngrams", "half_life", "length_buckets", "side")
EVENTS = {
    "user": ["ann", "bob", "ann", "bob", "ann", "bob"],
    "item": ["tea", "milk", "jam", "tea", "jam", "jam"],
    "time": [1, 2, 3, 4, 5, 7],
    "category": [1, 1, 2, 1, 2, 2],
}
OPTIONS = {"half_life": 2.0, "ngrams": 3, "length_buckets": True, "side": ("category", "user")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def trained(features, sequences):
    X, y = features.prefixes(sequences)
    return SoftmaxClassifier(hidden_size=4, max_iter=2, random_state=0).fit(X, y)


def rewritten(path, change, format, versions):
    """The model in `path` with its header and tensors changed, and checksums that fit."""
    header, tensors = tensor_file.read(path, format, versions)
    del header["crc32"]
    change(header, tensors)
    tensor_file.write(path, tensors, header)


def assert_alike(features, other, sequences):
    assert isinstance(other, SequenceFeatures) and other.get_params() == features.get_params()
    np.testing.assert_array_equal(other.get_feature_names_out(), features.get_feature_names_out())
    np.testing.assert_array_equal(other.transform(sequences).toarray(), features.transform(sequences).toarray())


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize("n_shards", [None, 2])
def test_a_model_keeps_its_features(path, memory_map, n_shards):
    features = SequenceFeatures(**OPTIONS).fit(EVENTS)
    assert len(features._ngrams) == 1  # one of two items, and none of three
    model = trained(features, EVENTS)
    model.save(path, vectorizer=features, n_shards=n_shards)
    assert model.vectorizer_ is features and model.encoding_.vectorizer is None
    other = load(path, memory_map=memory_map)
    assert_alike(features, other.vectorizer_, EVENTS)
    rows = other.vectorizer_.transform(EVENTS)
    np.testing.assert_array_equal(other.predict_proba(rows), model.predict_proba(features.transform(EVENTS)))
    other.save(path, n_shards=n_shards)
    assert_alike(features, load(path).vectorizer_, EVENTS)
    assert_alike(features, pickle.loads(pickle.dumps(other)).vectorizer_, EVENTS)


@pytest.mark.parametrize(
    "items",
    [
        [5, 7, 9],
        ["a", "b\0", "\ud800"],
        [("a", 1), ("b", 2), ("c", 3)],
        [b"a", b"b", b"c"],
        np.array(["2020-01-01", "2020-01-03", "2021-01-01"], "M8[D]"),
    ],
)
def test_items_of_any_kind(path, items):
    sequences = [[items[i % len(items)] for i in range(start, start + 4)] for start in range(3)]
    features = SequenceFeatures(ngrams=2).fit(sequences)
    trained(features, sequences).save(path, vectorizer=features)
    assert_alike(features, load(path).vectorizer_, sequences)


def test_items_that_files_cannot_hold(path):
    features = SequenceFeatures().fit([[frozenset()], [frozenset([1])]])
    model = SoftmaxClassifier(hidden_size=4, max_iter=1).fit(features.transform([[frozenset()]] * 3), [0, 1, 1])
    with pytest.raises(TypeError, match="labels of type frozenset cannot be saved"):
        model.save(path, vectorizer=features)


def test_loaded_features_learn_further_items(path):
    features = SequenceFeatures(ngrams=2).fit([["a", "b", "c"], ["a", "b"]])
    trained(features, [["a", "b", "c"]]).save(path, vectorizer=features)
    loaded = load(path).vectorizer_.partial_fit([["b", "aa"], ["b", "aa", "b"]])
    assert loaded.items_.tolist() == ["a", "aa", "b", "c"]
    assert loaded.get_feature_names_out()[-2:].tolist() == ["b then aa", "a then b"]


def test_features_must_be_those_of_the_model(path):
    features = SequenceFeatures().fit(EVENTS)
    model = trained(features, EVENTS)
    with pytest.raises(ValueError, match="vectorizer makes 9 columns, but the model has 12 features"):
        model.save(path, vectorizer=SequenceFeatures(places=1).fit(EVENTS))
    with pytest.raises(ValueError, match="not fitted"):
        model.save(path, vectorizer=SequenceFeatures())
    assert not path.exists() and model.vectorizer_ is None


def test_explanations_and_info_name_the_columns(path, capsys):
    features = SequenceFeatures().fit(EVENTS)
    model = trained(features, EVENTS)
    model.save(path, vectorizer=features)
    names = {name for of_row in load(path).explain(features.transform(EVENTS)) for name in of_row.features}
    assert names <= set(features.get_feature_names_out()) and names
    assert cli.main(["info", str(path)]) == 0
    assert "histories of 3 items" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        lambda stored, tensors: stored.update(params={"places": -1, "side": []}),
        lambda stored, tensors: stored.update(params=None),
        lambda stored, tensors: stored["params"].update(steps=3),
        lambda stored, tensors: stored["params"].update(side=["category", "user", "shop"]),
        lambda stored, tensors: stored.pop("items"),
        lambda stored, tensors: tensors.update({stored["ngrams"]["0"]["\0array"]: np.array([-1])}),
        lambda stored, tensors: tensors.update({stored["ngrams"]["0"]["\0array"]: np.array([99])}),
        lambda stored, tensors: tensors.update({stored["ngrams"]["0"]["\0array"]: np.array([1, 1])}),
        lambda stored, tensors: tensors.update({stored["ngrams"]["0"]["\0array"]: np.array([1.0])}),
        lambda stored, tensors: tensors.update({stored["ngrams"]["0"]["\0array"]: np.empty(0, np.int64)}),
    ],
)
def test_damaged_features_are_refused(path, change):
    features = SequenceFeatures(**OPTIONS).fit(EVENTS)
    trained(features, EVENTS).save(path, vectorizer=features)

    def change_features(header, tensors):
        change(header["extra"]["sequences"], tensors)

    rewritten(path, change_features, saving.FORMAT, model_file.VERSIONS)
    with pytest.raises(ValueError, match="not a complete fastsoftmax model"):
        load(path)


def test_files_with_fewer_options(path):
    """Such as those of a NextItemModel of before there were these."""
    model = NextItemModel(hidden_size=4, random_state=0).fit([["a", "b", "c"], ["c", "a"]] * 5)
    model.save(path)

    def without_new_options(header, tensors):
        for name in NEW:
            del header["features"][name]

    rewritten(path, without_new_options, next_item_saving.FORMAT, (next_item_saving.VERSION,))
    np.testing.assert_array_equal(load(path).predict_topk([["a"]], 3)[1], model.predict_topk([["a"]], 3)[1])


def test_pickles_with_fewer_options():
    features = SequenceFeatures().fit([["a", "b"], ["b"]])
    expected = features.transform([["a", "b"]]).toarray()
    for name in (*NEW, "_ngrams", "_learner", "side_values_"):
        del vars(features)[name]
    features = pickle.loads(pickle.dumps(features))
    np.testing.assert_array_equal(features.transform([["a", "b"]]).toarray(), expected)
    assert features.partial_fit([["c"]]).items_.tolist() == ["a", "b", "c"]
