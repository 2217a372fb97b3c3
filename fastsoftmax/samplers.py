"""Candidate samplers: random classes and how often each was to be expected, for sampled losses.

A sampler is immutable and holds no random state: the caller passes the generator, so draws never depend on threads.
"""

from abc import ABC, abstractmethod

import numpy as np

from fastsoftmax import _alias, _validation

_SMALLEST_PROBABILITY = 1e-290  # so that waiting times, of the order of its inverse, and their sums stay finite


def make(sampler, counts):
    """The sampler called "uniform", "log_uniform" or "unigram" over the classes of `counts`, or `sampler` itself.

    Parameters
    ----------
    sampler : str or sampler
        A name, or a ready sampler over exactly ``len(counts)`` classes.
    counts : array-like of shape (n_classes,)
        How often each class was seen; only "unigram" uses more than its length.
    """
    if not isinstance(sampler, str):
        return _validation.check_sampler("sampler", sampler, len(counts))
    _validation.check_option("sampler", sampler, ("uniform", "log_uniform", "unigram"))
    if sampler == "unigram":
        return Unigram(counts)
    return {"uniform": Uniform, "log_uniform": LogUniform}[sampler](len(counts))


class _Sampler(ABC):
    """What all samplers share. A subclass also sets `n_classes` and, of nonzero probability, `_n_drawable`."""

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
            Natural logarithm of how often each of these classes was to be expected; see `log_expected_counts`.

        Raises
        ------
        ValueError
            If `n` is below 1 or, with `unique`, above the number of classes of nonzero probability.
        """
        if unique:
            class_ids, log_expected_counts, _ = self.draw_unique(n, rng)
            return class_ids, log_expected_counts
        n = _validation.check_int("n", n, minimum=1)
        class_ids = self._draw(n, _validation.check_rng("rng", rng))
        return class_ids, np.log(n * self._probability(class_ids))

    def draw_unique(self, n, rng):
        """`draw` with ``unique=True`` that also returns how many draws it took.

        Returns
        -------
        class_ids : ndarray of shape (n,), int64
        log_expected_counts : ndarray of shape (n,), float64
        n_tries : int
            Number of draws, repeats included, up to the first appearance of the last class. With it
            `log_expected_counts` gives the expected counts of other classes (the targets) in the same draw.

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
        n = _validation.check_int("n", n, minimum=1)
        if n > self._n_drawable:
            raise ValueError(f"n must be at most {self._n_drawable}, the classes of nonzero probability, got {n}")
        rng = _validation.check_rng("rng", rng)
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
        return class_ids, self._log_inclusion(class_ids, n_tries), n_tries

    def log_expected_counts(self, class_ids, n_tries, *, unique=False):
        """Natural logarithm of how often each class is expected among `n_tries` draws; -inf for one never drawn.

        Parameters
        ----------
        class_ids : array-like of shape (m,), integer
        n_tries : int
            Number of draws. For independent draws that is the `n` of `draw`; for unique ones the `n_tries` that
            `draw_unique` returns: it is random, and no function of `n`.
        unique : bool
            False: ``log(n_tries * q)``. True: each class counts at most once, ``log(1 - (1 - q)**n_tries)``.

        Returns
        -------
        ndarray of shape (m,), float64
        """
        class_ids = _validation.check_class_ids("class_ids", class_ids, self.n_classes)
        n_tries = _validation.check_int("n_tries", n_tries, minimum=1)
        if unique:
            return self._log_inclusion(class_ids, n_tries)
        with np.errstate(divide="ignore"):
            return np.log(n_tries * self._probability(class_ids))

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


class Uniform(_Sampler):
    """Every class with the same probability.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 1.
    """

    def __init__(self, n_classes):
        self.n_classes = self._n_drawable = _validation.check_int("n_classes", n_classes, minimum=1)

    def __repr__(self):
        return f"Uniform({self.n_classes})"

    def probabilities(self):
        return np.full(self.n_classes, 1.0 / self.n_classes)

    def _draw(self, n, rng):
        return rng.integers(self.n_classes, size=n)

    def _probability(self, class_ids):
        return np.full(len(class_ids), 1.0 / self.n_classes)


