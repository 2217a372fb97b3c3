"""What all candidate samplers share: draws, with or without repeats, and how often each class was expected in them."""

import functools
from abc import ABC, abstractmethod

import numpy as np

from fastsoftmax.validation import check_class_ids, check_int, check_rng, check_size, check_unique

DRAW_BYTES, TRY_BYTES = (
    24,
    16,
)  # that a draw takes at least, and one of the tries, twice as many at first, for different classes


class NegativeSource:
    """What training asks of whatever gives it negatives: these attributes, `draw_for`, and to learn where it can.

    Attributes
    ----------
    follows_model : bool
        Whether draws depend on the model: `draw_for` then needs `hidden`, and `follow` must be called.
    depends_on_counts : bool
        Whether `from_counts` uses the counts, and nothing that is learned later: when they change, it is made anew.
    draws_targets : bool
        Whether a batch's own classes are its draws: these must have counts, and classes not seen yet need none.
    uses_n_negatives : bool
        Whether the number of draws is the caller's.
    bytes_per_class : int
        The most memory that it takes in training, the alias table included.
    """

    follows_model = False
    depends_on_counts = False
    draws_targets = False
    uses_n_negatives = True
    bytes_per_class = 0
    n_batches = 0  # how many times `draw_for` gives the batch's own targets as negatives

    def observe(self, target):
        """Learn from the classes just trained on, (n_rows,) integers. Most sources learn nothing."""

    def follow(self, V, bias):
        """Take over a model's output weights (n_classes, n_features) and bias (n_classes,). Most sources follow none."""

    def state(self):
        """What it has learned, for files: a dict of arrays and of what JSON can hold. Most sources learn nothing."""
        return {}

    def restore(self, state):
        """Continue from the `state` of a source that was made with the same arguments."""


class Sampler(NegativeSource, ABC):
    """What all samplers share; see `NegativeSource` for what training asks of them.

    A subclass also sets `n_classes`, and `_n_drawable`, the number of classes of nonzero probability.

    Attributes
    ----------
    n_classes : int
    """

    @classmethod
    def from_counts(cls, counts):
        """A sampler over classes of which each was seen as often as `counts`, (n_classes,), says."""
        return cls(len(counts))

    def draw(self, n, rng, *, unique=False):
        """Draw `n` classes.

        Parameters
        ----------
        n : int
            Number of classes, at least 1.
        rng : numpy.random.Generator, or what `numpy.random.default_rng` takes
            Source of randomness; the same state gives the same classes.
        unique : bool
            False: independent draws, repeats and all. True: draw until `n` different classes were seen, and keep each
            once, in the order of their first appearance.

        Returns
        -------
        class_ids : ndarray of shape (n,), int64
        log_expected_counts : ndarray of shape (n,), float64
            Natural logarithm of how often each of these classes was expected; see `log_expected_counts`.

        Raises
        ------
        ValueError
            If `n` is below 1 or, with `unique`, above the number of classes of nonzero probability.
        MemoryError
            If there is no memory for `n` draws.
        """
        if unique:
            class_ids, log_expected_counts, _ = self.draw_unique(n, rng)
            return class_ids, log_expected_counts
        n = check_size("n", n, DRAW_BYTES)
        class_ids, expected_counts = self._propose(n, check_rng("rng", rng))
        return class_ids, np.log(expected_counts(class_ids))

    def draw_unique(self, n, rng):
        """`draw` with ``unique=True`` that also returns how many draws it took.

        Returns
        -------
        class_ids : ndarray of shape (n,), int64
        log_expected_counts : ndarray of shape (n,), float64
        n_tries : int
            Number of draws, repeats included, up to the first appearance of the last class. From it
            `log_expected_counts` tells the expected counts of other classes (the targets) in the same draw.

        Notes
        -----
        Rejection, as in TensorFlow's candidate samplers, for up to about `n_classes` draws. If classes are missing then
        (`n` near `n_classes`, or very uneven probabilities), the rest of the same process is simulated without
        rejection: the remaining classes come in the order of exponential arrival times at rates q [1]_, and the number
        of draws between two new classes is geometric. Both are exact, and time is bounded by about O(n_classes).

        References
        ----------
        .. [1] P. S. Efraimidis and P. G. Spirakis, "Weighted random sampling with a reservoir", Information Processing
           Letters 97(5), 2006. doi:10.1016/j.ipl.2005.11.003
        """
        n = check_int("n", n, minimum=1)
        class_ids, n_tries = self._draw_unique(n, check_rng("rng", rng))
        return class_ids, self._log_inclusion(class_ids, n_tries), n_tries

    def draw_for(self, n, rng, target, hidden=None, *, unique=False):
        """The negatives of a batch, for training loops. It is called at every step and checks nothing.

        Parameters
        ----------
        n : int
            Number of draws, at least 1.
        rng : numpy.random.Generator
        target : (n_rows,) int64 array
            The classes of the batch's rows.
        hidden : (n_rows, n_features) array, optional
            Their hidden layer, for samplers that follow a model; others ignore it.
        unique : bool
            As in `draw`.

        Returns
        -------
        class_ids : ndarray of shape (m,), int64
            Shared by all rows. `m` is `n`, except with `InBatch`, alone or in a `Mixed`.
        log_expected_counts : ndarray of shape (m,), float64
        log_expected_targets : ndarray of shape (n_rows,), float64
            How often each row's own class was expected in the same draw, as a logarithm too; -inf if it is never drawn.
        """
        if unique:
            check_unique("unique", self, self.n_batches)
            class_ids, n_tries = self._draw_unique(n, rng)
            return class_ids, self._log_inclusion(class_ids, n_tries), self._log_inclusion(target, n_tries)
        class_ids, expected_counts = self._propose(n, rng, target, hidden)
        with np.errstate(divide="ignore"):
            log_expected = np.log(expected_counts(class_ids))
            if class_ids is target:  # the batch's own classes
                return class_ids, log_expected, log_expected
            return class_ids, log_expected, np.log(expected_counts(target))

    def log_expected_counts(self, class_ids, n_tries, *, unique=False):
        """Natural logarithm of how often each class is expected among `n_tries` draws; -inf for one never drawn.

        Parameters
        ----------
        class_ids : array-like of shape (m,), integer
        n_tries : int
            Number of draws. For independent draws it is the `n` of `draw`; for unique ones it is the `n_tries` that
            `draw_unique` returns, which is random and no function of `n`.
        unique : bool
            False: ``log(n_tries * q)``. True: each class counts at most once, ``log(1 - (1 - q)**n_tries)``.

        Returns
        -------
        ndarray of shape (m,), float64
        """
        class_ids = check_class_ids("class_ids", class_ids, self.n_classes)
        n_tries = check_int("n_tries", n_tries, minimum=1)
        if unique:
            return self._log_inclusion(class_ids, n_tries)
        with np.errstate(divide="ignore"):
            return np.log(self._expected_counts(class_ids, n_tries))

    def _propose(self, n, rng, target=None, hidden=None):
        """`n` draws, for a batch if one is given: the classes, and a function from classes to their expected counts."""
        return self._draw(n, rng), functools.partial(self._expected_counts, n=n)

    def _expected_counts(self, class_ids, n):
        return n * self._probability(class_ids)

    def _draw_unique(self, n, rng):
        """`n` different classes, and how many independent draws that took."""
        if n > self._n_drawable:
            raise ValueError(f"n must be at most {self._n_drawable}, the classes of nonzero probability, got {n}")
        check_size("n", n, 2 * TRY_BYTES)
        tries = self._draw(2 * n, rng)
        places = _first_places(tries)
        while len(places) < n and len(tries) < self.n_classes:
            tries = np.concatenate([tries, self._draw(len(tries), rng)])
            places = _first_places(tries)
        places = places[:n]
        class_ids, n_tries = tries[places], int(places[-1]) + 1
        if len(class_ids) < n:
            rest, n_further_tries = _draw_rest(self.probabilities(), class_ids, n - len(class_ids), rng)
            class_ids, n_tries = np.concatenate([class_ids, rest]), len(tries) + n_further_tries
        return class_ids, n_tries

    def _log_inclusion(self, class_ids, n_tries):
        with np.errstate(divide="ignore"):
            return _log1mexp(-float(n_tries) * np.log1p(-self._probability(class_ids)))

    @abstractmethod
    def probabilities(self):
        """Probability of each class in one draw: ndarray of shape (n_classes,), float64."""

    @abstractmethod
    def _draw(self, n, rng):
        """`n` independent classes, int64."""

    @abstractmethod
    def _probability(self, class_ids):
        """Probabilities of some classes, float64."""


