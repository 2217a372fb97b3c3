"""Models that the version before wrote: format 1, whose files lie in format_1/ with the predictions of that version."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from fastsoftmax import load

FOLDER = Path(__file__).parent / "format_1"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
X, Y = sp.csr_array(sp.vstack([sp.eye_array(6)] * 5).tocsr().astype(np.float32)), np.array(list("abcdef") * 5)


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize("name", EXPECTED)
def test_predictions_are_those_of_then(name, memory_map):
    model = load(FOLDER / f"{name}.safetensors", memory_map=memory_map)
    np.testing.assert_allclose(model.predict_log_proba(X[:6]), EXPECTED[name]["log_proba"], rtol=1e-5)


@pytest.mark.parametrize("name", ["sparse_beside", "dense_stopping"])
def test_training_goes_on_as_then(name):
    model = load(FOLDER / f"{name}.safetensors")
    model.partial_fit(X, Y)
    np.testing.assert_allclose(model.predict_log_proba(X[:6]), EXPECTED[name]["after_partial_fit"], rtol=1e-5)


def test_flat_parameters_become_objects():
    beside, stopping, compact = (load(FOLDER / f"{name}.safetensors") for name in EXPECTED)
    assert (beside.loss.sampler, beside.loss.n_negatives, beside.loss.normaliser_rate) == ("learned_unigram", 3, 0.5)
    assert (beside.direct.min_count, beside.direct.max_classes_per_feature) == (2, 7)
    assert (beside.hidden_size.size, beside.optimizer.clip_norm, beside.class_weight) == (2, 2.0, {"a": 2.0})
    assert (stopping.loss.gradient_threshold, stopping.optimizer.alpha, stopping.optimizer.l1_alpha) == (
        0.01,
        1e-3,
        1e-4,
    )
    assert (stopping.early_stopping.validation_fraction, stopping.early_stopping.n_iter_no_change) == (0.3, 2)
    assert compact.hidden_size.freeze and compact.storage_ == "int8"
    assert compact.loss == "auto" and compact.loss_ == "softmax"


def test_they_are_saved_in_the_format_of_now(tmp_path):
    model = load(FOLDER / "sparse_beside.safetensors")
    model.save(tmp_path / "now")
    again = load(tmp_path / "now")
    for a in (model, again):
        a.partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_log_proba(X), again.predict_log_proba(X))