class LogUniform(_Sampler):
    """Approximately Zipfian: class k has probability ``log((k + 2) / (k + 1)) / log(n_classes + 1)``.

    For classes numbered by falling frequency. The distribution of TensorFlow's ``log_uniform_candidate_sampler``.

    Parameters
    ----------
    n_classes : int
        Number of classes, at least 1.
    """

    def __init__(self, n_classes):
        self.n_classes = self._n_drawable = _validation.check_int("n_classes", n_classes, minimum=1)
        self._log_range = np.log1p(self.n_classes)

    def __repr__(self):
        return f"LogUniform({self.n_classes})"

    def probabilities(self):
        return self._probability(np.arange(self.n_classes))

    def _draw(self, n, rng):
        class_ids = np.expm1(rng.random(n) * self._log_range).astype(np.int64)
        return np.minimum(class_ids, self.n_classes - 1, out=class_ids)  # wherever expm1 rounds up

    def _probability(self, class_ids):
        return np.log1p(1.0 / (class_ids + 1)) / self._log_range


class Unigram(_Sampler):
    """Class k with probability proportional to ``counts[k]**power``, drawn from an alias table.

    Takes 24 bytes a class.

    Parameters
    ----------
    counts : array-like of shape (n_classes,), real
        How often each class was seen: finite and non-negative, at least one positive. A class with count 0 is never
        drawn, whatever `power`, and has a log expected count of -inf; so has one whose probability is below 1e-290.
    power : float
        0 makes the seen classes equally likely, 1 proportional to their counts; 0.75 is word2vec's choice [1]_.

    References
    ----------
    .. [1] T. Mikolov, I. Sutskever, K. Chen, G. Corrado and J. Dean, "Distributed representations of words and phrases
       and their compositionality", NeurIPS 2013. arXiv:1310.4546
    """

    def __init__(self, counts, power=0.75):
        counts = _validation.check_counts("counts", counts)
        self.power = _validation.check_real("power", power, minimum=0)
        self.n_classes = len(counts)
        self._probabilities = counts / counts.max()  # sums and powers of these cannot overflow
        np.power(self._probabilities, self.power, out=self._probabilities, where=self._probabilities > 0)
        self._probabilities /= self._probabilities.sum()
        self._probabilities[self._probabilities < _SMALLEST_PROBABILITY] = 0.0
        self._probabilities.flags.writeable = False
        self._n_drawable = np.count_nonzero(self._probabilities)
        self._table = np.empty(self.n_classes, _alias.BUCKET)
        _alias.build(self._probabilities, self._table)

    def __repr__(self):
        return f"Unigram(<{self.n_classes} counts>, power={self.power})"

    def probabilities(self):
        return self._probabilities

    def _draw(self, n, rng):
        class_ids = rng.integers(self.n_classes, size=n)
        _alias.draw(self._table, rng.random(n), class_ids)
        return class_ids

    def _probability(self, class_ids):
        return self._probabilities.take(class_ids)


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
    """Continue drawing after the classes `seen` until `n` new ones: they in order, and the number of draws it takes."""
    unseen = probabilities > 0
    unseen[seen] = False
    unseen = np.flatnonzero(unseen)
    arrivals = rng.standard_exponential(len(unseen)) / probabilities[unseen]
    order = np.argpartition(arrivals, n - 1)
    winners = order[:n][np.argsort(arrivals[order[:n]])]
    class_ids = unseen[winners]
    # Mass of the classes still unseen before each new one: summed from its small end, not as 1 minus the mass seen.
    unseen_mass = probabilities[unseen[order[n:]]].sum() + np.cumsum(probabilities[class_ids[::-1]])[::-1]
    with np.errstate(divide="ignore"):  # a mass of 1: the first draw is new
        waits = np.ceil(rng.standard_exponential(n) / -np.log1p(-np.minimum(unseen_mass, 1.0)))
    return class_ids, int(np.maximum(waits, 1).sum())


def _log1mexp(x):
    """log(1 - exp(-x)) for x >= 0, accurate at both ends.

    M. Mächler, "Accurately computing log(1 - exp(-|a|))", 2012, the Rmpfr package's vignette log1mexp-note.
    """
    return np.where(x <= np.log(2), np.log(-np.expm1(-x)), np.log1p(-np.exp(-x)))
