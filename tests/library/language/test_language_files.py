"""Files of language models whose checksums are right, and which say what no model says."""

import functools

import numpy as np
import pytest
from language_twin import sentences

from fastsoftmax import LanguageModel, load
from fastsoftmax.files import tensor_file


@functools.cache
def fitted(order=2):
    options = {"order": order, "hidden_size": 4, "context": "document", "cache": True, "max_iter": 1}
    return LanguageModel(**options, random_state=0, n_threads=1).fit(sentences(100))


def crafted(path, change, order=2):
    """Save the model in file `path`, after `change` of its header and tensors."""
    fitted(order).save(path)
    header, tensors = tensor_file.read(path, "fastsoftmax.LanguageModel", (1,))
    change(header, tensors)
    tensor_file.write(path, tensors, header)


def set_history(**fields):
    return lambda header, tensors: header["history"].update(fields)


def set_param(**params):
    return lambda header, tensors: header["params"].update(params)


def set_header(**fields):
    return lambda header, tensors: header.update(fields)


def set_first(name, value):
    return lambda header, tensors: np.put(tensors[name], 0, value)


def set_tensor(name, function):
    return lambda header, tensors: tensors.update({name: function(tensors[name])})


def more_tables(header, tensors):
    """A table more than n-grams of two words have."""
    tensors["ngrams.table.1"] = np.arange(3)
    header["n_tables"] = 2


def trade_weights(header, tensors):
    """Rows that add up to 1, and have a negative number."""
    tensors["weights"][:, :2] = 1.5, -0.5
    tensors["weights"][:, 2:] = 0


CHANGES = {
    "weights: nan": set_first("weights", np.nan),
    "weights: sum": set_first("weights", 2.0),
    "weights: negative": trade_weights,
    "weights: shape": set_tensor("weights", lambda a: a[:-1]),
    "weights: flat": set_tensor("weights", np.ravel),
    "weights: dtype": set_tensor("weights", lambda a: np.zeros(a.shape, dtype=np.int64)),
    "factors: inf": set_first("factors", np.inf),
    "factors: inf in float32": set_first("factors", 1e300),
    "factors: shape": set_tensor("factors", lambda a: a[:3]),
    "E: nan": set_first("low_rank.E", np.nan),
    "E: dtype": set_tensor("low_rank.E", lambda a: a.astype(np.float64)),
    "V: shape": set_tensor("low_rank.V", lambda a: np.ascontiguousarray(a[:, 1:])),
    "bias: inf": set_first("low_rank.bias", np.inf),
    "n-grams: nan": set_first("ngrams.bias", np.nan),
    "n-grams: class": set_first("ngrams.classes", 10**6),
    "n-grams: negative class": set_first("ngrams.classes", -1),
    "table: descends": set_tensor("ngrams.table.0", lambda a: np.ascontiguousarray(a[::-1])),
    "table: twice": set_tensor("ngrams.table.0", lambda a: np.where(a == a[5], a[4], a)),
    "table: word": set_tensor("ngrams.table.0", lambda a: np.append(a[:-1], 10**6)),
    "table: negative": set_tensor("ngrams.table.0", lambda a: np.append(-2, a[1:])),
    "table: dtype": set_tensor("ngrams.table.0", lambda a: a.astype(np.int32)),
    "table: shape": set_tensor("ngrams.table.0", lambda a: a[:, None].copy()),
    "table: shorter": set_tensor("ngrams.table.0", lambda a: a[:-1].copy()),
    "tables: too many": more_tables,
    "tables: too few": set_header(n_tables=0),
    "tables: number": set_header(n_tables=1.0),
    "tables: negative": set_header(n_tables=-1),
    "starts: descend": set_tensor("ngrams.starts", lambda a: np.append(a[:-1], a[0])),
    "n_classes": set_history(n_classes=3),
    "n_places": set_history(n_places=2.0),
    "window": set_history(window="40"),
    "window: huge": set_history(window=2**40),
    "window: negative": set_history(window=-1, n_places=3),
    "no places": set_history(window=0, n_places=0),
    "decay: nan": set_history(decay=float("nan")),
    "decay: str": set_history(decay="0.9"),
    "decay: above 1": set_history(decay=1.5),
    "across": set_history(across=1),
    "other field": set_history(other=1),
    "history: list": set_header(history=[]),
    "history: empty": set_header(history={}),
    "has_cache": set_header(has_cache=1),
    "n_tokens": set_header(n_tokens="many"),
    "chosen": set_header(chosen=[]),
    "vocabulary": set_header(vocabulary="words"),
    "vocabulary: word": lambda header, tensors: header["vocabulary"].__setitem__(3, 1.5),
    "vocabulary: twice": lambda header, tensors: header["vocabulary"].__setitem__(3, header["vocabulary"][2]),
    "params: list": set_header(params=[1]),
    "params: order": set_param(order="x"),
    "params: n_threads": set_param(n_threads="x"),
    "params: other": set_param(other=1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_crafted_files_are_refused(change, tmp_path):
    path = tmp_path / "model.safetensors"
    crafted(path, change)
    for read in (LanguageModel.load, load):
        with pytest.raises(ValueError, match=r"model\.safetensors: not a complete fastsoftmax model"):
            read(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: np.append(a[:-1], 10**9),
        lambda a: np.append(-1, a[1:]),
        lambda a: np.ascontiguousarray(a[::-1]),
        lambda a: np.where(a == a[5], a[4], a),
        lambda a: a.astype(np.float64),
    ],
    ids=["beyond", "negative", "descends", "twice", "dtype"],
)
def test_crafted_tables_of_longer_n_grams_are_refused(change, tmp_path):
    crafted(tmp_path / "model", set_tensor("ngrams.table.1", change), order=3)
    with pytest.raises(ValueError, match="not a complete fastsoftmax model"):
        load(tmp_path / "model")


def test_a_model_whose_order_is_for_its_next_fit(tmp_path):
    """The order of a file is that of its n-grams, whatever the parameter says."""
    model = (
        LanguageModel(order=3, hidden_size=None, random_state=0, n_threads=1).fit(sentences(100)).set_params(order=1)
    )
    model.save(tmp_path / "model")
    other = load(tmp_path / "model")
    np.testing.assert_array_equal(other.log_proba(sentences(5)), model.log_proba(sentences(5)))
    assert other.order == 1


def test_a_file_that_was_written_anew_is_the_model(tmp_path):
    crafted(tmp_path / "model", lambda header, tensors: None)
    model = LanguageModel.load(tmp_path / "model")
    np.testing.assert_array_equal(model.log_proba(sentences(5)), fitted().log_proba(sentences(5)))
    assert model.chosen_ == fitted().chosen_
