"""The calls of fastsoftmax that are timed: functions without arguments that train on one batch or predict it."""

import numpy as np

from fastsoftmax.model.runners import runner_for
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.runtime import threads
from fastsoftmax.samplers import Unigram
from fastsoftmax.training.learner import Learner
from fastsoftmax.training.step_losses import FullLoss, SampledLoss

from . import problem

FULL, ROUNDED, SAMPLED = "full softmax, low rank", "full softmax, small gradients rounded", "sampled softmax, low rank"
SUPPORT, LINEAR = "exact on the support", "linear, dense weights"
TOP, TOP_SUPPORT = "top 20, low rank", "top 20, exact on the support"
GRADIENT_THRESHOLD = 3e-4  # SoftmaxClassifier's default
MODELS = {
    FULL: problem.low_rank,
    ROUNDED: problem.low_rank,
    SAMPLED: problem.low_rank,
    TOP: problem.low_rank,
    SUPPORT: problem.support,
    TOP_SUPPORT: problem.support,
    LINEAR: problem.linear,
}


def is_prediction(series):
    return series in (TOP, TOP_SUPPORT)


def expected_bytes(series, n_classes):
    """Return the bytes that the model of a series will take."""
    n_features, d, pairs = problem.N_FEATURES, problem.HIDDEN_SIZE, problem.N_FEATURES * problem.CLASSES_PER_FEATURE
    if MODELS[series] is problem.low_rank:
        return 4 * ((n_classes + n_features) * (d + 1) + 2 * n_classes)
    if MODELS[series] is problem.support:
        return 4 * (3 * pairs + n_features + n_classes)
    return 8 * n_classes * (n_features + 1)


def call(series, model, classes, n_threads=None):
    """Return a function that makes a training step on the next batch, or predicts the best classes of the first one."""
    n_threads = threads.resolve(n_threads)
    if is_prediction(series):
        return _prediction(series, model, n_threads)
    runner = runner_for(model, problem.rows(), n_threads=n_threads)
    rule = Adagrad().rule(problem.LEARNING_RATE)
    learner = Learner(runner, _loss(series, classes), rule, sums=series == SUPPORT)
    rng, batches, weight = np.random.default_rng(0), problem.batches(), np.ones(problem.BATCH_SIZE)

    def step():
        rows = next(batches)
        learner.step(rows, classes.target[rows], weight, rng, 1.0)

    return step


def _loss(series, classes):
    if series == SAMPLED:
        return SampledLoss(Unigram(classes.counts), problem.N_NEGATIVES)
    return FullLoss(GRADIENT_THRESHOLD if series == ROUNDED else 0.0)


def _prediction(series, model, n_threads):
    runner = runner_for(model, problem.rows()[: problem.BATCH_SIZE], n_threads=n_threads)
    return lambda: runner.topk(problem.TOP_K)
