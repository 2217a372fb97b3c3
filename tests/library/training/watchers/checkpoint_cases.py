"""What the tests of checkpoints share: data, kinds of training, and trainings that are stopped."""

import numpy as np
import pytest
import scipy.sparse as sp
from flat_options import flat_classifier
from numpy.testing import assert_array_equal

from fastsoftmax import samplers
from fastsoftmax.training.trainer import Trainer

N_CLASSES = 40


def data(seed=0, n_rows=200):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, N_CLASSES, n_rows)
    y[:N_CLASSES] = np.arange(N_CLASSES)
    noise = sp.random_array((n_rows, 12), density=0.3, rng=rng, format="csr")
    return sp.csr_array(sp.hstack([sp.eye_array(N_CLASSES, format="csr")[y], noise])).astype(np.float32), y


X, Y = data()
LOW_RANK = {"direct": None, "hidden_size": 6}
SAMPLED = LOW_RANK | {"loss": "sampled_softmax"}
MIXED = samplers.Mixed([samplers.LearnedUnigram(N_CLASSES), samplers.InBatch(np.ones(N_CLASSES))])
MODELS = {
    "full direct": {"direct": "dense"},
    "full low rank": LOW_RANK | {"gradient_threshold": 0.01},
    "full both, SGD": {"direct": "dense", "hidden_size": 6, "optimizer": "sgd"},
    "sampled": SAMPLED,
    "SGD": SAMPLED | {"optimizer": "sgd"},
    "unigram": SAMPLED | {"sampler": "unigram"},
    "uniform": SAMPLED | {"sampler": "uniform", "loss": "nce"},
    "log-uniform": SAMPLED | {"sampler": samplers.LogUniform(N_CLASSES)},
    "learned unigram": SAMPLED | {"sampler": "learned_unigram"},
    "multi-index": SAMPLED | {"sampler": samplers.MultiIndex(N_CLASSES, n_codes=3, refresh_every=2)},
    "mixed": SAMPLED | {"sampler": MIXED},
    "normaliser": SAMPLED | {"normaliser_rate": 0.5},
    "sparse direct": {"direct": "sparse"},
    "sparse beside": {"direct": "sparse", "hidden_size": 6},
    "early stopping": SAMPLED | {"early_stopping": True, "n_iter_no_change": 2, "learning_rate": 3.0, "max_iter": 9},
    "early stopping, dense": {"direct": "dense", "early_stopping": True, "max_iter": 3},
    "averaging": SAMPLED | {"average": 0.7},
    "normalised": SAMPLED | {"normalize": True, "average": 0.7},
    "normalised, early stopping": LOW_RANK | {"normalize": 5, "early_stopping": True, "n_iter_no_change": 9},
    "averaging, dense, early stopping": {
        "direct": "dense",
        "average": True,
        "early_stopping": True,
        "n_iter_no_change": 9,
    },
    "L1": {"direct": "dense", "l1_alpha": 1e-2},
    "L1, sparse": {"direct": "sparse", "l1_alpha": 1e-3, "average": True},
    "clipped": SAMPLED | {"clip_norm": 0.1, "class_weight": "balanced", "schedule": "cosine"},
}


def classifier(**params):
    defaults = {"n_negatives": 8, "batch_size": 32, "max_iter": 4, "n_threads": 1, "random_state": 3}
    if params.get("direct") != "dense":
        defaults["calibration_fraction"] = 0.2
    return flat_classifier(**defaults | params)


class Killed(BaseException):
    pass


def stop_after(monkeypatch, n_steps):
    """End the training in the middle of a step, after so many others."""
    step, left = Trainer._step, [n_steps]

    def counted(self, rows):
        if not left[0]:
            self.learners[-1].runner.model.bias.fill(7)  # half of a step
            raise Killed
        left[0] -= 1
        return step(self, rows)

    monkeypatch.setattr(Trainer, "_step", counted)


def in_pieces(monkeypatch, path, n_steps, make=classifier, X=X, Y=Y, fit_params=None, **params):
    """The model of a training that is killed whenever it has made `n_steps` more, and how often that was."""
    for n_times in range(1000):
        model = make(checkpoint=path, checkpoint_every=0, **params)
        with monkeypatch.context() as patch:
            stop_after(patch, n_steps)
            try:
                return model.fit(X, Y, **(fit_params or {})), n_times
            except Killed:
                assert path.exists()
    raise AssertionError("it never ends")


def stopped(monkeypatch, path, n_steps=5, fit_params=None, **params):
    """Train and be killed once."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_after(patch, n_steps)
        classifier(**{"checkpoint_every": 0} | params, checkpoint=path).fit(X, Y, **(fit_params or {}))


def assert_same(a, b):
    assert a.loss_curve_ == b.loss_curve_ and a.validation_curve_ == b.validation_curve_
    assert a.calibration_ == b.calibration_
    for name, value in a._model.arrays().items():
        assert_array_equal(value, b._model.arrays()[name], err_msg=name)
