"""What the parts of a NextItemModel are worth: each alone, and the mixture without each.

    python -m benches.studies.next_item_parts FILE.npz

FILE.npz is that of `next_item`, of which the training sessions alone are read. All is fitted to the first 95 % of them, and
judged by rows of the others whose item occurs in the first. A mixture gets its own weights from sessions that are held out of
the first 95 %, as NextItemModel does it; the recipe of the network stays that of the whole mixture. Without a network,
popularity takes its place.
"""

import argparse

import numpy as np

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.estimators.next_item import HIDDEN_SIZE
from fastsoftmax.estimators.next_item_fitting import Fitting, Recipe, Trial
from fastsoftmax.estimators.next_item_mixture import N_BUCKETS, Mixture, made_experts
from fastsoftmax.estimators.next_item_network import Network
from fastsoftmax.metrics import hit_at_k, mrr_at_k
from fastsoftmax.sequences.experts import EXPERTS
from fastsoftmax.sequences.features import SequenceFeatures
from fastsoftmax.terms import LowRank

from .next_item import read
from .session_methods import K, laid_out

HELD_OUT = 0.05


class Popular:
    """Popularity in the place of a network."""

    def __init__(self, counts):
        self._proba, self._order = counts / counts.sum(), np.argsort(-counts, kind="stable")

    def proba_of(self, histories, items):
        return self._proba[items]

    def topk(self, histories, k, excluded=None):
        items = np.tile(self._order[:k], (histories.n_rows, 1))
        return items, np.log(self._proba[items]), self

    def proba(self, rows, items):
        return self._proba[items]


class Parts:
    """Fits the mixtures to the first sessions, and judges them by the last ones."""

    def __init__(self, sessions, n_items):
        n_kept = round((1 - HELD_OUT) * len(sessions))
        self.n_items, self.sequences = n_items, sessions.part(0, n_kept)
        self.counts = np.bincount(self.sequences.ids, minlength=n_items)
        histories, items, _ = sessions.part(n_kept, len(sessions)).prefixes()
        known = self.counts[items] > 0
        self._histories, self._items = histories.rows(known), items[known]
        self._features = SequenceFeatures()
        self._features.items_ = np.arange(n_items)
        fitting = Fitting(
            self.sequences, n_items, self._features,
            hidden_size=HIDDEN_SIZE, seed=0, n_threads=None, show=lambda text: None, progress=0,
        )  # fmt: skip
        _, chosen = fitting.run("auto", HELD_OUT)
        self.recipe = Recipe(chosen["n_epochs"], chosen["reverses"])
        self.trial = Trial(fitting, fitting._n_kept(HELD_OUT))
        self.experts = made_experts(EXPERTS, self.sequences, n_items, None)

    def networks(self, normalize):
        """Networks of the sessions that leave some for the weights, and of all but those that judge."""
        return [self._network(sequences, normalize) for sequences in (self.trial._kept, self.sequences)]

    def popular(self):
        return [Popular(counts) for counts in (self.trial._counts, self.counts)]

    def mixture(self, networks, names):
        """The Mixture of a network and experts."""
        of_trial, network = networks
        proba = of_trial.proba_of(self.trial._histories, self.trial._items)
        weights = self.trial.weights(proba, names)[0]
        return Mixture(network, {name: self.experts[name] for name in names}, weights, self.counts)

    def alone(self, name):
        """An expert; histories that it knows nothing of get popular items."""
        return Mixture(Popular(self.counts), {name: self.experts[name]}, np.ones((N_BUCKETS, 1)), self.counts)

    def row(self, name, mixture, *, has_loss=True):
        """A row of the table."""
        topk = mixture.topk(self._histories, K)[0]
        quality = [f"{100 * metric(topk, self._items, K):.2f}" for metric in (hit_at_k, mrr_at_k)]
        loss = -np.log(mixture.proba_of(self._histories, self._items)).mean() if has_loss else None
        print("|", " | ".join([name, *quality, "" if loss is None else f"{loss:.3f}"]), "|", flush=True)

    def _network(self, sequences, normalize):
        if self.recipe.reverses:
            sequences = sequences.joined(sequences.reversed())
        histories, targets, _ = sequences.prefixes()
        classifier = SoftmaxClassifier(
            hidden_size=LowRank(HIDDEN_SIZE, normalize=normalize),
            direct=None,
            max_iter=self.recipe.n_epochs,
            random_state=0,
        )
        return Network(self._features, classifier.fit(self._features.rows(histories), targets))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    sessions, _, _, n_items = read(parser.parse_args().data)
    parts = Parts(laid_out(sessions), n_items)
    print(f"{parts.recipe}\n\n| parts | hit rate@20, % | MRR@20, % | NLL |\n|---|---:|---:|---:|", flush=True)
    names = list(EXPERTS)
    cosines, products, popular = parts.networks(True), parts.networks(False), parts.popular()
    parts.row("all", parts.mixture(cosines, names))
    parts.row("all, network without cosines", parts.mixture(products, names))
    parts.row("without the network", parts.mixture(popular, names))
    for name in names:
        parts.row(f"without {name}", parts.mixture(cosines, [other for other in names if other != name]))
    parts.row("network alone", parts.mixture(cosines, []), has_loss=False)
    parts.row("network alone, without cosines", parts.mixture(products, []), has_loss=False)
    for name in names:
        parts.row(f"{name} alone", parts.alone(name), has_loss=False)


if __name__ == "__main__":
    main()
