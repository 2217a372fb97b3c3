"""The choice of the runner for a model."""

from fastsoftmax.model.pairs_runner import PairsRunner
from fastsoftmax.model.runner import Runner


def runner_for(model, X, **kwargs):
    """A PairsRunner where the sparse term is the model's only term, else a Runner, made with these arguments."""
    kind = PairsRunner if model.pairs is not None and model.E is None else Runner
    return kind(model, X, **kwargs)
