"""N-gram language models: the baselines that a next-token classifier has to beat."""

import numpy as np

from fastsoftmax.text.contexts import positions_in_file
from fastsoftmax.text.keys import find
from fastsoftmax.validation import check_documents, check_int, check_real


class NGramModel:
    """Interpolated n-gram model with absolute discounting.

    Parameters
    ----------
    order : int
        1 is the unigram model, 3 the trigram model.
    discount : float
        Taken off the count of every n-gram, more than 0 and at most 1.

    Notes
    -----
    Let h be the n - 1 tokens before, h' all but the oldest of them, and N(h) the number of distinct tokens seen after h::

        p_n(w | h) = max(c(h w) - discount, 0) / c(h)  +  discount N(h) / c(h)  p_{n-1}(w | h')

    p_0 is uniform, so every class has mass. Where h was never seen, or the file has too few tokens before,
    p_n = p_{n-1}.

    References
    ----------
    Ney, Essen and Kneser (1994), On structuring probabilistic dependences in stochastic language modelling,
    doi:10.1006/csla.1994.1001. Chen and Goodman (1999), doi:10.1006/csla.1999.0128.
    """

    def __init__(self, order=3, *, discount=0.75):
        self.order = check_int("order", order, minimum=1)
        self.discount = check_real("discount", discount, above=0, maximum=1)

    def fit(self, ids, starts, n_classes):
        """Count the n-grams.

        Parameters
        ----------
        ids : ndarray of int, shape (n_tokens,)
            Tokens of all files, one file after the other, below n_classes.
        starts : array_like of int, shape (n_files,)
            Where each file begins; n-grams do not reach into the file before.
        n_classes : int

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If no file has `order` tokens, or n_classes ** order does not fit 63 bits.
        """
        self.n_classes_ = check_int("n_classes", n_classes, minimum=1)
        if self.n_classes_ > 1 and (self.order >= 63 or self.n_classes_**self.order >= 2**63):
            raise ValueError(f"n_classes ** order must be below 2**63, got {n_classes} ** {self.order}")
        ids, starts = check_documents(ids, starts, self.n_classes_)
        position = positions_in_file(len(ids), starts)
        if not np.any(position >= self.order - 1):
            raise ValueError(f"ids must hold a file of at least {self.order} tokens, got {len(ids)} tokens in all")
        self._levels, level = [], None
        for order in range(1, self.order + 1):
            ngrams = self._ngrams(ids, np.flatnonzero(position >= order - 1), order)
            level = _Level(ngrams, self.n_classes_, order, level, self.discount)
            self._levels.append(level)
        return self

    def log_proba_of_next(self, ids, starts, *, order=None):
        """Natural logarithm of the probability of each token after those before it.

        Parameters
        ----------
        ids, starts
            As in `fit`.
        order : int, optional
            The order of the model that is asked: at most the order fitted, which is the default.

        Returns
        -------
        ndarray of float64, shape (n_tokens,)
        """
        ids, starts = check_documents(ids, starts, self.n_classes_)
        position = positions_in_file(len(ids), starts)
        proba = np.full(len(ids), 1 / self.n_classes_)
        for n in range(1, self._check_order(order) + 1):
            rows = np.flatnonzero(position >= n - 1)
            proba[rows] = self._levels[n - 1].interpolate(self._ngrams(ids, rows, n), proba[rows])
        return np.log(proba)

    def hit_rates(self, ids, starts, ks=(1, 5, 20), *, order=None, counted=slice(None)):
        """Share of the tokens that are among the k most probable classes after those before them.

        Parameters
        ----------
        ids, starts, order
            As in `log_proba_of_next`.
        ks : sequence of int
        counted : index of an array
            Tokens to count; all by default.

        Returns
        -------
        dict of int to float
            The share for each k. Of equally probable classes the lower comes first.
        """
        order = self._check_order(order)
        ids, starts = check_documents(ids, starts, self.n_classes_)
        ks = [check_int("ks", k, minimum=1) for k in ks]
        if not ks:
            raise ValueError("ks must not be empty")
        if not len(ids[counted]):
            raise ValueError("ids must hold a token that is counted")
        n_best = min(max(ks), self.n_classes_)
        usable_order = np.minimum(positions_in_file(len(ids), starts) + 1, order)
        ranks = np.empty(len(ids), dtype=np.int64)
        for n in range(1, order + 1):
            rows = np.flatnonzero(usable_order == n)
            histories, which = np.unique(self._ngrams(ids, rows, n) // self.n_classes_, return_inverse=True)
            hits = self._most_probable(histories, n, n_best)[0][which] == ids[rows, None]
            ranks[rows] = np.where(hits.any(axis=1), hits.argmax(axis=1), n_best)
        return {k: float(np.mean(ranks[counted] < k)) for k in ks}

    def _check_order(self, order):
        return self.order if order is None else check_int("order", order, minimum=1, maximum=self.order)

    def _ngrams(self, ids, rows, order):
        """The n-grams that end at the given rows, as int64 in base n_classes, with the oldest token as the highest digit."""
        ngrams = np.zeros(len(rows), dtype=np.int64)
        for place in range(order - 1, -1, -1):
            ngrams *= self.n_classes_
            ngrams += ids[rows - place]
        return ngrams

    def _most_probable(self, histories, order, k):
        """The k most probable classes after each of the distinct histories, and their probabilities, (n_histories, k) each.

        Classes not seen after h are ranked as they are one order below, so the best k are among those seen after h and the
        best k of the order below.
        """
        if order == 0:
            return np.arange(k)[None], np.full((1, k), 1 / self.n_classes_)
        shorter, which = np.unique(histories % self.n_classes_ ** max(order - 2, 0), return_inverse=True)
        lower_classes, lower_proba = self._most_probable(shorter, order - 1, k)

        level = self._levels[order - 1]
        seen_row, seen = level.continuations(histories)
        lower_row = np.repeat(np.arange(len(histories)), k)
        lower_ngrams = np.repeat(histories, k) * self.n_classes_ + lower_classes[which].ravel()
        unseen = ~level.is_seen(lower_ngrams)
        lower_proba = level.interpolate(lower_ngrams[unseen], lower_proba[which].ravel()[unseen])

        row = np.concatenate([seen_row, lower_row[unseen]])
        classes = np.concatenate([level.ngrams[seen], lower_ngrams[unseen]]) % self.n_classes_
        proba = np.concatenate([level.proba[seen], lower_proba])
        by_row = np.lexsort((classes, -proba, row))
        first = np.searchsorted(row[by_row], np.arange(len(histories)))
        best = by_row[first[:, None] + np.arange(k)]
        return classes[best], proba[best]


class _Level:
    """The n-grams of one order, as in an ARPA file: the probability of each seen n-gram, and a weight of each history.

    The probability of an unseen n-gram is the weight of its history (1 if that was not seen either) times its probability
    one order below.
    """

    def __init__(self, ngrams, n_classes, order, lower, discount):
        self.n_classes = n_classes
        self.ngrams, counts = np.unique(ngrams, return_counts=True)
        self.histories, first, n_continuations = np.unique(
            self.ngrams // n_classes, return_index=True, return_counts=True
        )
        self.first = np.append(first, len(self.ngrams))
        totals = np.add.reduceat(counts, first)
        self.weights = discount * n_continuations / totals
        # A seen n-gram without its oldest token was seen, too.
        shorter = self.ngrams % n_classes ** (order - 1)
        lower_proba = lower.proba[find(lower.ngrams, shorter)[0]] if lower else 1 / n_classes
        discounted = (counts - discount) / np.repeat(totals, n_continuations)
        self.proba = discounted + np.repeat(self.weights, n_continuations) * lower_proba

    def is_seen(self, ngrams):
        return find(self.ngrams, ngrams)[1]

    def interpolate(self, ngrams, lower_proba):
        """The probabilities of n-grams, from their probabilities one order below."""
        place, seen = find(self.histories, ngrams // self.n_classes)
        proba = lower_proba * np.where(seen, self.weights[place], 1.0)
        place, seen = find(self.ngrams, ngrams)
        return np.where(seen, self.proba[place], proba)

    def continuations(self, histories):
        """The seen n-grams that begin with each history: for each, its row in `histories` and its place in `ngrams`."""
        place, seen = find(self.histories, histories)
        first = self.first[place]
        lengths = np.where(seen, self.first[place + 1] - first, 0)
        row = np.repeat(np.arange(len(histories)), lengths)
        within_row = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return row, first[row] + within_row
