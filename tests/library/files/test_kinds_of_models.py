"""Files that hold a model of another class than the one that is expected, or of none; and the arguments of `load`."""

import functools

import numpy as np
import pytest

from fastsoftmax import LanguageModel, NextItemModel, SoftmaxClassifier, SoftmaxRegression, load
from fastsoftmax.files import tensor_file

NAMES = {
    SoftmaxClassifier: "a model",
    SoftmaxRegression: "a regression",
    LanguageModel: "a language model",
    NextItemModel: "a model of the next item",
}


@functools.cache
def fitted(kind):
    if kind is SoftmaxClassifier:
        return SoftmaxClassifier(max_iter=1).fit(np.eye(3), [0, 1, 2])
    if kind is SoftmaxRegression:
        return SoftmaxRegression().fit(np.eye(3), [0, 1, 2])
    if kind is LanguageModel:
        return LanguageModel(order=2, hidden_size=None, cache=False).fit(["a b", "b a", "a b"] * 3)
    return NextItemModel(hidden_size=4, max_iter=1, random_state=0).fit([["a", "b"], ["b", "a"]])


@pytest.mark.parametrize("expected", NAMES)
@pytest.mark.parametrize("kind", NAMES)
def test_a_file_of_another_class_says_what_it_is(kind, expected, tmp_path):
    path = tmp_path / "file"
    fitted(kind).save(path)
    if kind is expected:
        assert type(expected.load(path)) is type(load(path)) is kind
        return
    with pytest.raises(ValueError, match=f"file: this is {NAMES[kind]}, but {NAMES[expected]} is expected$"):
        expected.load(path)


@pytest.mark.parametrize("format", [["fastsoftmax.LanguageModel"], {}, 3, None])
@pytest.mark.parametrize("read", [load, *(kind.load for kind in NAMES)])
def test_a_format_that_is_no_name(read, format, tmp_path):
    path = tmp_path / "file"
    tensor_file.write(path, {}, {"format": format, "format_version": 1})
    with pytest.raises(ValueError, match=r"file: holds .* version 1, but this version reads 'fastsoftmax"):
        read(path)


@pytest.mark.parametrize("path", [None, 0, 1.5, ["model"]])
def test_a_path_is_checked_first(path):
    with pytest.raises(TypeError, match="path must be a path, got"):
        load(path)


@pytest.mark.parametrize("kind", NAMES)
def test_memory_map_is_checked_for_all_classes(kind, tmp_path):
    path = tmp_path / "file"
    fitted(kind).save(path)
    for given in (path, tmp_path / "missing"):
        with pytest.raises(TypeError, match="memory_map must be True or False, got 'x'"):
            load(given, memory_map="x")
    assert type(load(bytes(path), memory_map=True)) is kind
