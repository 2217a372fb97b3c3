"""Other methods for the next item of a session, as studies compare them with NextItemModel.

Parameters are those of the authors. Where the program of the authors of VMIS-kNN never recommends the last item again, it may
come here, since repeats are frequent among clicks; and the weight of a neighbour never falls below 0. The weights of SLIST for
the age of sessions are left out, since the sessions have no times.
"""

import numpy as np
from scipy import linalg, sparse

from fastsoftmax.sequences.experts import gathered
from fastsoftmax.sequences.histories import Sequences

K = 20
ROWS = 256  # at a time, which bounds the memory
WHOLE = np.iinfo(np.int64).max  # the length of histories that are not cut


class Scoring:
    """A method that scores all items: `learn` takes Sequences, and `scores` gives (n_rows, n_items) for Histories."""

    def fit(self, sessions, n_items):
        self.n_items = n_items
        self.learn(laid_out(sessions))

    def topk(self, rows):
        histories, out = laid_out(rows).wholes(), np.empty((len(rows), K), np.int64)
        for start in range(0, len(rows), ROWS):
            block = slice(start, start + ROWS)
            out[block] = best(self.scores(histories.rows(block)))
        return out


class Popularity(Scoring):
    def learn(self, sessions):
        self._counts = np.bincount(sessions.ids, minlength=self.n_items)

    def scores(self, histories):
        return np.tile(self._counts, (histories.n_rows, 1))


class LastItem(Scoring):
    """How often an item comes right after the last one; popular items follow those that never did."""

    def learn(self, sessions):
        self._counts = following(sessions, self.n_items, farthest=1)
        popularity = np.bincount(sessions.ids, minlength=self.n_items)
        self._popularity = (popularity / (1.0 + popularity.sum())).astype(np.float32)  # less than one count

    def scores(self, histories):
        return self._counts[histories.back(1)].toarray() + self._popularity


class VmisKnn(Scoring):
    """VMIS-kNN: Kersbergen, Sprangers and Schelter (2022), Serenade, doi:10.1145/3514221.3517901.

    Of the `n_recent` latest sessions that share an item with a history, the `n_neighbours` most similar ones vote for their
    items. Similarity is the sum of the weights of the shared items, which grow linearly with their places in the history. A
    vote is similarity, times 1 - places back / 10 of the latest shared item, times log(sessions / sessions of the item).
    """

    def __init__(self, n_recent=1000, n_neighbours=100):
        self.n_recent, self.n_neighbours = n_recent, n_neighbours

    def learn(self, sessions):
        self._items_of = occurrences(sessions, self.n_items)[::-1]  # the latest session first
        by_item = self._items_of.T.tocsr()
        self._idf = np.log(len(sessions) / np.maximum(np.diff(by_item.indptr), 1)).astype(np.float32)
        self._sessions_of = first_of_rows(by_item, self.n_recent)

    def scores(self, histories):
        row, item, back = histories.distinct_entries(WHOLE, self.n_items)
        weight = (histories.lengths[row] - back).astype(np.float32)  # integers, so that ties are exact
        shape = histories.n_rows, self.n_items
        similarity = sparse.csr_array((weight, (row, item)), shape=shape) @ self._sessions_of
        similarity.sort_indices()
        nearest, session, similarity = self._nearest(first_of_rows(similarity, self.n_recent))
        place = self._latest_shared(row * self.n_items + item, back, nearest, session) + 1
        votes = similarity * np.maximum(1 - 0.1 * place, 0).astype(np.float32)
        votes = sparse.csr_array((votes, (nearest, session)), shape=(histories.n_rows, self._items_of.shape[0]))
        return (votes @ self._items_of).toarray() * self._idf

    def _nearest(self, similarity):
        """The rows, sessions and similarities of the neighbours; of equally similar ones, the latest are taken."""
        row, place = places(similarity)
        of_rows = np.zeros((similarity.shape[0], int(place.max(initial=0)) + 1), np.float32)
        of_rows[row, place] = similarity.data
        chosen = np.argsort(-of_rows, axis=1, kind="stable")[:, : self.n_neighbours]
        of_chosen = np.take_along_axis(of_rows, chosen, 1)
        row, column = np.nonzero(of_chosen)
        return row, similarity.indices[similarity.indptr[row] + chosen[row, column]], of_chosen[row, column]

    def _latest_shared(self, key, back, row, session):
        """How far back in its history the latest item lies that each neighbour has, too; key: row * n_items + item."""
        order = np.argsort(key)
        key, back = key[order], back[order]
        neighbour, item, _ = gathered(self._items_of, session)
        wanted = row[neighbour] * self.n_items + item
        at = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
        shared = key[at] == wanted
        out = np.full(len(row), WHOLE)
        np.minimum.at(out, neighbour[shared], back[at[shared]])
        return out