def _first_places(tries):
    """Where each different class first appears in `tries`, ascending.

    Sorts pairs (class, place) packed into one integer each: several times faster than numpy.unique(return_index=True).
    """
    n_bits = len(tries).bit_length()
    pairs = tries << n_bits | np.arange(len(tries))
    pairs.sort()
    is_first = np.ones(len(tries), bool)
    np.not_equal(pairs[1:] >> n_bits, pairs[:-1] >> n_bits, out=is_first[1:])
    places = pairs[is_first] & ((1 << n_bits) - 1)
    places.sort()
    return places


def _draw_rest(probabilities, seen, n, rng):
    """Draw on after the classes `seen` until `n` new ones appear: these in order, and how many draws it takes."""
    unseen = probabilities > 0
    unseen[seen] = False
    unseen = np.flatnonzero(unseen)
    arrivals = rng.standard_exponential(len(unseen)) / probabilities[unseen]
    order = np.argpartition(arrivals, n - 1)
    winners = order[:n][np.argsort(arrivals[order[:n]])]
    class_ids = unseen[winners]
    # The mass of the classes still unseen before each new one is summed from its small end: 1 minus the mass seen would lose
    # its digits.
    unseen_mass = probabilities[unseen[order[n:]]].sum() + np.cumsum(probabilities[class_ids[::-1]])[::-1]
    with np.errstate(divide="ignore"):  # a mass of 1: the first draw is new
        waits = np.ceil(rng.standard_exponential(n) / -np.log1p(-np.minimum(unseen_mass, 1.0)))
    return class_ids, int(np.maximum(waits, 1).sum())


def _log1mexp(x):
    """log(1 - exp(-x)) for x >= 0, accurate at both ends.

    M. Mächler, "Accurately computing log(1 - exp(-|a|))", 2012, the Rmpfr package's vignette log1mexp-note.
    """
    return np.where(x <= np.log(2), np.log(-np.expm1(-x)), np.log1p(-np.exp(-x)))
