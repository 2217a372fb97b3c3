"""Which runner a model takes."""

from fastsoftmax.model.pairs_runner import PairsRunner
from fastsoftmax.model.runner import Runner


def runner_for(model, X, **kwargs):
    """A PairsRunner where the model is a sparse term alone, else a Runner; kwargs as they take them."""
    kind = PairsRunner if model.pairs is not None and model.E is None else Runner
    return kind(model, X, **kwargs)
