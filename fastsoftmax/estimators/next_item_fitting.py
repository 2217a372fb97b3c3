"""How a NextItemModel is fitted: held-out sequences choose, and then all sequences train."""

from typing import NamedTuple

import numpy as np

from fastsoftmax.estimators.next_item_mixture import (
    DEFAULT_WEIGHTS,
    Mixture,
    default_weights,
    fitted_weights,
    made_experts,
)
from fastsoftmax.estimators.next_item_network import Network
from fastsoftmax.sequences.experts import EXPERTS

MOST_HELD_OUT = 10_000  # rows
LEAST_HELD_OUT = 100  # rows, with which weights can be found
EPOCHS = 3  # that are tried first, and twice as many as long as that is better
WORTH = 0.003  # nats a row that an expert has to bring: each takes time in predictions
TRIED_ROWS = 3_000_000  # training rows times epochs, at most, of what is tried then


class Recipe(NamedTuple):
    """How the network is trained."""

    n_epochs: int
    reverses: bool  # whether each sequence is read from its end, too

    def doubled(self):
        return self._replace(n_epochs=2 * self.n_epochs)

    def __str__(self):
        return f"{self.n_epochs} epochs" + (" of the sequences and their reverses" if self.reverses else "")


class Result(NamedTuple):
    """What held-out rows say of a Recipe."""

    recipe: Recipe
    gained: float  # the mean log-likelihood of the mixture
    weights: np.ndarray  # of the experts
    proba: np.ndarray  # (n_rows,) what the network gives to the rows' own items


class Fitting:
    """Fits the mixture of a NextItemModel to Sequences.

    Parameters
    ----------
    sequences : Sequences
    n_items : int
    features : SequenceFeatures, fitted
    hidden_size, n_threads : resolved parameters of the model
    seed : int
    show : function that is called with what is to be told
    """

    def __init__(self, sequences, n_items, features, *, hidden_size, seed, n_threads, show, progress):
        self.sequences, self.n_items, self.features = sequences, n_items, features
        self.n_threads, self.show = n_threads, show
        self._options = {"hidden_size": hidden_size, "seed": seed, "n_threads": n_threads, "verbose": progress}

    def run(self, max_iter, validation_fraction):
        """The Mixture, and what was chosen, a dict."""
        n_kept = self._n_kept(validation_fraction)
        given = None if max_iter == "auto" else max_iter
        if n_kept is None:
            recipe, names = Recipe(given or EPOCHS, False), list(DEFAULT_WEIGHTS)
            self.show("too few rows can be held out: nothing is chosen, and the experts get fixed weights")
            weights, log_likelihood = default_weights(names), None
        else:
            recipe, names, weights, log_likelihood = self._chosen(n_kept, given)
        network = self.network(self.sequences, recipe)
        counts = np.bincount(self.sequences.ids, minlength=self.n_items)
        experts = made_experts(names, self.sequences, self.n_items, self.n_threads)
        chosen = recipe._asdict() | {"weights": dict(zip(names, weights.T.tolist(), strict=True))}
        return Mixture(network, experts, weights, counts), chosen | {"log_likelihood": log_likelihood}

    def _n_kept(self, fraction):
        """The number of sequences that are not held out; None where too few are left or too few rows could be held out.

        The last ones are held out: where sequences are in the order of time, they are the most like those to come.
        """
        n_rows = np.maximum(self.sequences.lengths - 1, 0)
        from_end = np.cumsum(n_rows[::-1])
        most = min(MOST_HELD_OUT, fraction * from_end[-1])
        n_held = int(np.searchsorted(from_end, most, side="right"))
        if n_held < len(n_rows) // 2 and (not n_held or from_end[n_held - 1] < LEAST_HELD_OUT):
            n_held += 1  # a long sequence stands before those
        if not n_held or from_end[n_held - 1] < LEAST_HELD_OUT:
            return None
        kept = self.sequences.part(0, len(n_rows) - n_held)
        return len(kept) if has_two_targets(kept) else None

    def _chosen(self, n_kept, n_epochs):
        """The best Recipe, the names of the experts that count, their weights, and the held-out mean log-likelihood."""
        trial = Trial(self, n_kept)
        best = max((trial.result(Recipe(n_epochs or EPOCHS, reverses)) for reverses in (False, True)), key=_gained)
        while n_epochs is None and trial.is_short(longer := best.recipe.doubled()):
            result = trial.result(longer)
            if result.gained <= best.gained:
                break
            best = result
        names, weights, gained = trial.worth_their_time(best)
        return best.recipe, names, weights, gained

    def network(self, sequences, recipe):
        if recipe.reverses:
            sequences = sequences.joined(sequences.reversed())
        return Network.trained(self.features, sequences, recipe.n_epochs, **self._options)


class Trial:
    """Tries recipes on the first sequences of a Fitting, and judges them by the others, which are held out."""

    def __init__(self, fitting, n_kept):
        self._fitting, sequences = fitting, fitting.sequences
        self._kept, held_out = sequences.part(0, n_kept), sequences.part(n_kept, len(sequences))
        self._histories, self._items, _ = held_out.prefixes()
        self._counts = np.bincount(self._kept.ids, minlength=fitting.n_items)
        self.experts = made_experts(EXPERTS, self._kept, fitting.n_items, fitting.n_threads)

    def is_short(self, recipe):
        """Whether it takes little time to try a recipe."""
        n_rows = np.maximum(self._kept.lengths - 1, 0).sum() * (2 if recipe.reverses else 1)
        return n_rows * recipe.n_epochs <= TRIED_ROWS

    def result(self, recipe):
        proba = self._fitting.network(self._kept, recipe).proba_of(self._histories, self._items)
        weights, gained = self.weights(proba, self.experts)
        self._fitting.show(f"{recipe}: perplexity {np.exp(-gained):.1f} of {len(self._items):,} held-out rows")
        return Result(recipe, gained, weights, proba)

    def worth_their_time(self, result):
        """The experts that bring WORTH, found by leaving them out one by one; their weights, and what is gained."""
        names, weights, gained = list(self.experts), result.weights, result.gained
        for name in sorted(names, key=dict(zip(names, result.weights.mean(axis=0), strict=True)).get):
            others = [other for other in names if other != name]
            weights_of_others, without = self.weights(result.proba, others)
            if without > gained - WORTH:
                names, weights, gained = others, weights_of_others, without
        return names, weights, gained

    def weights(self, proba, names):
        """The weights of these experts beside a network that gives `proba`, and the mean log-likelihood."""
        experts = {name: self.experts[name] for name in names}
        return fitted_weights(proba, experts, self._histories, self._items, self._counts)


def has_two_targets(sequences):
    """Whether two different items come after another: with fewer there is nothing to learn."""
    targets = sequences.prefixes()[1]
    return bool(len(targets)) and bool((targets != targets[0]).any())


def _gained(result):
    return result.gained