class Slist(Scoring):
    """SLIST: Choi, Kim, Lee, Shim and Lee (2021), Session-aware linear item-item models, arXiv:2103.16104.

    The ridge regression B of whole sessions X on themselves, with weight `alpha`, and of what follows an item T on the item S:

        B = (alpha X'X + (1 - alpha) S'S + penalty I)^-1 (alpha X'X1 + (1 - alpha) S'T)

    Rows of X add up to 1, and X1 is the same with ones. An item in T counts exp(-(distance - 1) / train_decay), and one of a
    history exp(-places back / decay). The parameters are those of the authors' settings for Yoochoose 1/64. Their program
    bounds the diagonal of B where alpha is 1 alone, so that there is no constraint here.
    """

    def __init__(self, alpha=0.4, penalty=10.0, train_decay=1.0, decay=1.0):
        self.alpha, self.penalty, self.train_decay, self.decay = alpha, penalty, train_decay, decay

    def learn(self, sessions):
        ones = occurrences(sessions, self.n_items)
        X = ones.copy()
        X.data /= np.repeat(np.diff(X.indptr), np.diff(X.indptr))
        not_last = np.delete(sessions.ids, sessions.indptr[1:] - 1)
        diagonal = (1 - self.alpha) * np.bincount(not_last, minlength=self.n_items) + self.penalty
        gram = (self.alpha * (X.T @ X) + sparse.diags_array(diagonal, format="csr")).astype(np.float32)
        after = following(sessions, self.n_items, farthest=20, decay=np.exp(-1 / self.train_decay))
        target = (self.alpha * (X.T @ ones) + (1 - self.alpha) * after).astype(np.float32)
        factor = linalg.cho_factor(gram.toarray(order="F"), overwrite_a=True, check_finite=False)
        B = linalg.cho_solve(factor, target.toarray(order="F"), overwrite_b=True, check_finite=False)
        del factor
        self._B = np.ascontiguousarray(B)

    def scores(self, histories):
        row, item, back = histories.entries(WHOLE)
        weight = np.exp(-back / self.decay).astype(np.float32)
        return sparse.csr_array((weight, (row, item)), shape=(histories.n_rows, self.n_items)) @ self._B


# -- arrays --


def laid_out(rows):
    """Sequences of a list of arrays."""
    return Sequences(np.concatenate(rows), np.append(0, np.cumsum([len(row) for row in rows])))


def occurrences(sessions, n_items):
    """1 for each item of each session, CSR (n_sessions, n_items) of float32."""
    ones = np.ones(len(sessions.ids), np.float32)
    out = sparse.csr_array((ones, sessions.ids, sessions.indptr), shape=(len(sessions), n_items), copy=True)
    out.sum_duplicates()
    out.data[:] = 1
    return out


def following(sessions, n_items, farthest, decay=1.0):
    """How often an item comes after another, CSR (n_items, n_items); one that is d places on counts decay ** (d - 1)."""
    sequence, out = sessions.sequence_of_places(), sparse.csr_array((n_items, n_items), dtype=np.float32)
    for distance in range(1, farthest + 1):
        at = np.flatnonzero(sequence[:-distance] == sequence[distance:])
        weight = np.full(len(at), decay ** (distance - 1), np.float32)
        out = out + sparse.csr_array((weight, (sessions.ids[at], sessions.ids[at + distance])), shape=out.shape)
    return out


def places(a):
    """The row of each element of CSR `a`, and its place in the row."""
    lengths = np.diff(a.indptr)
    return np.repeat(np.arange(len(lengths)), lengths), np.arange(a.nnz) - np.repeat(a.indptr[:-1], lengths)


def first_of_rows(a, n):
    """The first n elements of each row of CSR `a`."""
    kept = places(a)[1] < n
    indptr = np.append(0, np.cumsum(np.minimum(np.diff(a.indptr), n)))
    return sparse.csr_array((a.data[kept], a.indices[kept], indptr), shape=a.shape)


def best(scores):
    """The K items with the largest scores of each row, best first; -1 is for those without a score."""
    items = np.argpartition(scores, scores.shape[1] - K, axis=1)[:, -K:]
    of_items = np.take_along_axis(scores, items, 1)
    order = np.lexsort((items, -of_items))
    items, of_items = np.take_along_axis(items, order, 1), np.take_along_axis(of_items, order, 1)
    return np.where(of_items == 0, -1, items)
