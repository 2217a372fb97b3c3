"""What a model's columns are, through files and copies of the model."""

import json
import pickle
import zlib

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from fastsoftmax import SoftmaxClassifier, SoftmaxRegression, features, load

TEXTS = ["boil an egg", "egg white foam", "why does bread rise", "bread and butter"]
LABELS = ["egg", "egg", "bread", "bread"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def trained(vectorizer, **params):
    return SoftmaxClassifier(random_state=0, max_iter=5, **params).fit(vectorizer.transform(TEXTS), LABELS)


def rewritten(path, change):
    """The model in `path` with its header and tensors changed, and checksums that fit."""
    tensors = load_file(path)
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["fastsoftmax"])
    change(header, tensors)
    header.pop("table_crc32", None)
    header["crc32"] = {name: zlib.crc32(a.tobytes()) for name, a in tensors.items()}
    save_file(tensors, path, metadata={"fastsoftmax": json.dumps(header)})


def vectorizers():
    return {"numbered": features.TextVectorizer().fit(TEXTS), "hashed": features.TextVectorizer(512, max_words=1)}


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize("name", ["numbered", "hashed"])
def test_a_model_keeps_its_vectorizer(path, name, memory_map):
    vectorizer = vectorizers()[name]
    model = trained(vectorizer)
    assert model.vectorizer_ is None
    model.save(path, vectorizer=vectorizer)
    assert model.vectorizer_ is vectorizer
    other = load(path, memory_map=memory_map)
    assert other.vectorizer_.vocabulary_ == vectorizer.vocabulary_
    rows = other.vectorizer_.transform(TEXTS)
    np.testing.assert_array_equal(other.predict_proba(rows), model.predict_proba(vectorizer.transform(TEXTS)))
    other.partial_fit(rows, LABELS).save(path)
    assert load(path).vectorizer_.to_dict().keys() == vectorizer.to_dict().keys()


@pytest.mark.parametrize("change", ["compressed", "pruned", "pickled"])
def test_copies_keep_it(path, change):
    vectorizer = vectorizers()["numbered"]
    model = trained(vectorizer, direct="dense", hidden_size=None)
    model.save(path, vectorizer=vectorizer)
    model = load(path)
    changes = {
        "compressed": lambda: model.compressed("int8"),
        "pruned": lambda: model.prune(1e-3),
        "pickled": lambda: pickle.loads(pickle.dumps(model)),
    }
    changes[change]().save(path)
    other = load(path)
    assert other.vectorizer_.vocabulary_ == vectorizer.vocabulary_
    assert other.predict(other.vectorizer_.transform(["egg"])) == ["egg"]


def test_fit_forgets_the_columns_of_before(path):
    vectorizer = vectorizers()["numbered"]
    model = trained(vectorizer)
    model.save(path, vectorizer=vectorizer)
    assert load(path).fit(np.eye(4), LABELS).vectorizer_ is None


def test_a_vectorizer_must_be_that_of_the_model(path):
    model = trained(vectorizers()["numbered"])
    with pytest.raises(ValueError, match="vectorizer makes 512 columns, but the model has 11 features"):
        model.save(path, vectorizer=vectorizers()["hashed"])
    with pytest.raises(TypeError, match="vectorizer must be a TextVectorizer"):
        model.save(path, vectorizer=str.split)
    assert not path.exists() and model.vectorizer_ is None


def test_a_save_that_fails_leaves_the_model_alone(path):
    vectorizer = vectorizers()["numbered"]
    model = trained(vectorizer)
    with pytest.raises(FileNotFoundError):
        model.save(path / "file", vectorizer=vectorizer)
    with pytest.raises(TypeError, match="schedule"):
        model.set_params(schedule=lambda progress: 1.0).save(path, vectorizer=vectorizer)
    assert model.vectorizer_ is None and not path.exists()


def test_files_from_before_there_were_vocabularies(path):
    """They tell the format and the three parameters of the vectorizer, which hashed."""
    vectorizer = vectorizers()["hashed"]
    model = trained(vectorizer)
    model.save(path)
    parameters = {"n_features": 512, "max_words": 1, "lowercase": True}
    rewritten(path, lambda header, _: header.update(extra={"format": "fasttext", "vectorizer": parameters}))
    other = load(path)
    assert other.encoding_.format == "fasttext" and other.encoding_.first_index is None
    rows = other.vectorizer_.transform(TEXTS)
    assert (rows != vectorizer.transform(TEXTS)).nnz == 0
    np.testing.assert_array_equal(other.predict_proba(rows), model.predict_proba(rows))
    rewritten(path, lambda header, _: header.update(extra=None))
    assert load(path).vectorizer_ is None


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("fasttext", "encoding must be a dict"),
        ({"format": "fasttext"}, "encoding must be a dict"),
        ({"format": "parquet", "vectorizer": None}, "format must be one of"),
        ({"format": "svmlight", "first_index": -1, "vectorizer": None}, "first_index must be at least 0"),
        ({"format": "svmlight", "first_index": "1", "vectorizer": None}, "first_index must be an integer"),
        ({"format": None, "vectorizer": {"n_features": 3}}, "parameters must be a dict"),
        (
            {"format": None, "vectorizer": {"n_features": 9, "max_words": 1, "lowercase": True}},
            "makes 9 columns, but the model has 512",
        ),
    ],
)
def test_a_foreign_encoding(path, extra, message):
    trained(vectorizers()["hashed"]).save(path)
    rewritten(path, lambda header, _: header.update(extra=extra))
    with pytest.raises(ValueError, match=f"not a complete fastsoftmax model .*{message}"):
        load(path)


def test_a_damaged_vocabulary(path):
    vectorizer = vectorizers()["numbered"]
    trained(vectorizer).save(path, vectorizer=vectorizer)

    def cut(_, tensors):
        tensors["encoding.vectorizer.vocabulary"] = tensors["encoding.vectorizer.vocabulary"][:-20]

    rewritten(path, cut)
    with pytest.raises(ValueError, match=r"not a complete fastsoftmax model .*columns, but the model has 11 features"):
        load(path)


def test_a_long_ngram_takes_its_own_length(path):
    """An array of strings would take as much for each as for the longest."""
    vectorizer = features.TextVectorizer().fit([*TEXTS, "x" * 100_000])
    trained(vectorizer).save(path, vectorizer=vectorizer)
    assert path.stat().st_size < 120_000


COLLECTIONS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "objects": lambda a: np.array(a, object),
    "column": pd.Series,
}


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_texts_in_the_place_of_columns(path, kind):
    """The message says what makes columns of them; scikit-learn's would ask for another shape. test_texts.py has the rest."""
    texts, vectorizer = COLLECTIONS[kind](TEXTS), vectorizers()["numbered"]
    for fresh in (SoftmaxClassifier(), SoftmaxRegression()):
        with pytest.raises(
            ValueError, match=r"X holds texts \('boil an egg'\).*TextVectorizer\(\).fit_transform\(texts\)"
        ):
            fresh.fit(texts, LABELS)
    model = trained(vectorizer)
    with pytest.raises(ValueError, match=r"X holds texts \('boil an egg'\).*features.TextVectorizer"):
        model.predict(texts)
    model.save(path, vectorizer=vectorizer)
    with pytest.raises(ValueError, match=r"X holds texts .*, and this model takes columns"):
        load(path).fit(texts, LABELS)  # which chooses the columns anew
