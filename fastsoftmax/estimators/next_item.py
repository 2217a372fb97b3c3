"""NextItemModel: which item comes next in a sequence?"""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fastsoftmax.estimators import next_item_saving as saving
from fastsoftmax.estimators.next_item_fitting import Fitting
from fastsoftmax.estimators.next_item_growing import grown
from fastsoftmax.estimators.next_item_predictor import Predictor
from fastsoftmax.metrics import evaluate_next_items
from fastsoftmax.runtime.exclusive import exclusive
from fastsoftmax.runtime.progress import say
from fastsoftmax.sequences.features import SequenceFeatures
from fastsoftmax.sequences.items import encoded, learned
from fastsoftmax.validation import (
    check_enough_sequences,
    check_n_threads,
    check_next_item_params,
    check_rng,
)

__all__ = ["NextItemModel"]

HIDDEN_SIZE = 128  # what "auto" stands for


class NextItemModel(BaseEstimator):
    """A model of the next item in sequences: sessions, baskets, playlists, purchases of a user.

    ::

        model = NextItemModel().fit(sequences)
        items, log_proba = model.predict_topk([["milk", "bread"]], k=20, exclude_seen=True)

    It is a mixture. A low-rank softmax of cosines, trained on all histories, is mixed with models that count: the sequences
    nearest to the history, the items that come after and before its last item, the items that go with all of its items, and
    repeats. The last sequences are held out to choose the number of epochs, whether reversed sequences help, and the weights
    of the mixture; then all sequences train. `verbose=1` tells what was chosen. docs/next_item.md has measured figures.

    Parameters
    ----------
    hidden_size : int or "auto"
        The size of the low-rank term. "auto" is 128.
    max_iter : int or "auto"
        Epochs of the low-rank term. "auto" tries 3 on held-out sequences, and twice as many as long as that is better.
    validation_fraction : float in (0, 0.5]
        The share of the rows that is held out at first, at most 10,000 rows. Fewer than 100 rows choose nothing.
    random_state : int, numpy random generator or None
        A seed gives the same model to the bit for any `n_threads`.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.
    verbose : int
        1 tells on standard error what was chosen; 2 shows progress bars, too.

    Attributes
    ----------
    items_ : (n_items,) array of the items, sorted; items that have no order are in that of their first appearance
    chosen_ : dict, what held-out sequences chose: "n_epochs", "reverses", "weights" of the experts beside the low-rank term, a
        list for histories whose last item is rare to frequent, and "log_likelihood", the mean over held-out rows

    Notes
    -----
    Probabilities are those of the whole mixture, over all items, and add up to 1. The model keeps the sequences, which the
    nearest ones are found in, and so does its file: delete what must not be kept before.
    """

    def __init__(
        self,
        hidden_size="auto",
        max_iter="auto",
        validation_fraction=0.05,
        random_state=None,
        n_threads=None,
        verbose=0,
    ):
        self.hidden_size = hidden_size
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    @exclusive
    def fit(self, sequences, y=None):
        """Learn from sequences.

        If it is interrupted (Ctrl-C) while a network learns, or later, it leaves a usable model: that of the network which
        suits held-out sequences best so far. The last network, which learns from all sequences, counts once it is complete.
        Before a network has begun to learn, the model stays as it was, and so it may where Ctrl-C comes twice.

        Parameters
        ----------
        sequences : iterable of sequences of items, or tuple of arrays (ids, starts)
            The oldest item comes first, and the oldest sequence too, if they have an order. Items are labels: integers,
            strings or other hashable objects, but no fractions. In the arrays, all sequences lie end to end in `ids`, and
            `starts` has the place at which each begins.

        Returns
        -------
        self
        """
        check_next_item_params(self)
        rng = check_rng("random_state", self.random_state)
        items, codes = learned(sequences, "sequences")
        check_enough_sequences("sequences", codes.prefixes()[1])
        features = SequenceFeatures()
        features.items_ = np.arange(len(items))
        fitting = Fitting(
            codes,
            len(items),
            features,
            hidden_size=HIDDEN_SIZE if self.hidden_size == "auto" else self.hidden_size,
            seed=int(rng.integers(2**31)),
            n_threads=self.n_threads,
            show=lambda text: say(text, self.verbose),
            progress=max(0, int(self.verbose) - 1),
        )
        mixture, chosen = fitting.run(self.max_iter, self.validation_fraction)
        self._set_fitted(items, chosen, codes, mixture)
        if fitting.interrupted:
            raise KeyboardInterrupt
        return self

    @exclusive
    def partial_fit(self, sequences, y=None):
        """Learn from further sequences, which may have new items; the first call is `fit`.

        The counts, the neighbours and all other experts are those of all sequences so far, exactly as `fit` would have them:
        they are made anew, which takes the time that `fit` takes for them, and grows with the number of all sequences. The
        network goes through the new sequences alone, in as many epochs as `fit` has chosen, at a learning rate that falls,
        with its optimiser as it was left. What held-out sequences chose in the first call stays: the weights of the mixture,
        too. So give that call enough sequences to choose by.

        If it is interrupted (Ctrl-C), or raises anything, the model stays as it was.

        Parameters
        ----------
        sequences : iterable of sequences of items
            As for `fit`; those of one call are later than all before. Their items must be of the kind of those before. A
            sequence that goes on with one of an earlier call is another sequence.

        Returns
        -------
        self
        """
        check_next_item_params(self)
        if "items_" not in vars(self):
            return self.fit(sequences)
        self._set_fitted(**grown(self, sequences))
        return self

    def predict_topk(self, histories, k=20, *, exclude_seen=False, exclude=None):
        """The `k` most probable next items of each history.

        Parameters
        ----------
        histories : iterable of n sequences of items, the oldest first
            Items that the model does not know are left out, as if they had not been there. A history may be empty.
        k : int
        exclude_seen : bool
            Whether the items of a history cannot be the next one.
        exclude : iterable of n sequences of items, optional
            Items that each history may not get, either.

        Returns
        -------
        items : (n, k) array, best first
            Among equal probabilities, the first in `items_` comes first. Rows with fewer than `k` items left are padded as
            those of `SoftmaxClassifier.predict_topk`.
        log_proba : (n, k) array of float64
            Natural logarithms of the probabilities over all items, whichever are left; -inf as padding.
        """
        return self._answers().predict_topk(histories, k, exclude_seen=exclude_seen, exclude=exclude)

    def predict(self, histories):
        """The most probable next item of each history, (n,)."""
        return self.predict_topk(histories, 1)[0][:, 0]

    def predictor(self, n_threads=None):
        """A Predictor of this model as it is now, which answers histories whatever becomes of the model.

        Its answers are those of `predict_topk`, in the same time: the model keeps a predictor, too, from the first call with
        few histories on. Another one has a number of threads of its own, and outlives `fit` and `partial_fit`.

        Parameters
        ----------
        n_threads : int, optional
            The threads of one call; None: those of the model. Where several Python threads ask, 1 is best.

        Returns
        -------
        predictor : fastsoftmax.estimators.next_item_predictor.Predictor
        """
        check_is_fitted(self, "items_")
        n_threads = check_n_threads(self.n_threads if n_threads is None else n_threads)
        kept = self._kept
        return Predictor(kept.items_, kept.mixture.with_threads(n_threads), n_threads).prepare()

    def log_proba(self, sequences):
        """The log-probability of each item but the first of each sequence after those before it, in one array.

        Items that the model does not know are left out, as if they had not been there.
        """
        check_is_fitted(self, "items_")
        histories, items, _ = encoded(sequences, self.items_, "sequences").prefixes()
        with np.errstate(divide="ignore"):
            return np.log(self._now().proba_of(histories, items))

    def score(self, sequences, y=None):
        """The mean of `log_proba`, nan where there is none: the higher, the better."""
        log_proba = self.log_proba(sequences)
        return float(log_proba.mean()) if len(log_proba) else float("nan")

    def evaluate(self, sequences, k=20, *, protocol="every", exclude_seen=False, verbose=0):
        """How often, and how high, the true next item is among the `k` best: see `metrics.evaluate_next_items`.

        Parameters
        ----------
        sequences : iterable of sequences of items
        k : int or sequence of int
        protocol : {"every", "last"}
            Whether each item of a sequence but the first is predicted from those before it, or the last item alone.
        exclude_seen : bool
            As in `predict_topk`.
        verbose : int
            1 shows a progress bar.

        Returns
        -------
        dict
            The numbers of rows, "n", and of those whose item the model does not know, "n_unknown"; and "hit@k", "mrr@k",
            "ndcg@k" and "coverage@k" for every k.
        """
        check_is_fitted(self, "items_")
        options = {"protocol": protocol, "exclude_seen": exclude_seen, "verbose": verbose}
        return evaluate_next_items(self, sequences, k, **options)

    def save(self, path):
        """Write the model to a file, with the sequences that it was fitted to; `fastsoftmax.load` reads it."""
        check_is_fitted(self, "items_")
        saving.save(self, path)

    @classmethod
    def load(cls, path):
        """The model that `save` wrote; nothing in the file is executed."""
        return saving.load(cls, path)

    def _now(self):
        """The mixture, with as many threads as the parameter says now."""
        self._mixture.use_threads(check_n_threads(self.n_threads))
        return self._mixture

    def _answers(self):
        """The Predictor of the model, with as many threads as the parameter says now."""
        if "items_" not in vars(self):
            check_is_fitted(self, "items_")
        self._kept.use_threads(check_n_threads(self.n_threads))
        return self._kept

    def _set_fitted(self, items, chosen, sequences, mixture):
        kept = Predictor(items, mixture, self.n_threads)
        kept.use_threads(self.n_threads)  # by all parts, so that no later call changes what is pickled
        # in one step: other threads see all as it was, or all as it is now
        vars(self).update(items_=items, chosen_=chosen, _sequences=sequences, _mixture=mixture, _kept=kept)
