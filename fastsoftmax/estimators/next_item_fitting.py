"""How a NextItemModel is fitted: held-out sequences choose, and then all sequences train."""

import functools
from typing import NamedTuple

import numpy as np

from fastsoftmax.estimators.interruption import Interruptible
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
    network: Network


class Fitting(Interruptible):
    """Fits the mixture of a NextItemModel to Sequences. After Ctrl-C it ends with the best network so far, if there is one.

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
            network = self.network(self.sequences, recipe)
        else:
            best, names, weights, log_likelihood = self._chosen(n_kept, given)
            recipe, network = best.recipe, self._of_all(best)
        counts = np.bincount(self.sequences.ids, minlength=self.n_items)
        made = functools.partial(made_experts, names, self.sequences, self.n_items, self.n_threads)
        experts = self.despite_ctrl_c(made)
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
        """The best Result, the names of the experts that count, their weights, and the held-out mean log-likelihood."""
        trial = Trial(self, n_kept)
        best = trial.result(Recipe(n_epochs or EPOCHS, False))
        best = self._better(trial, best, best.recipe._replace(reverses=True))
        while n_epochs is None and trial.is_short(longer := best.recipe.doubled()):
            before, best = best, self._better(trial, best, longer)
            if best is before:
                break
        try:
            return best, *trial.worth_their_time(best)
        except KeyboardInterrupt:
            self.interrupted = True
            return best, list(trial.experts), best.weights, best.gained

    def _better(self, trial, best, recipe):
        """The better one of the best Result so far and that of a recipe, which is not tried any more after Ctrl-C."""
        if self.interrupted:
            return best
        try:
            return max(best, trial.result(recipe), key=_gained)
        except KeyboardInterrupt:
            self.interrupted = True
            return best

    def _of_all(self, best):
        """The network of the recipe of the best Result that learns from all sequences; after Ctrl-C, that of the Result."""
        if self.interrupted:
            return best.network
        try:
            network = self.network(self.sequences, best.recipe)
        except KeyboardInterrupt:
            self.interrupted = True
        return best.network if self.interrupted else network

    def network(self, sequences, recipe):
        """The Network that learns from sequences by a recipe; after Ctrl-C what it has learned, if it has begun to."""
        if recipe.reverses:
            sequences = sequences.joined(sequences.reversed())
        network, is_whole = Network.trained(self.features, sequences, recipe.n_epochs, **self._options)
        self.interrupted |= not is_whole
        return network


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
        network = self._fitting.network(self._kept, recipe)
        judged = functools.partial(self._judged, network)
        proba, weights, gained = self._fitting.despite_ctrl_c(judged)
        self._fitting.show(f"{recipe}: perplexity {np.exp(-gained):.1f} of {len(self._items):,} held-out rows")
        return Result(recipe, gained, weights, proba, network)

    def _judged(self, network):
        proba = network.proba_of(self._histories, self._items)
        return proba, *self.weights(proba, self.experts)

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
