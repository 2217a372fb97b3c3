"""How a NextItemModel is fitted: held-out sequences choose, and then all sequences train."""

from typing import NamedTuple

import numpy as np

from fastsoftmax.estimators.next_item_mixture import (
    LEAST_WEIGHT,
    Mixture,
    default_weights,
    fitted_weights,
    made_experts,
)
from fastsoftmax.estimators.next_item_network import Network
from fastsoftmax.sequences.experts import EXPERTS

MOST_HELD_OUT = 10_000  # rows
LEAST_HELD_OUT = 100  # rows, with which weights can be found
EPOCHS = (3, 6, 12)  # that "auto" tries, each only if the one before was better than the one before that
MOST_ROWS_OF_12 = 200_000  # training rows with which 12 epochs are tried
GAIN = 0.002  # of the mean log-likelihood, for which it is worth while to train on more rows


class Recipe(NamedTuple):
    """How the network is trained."""

    n_epochs: int
    reverses: bool  # whether each sequence is read from its end, too


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
        recipes = [Recipe(max_iter, False)] if max_iter != "auto" else None
        if n_kept is None:
            recipe, names = Recipe(EPOCHS[1] if recipes is None else max_iter, False), EXPERTS
            self.show("too few sequences to hold some out: the experts get fixed weights")
            weights, log_likelihood = default_weights(EXPERTS), None
        else:
            recipe, names, weights, log_likelihood = self._chosen(n_kept, recipes)
        network = self._network(self.sequences, recipe)
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
        held_rows = from_end[n_held - 1] if n_held else 0
        return None if held_rows < LEAST_HELD_OUT else len(n_rows) - n_held

    def _chosen(self, n_kept, recipes):
        """The best Recipe, the names of the experts that count, their weights, and the held-out mean log-likelihood."""
        kept, held_out = self.sequences.part(0, n_kept), self.sequences.part(n_kept, len(self.sequences))
        histories, items, _ = held_out.prefixes()
        counts = np.bincount(kept.ids, minlength=self.n_items)
        experts = made_experts(EXPERTS, kept, self.n_items, self.n_threads)
        best = None
        for recipe in recipes or self._recipes(kept):
            proba = self._network(kept, recipe).proba_of(histories, items)
            weights, gained = fitted_weights(proba, experts, histories, items, counts)
            self.show(f"{_told(recipe)}: perplexity {np.exp(-gained):.1f} of {len(items):,} held-out rows")
            if best is None or gained > best[0]:
                best = gained, recipe, proba, weights
        _, recipe, proba, weights = best
        names = [name for name, weight in zip(experts, weights.mean(axis=0), strict=True) if weight >= LEAST_WEIGHT]
        experts = {name: experts[name] for name in names}
        weights, gained = fitted_weights(proba, experts, histories, items, counts)
        return recipe, names, weights, gained

    def _recipes(self, kept):
        yield Recipe(EPOCHS[0], False)
        yield Recipe(EPOCHS[1], False)
        yield Recipe(EPOCHS[0], True)

    def _network(self, sequences, recipe):
        if recipe.reverses:
            sequences = sequences.joined(sequences.reversed())
        return Network.trained(self.features, sequences, recipe.n_epochs, **self._options)


def _told(recipe):
    return f"{recipe.n_epochs} epochs" + (" of the sequences and their reverses" if recipe.reverses else "")
