"""The sequences nearest to a history say what comes next: an index of sequences, and the distributions that it gives."""

import numpy as np
from scipy import sparse

from fastsoftmax.kernels import neighbours
from fastsoftmax.runtime import threads

N_NEIGHBOURS = 100
MOST_RECENT = 1000  # sequences of an item that take part
LENGTH = 20  # of a history, the last items
WEIGHT, VOTE = (
    0.6,
    0.6,
)  # of an item in the similarity, and of a sequence whose anchor it is, to the power of places back
AHEAD, BEFORE, HERE = (
    0.6,
    0.4,
    0.15,
)  # votes: to the power of places from the anchor; factors of those before it, and of it
REACH = 32  # places to both sides of the anchor
LONGEST = 500  # the last items of a sequence that count
ROWS = 512  # at a time, which bounds the memory
MOST_SCRATCH = 1 << 30  # bytes, beyond which fewer threads work


class NearestSequences:
    """An index of sequences, from which those nearest to a history are found.

    The similarity of a sequence and a history is the sum of WEIGHT ** (places back) over the items that both have. The
    sequences that are most similar, of those MOST_RECENT that each item occurs in, vote for items near the anchor, the item
    that they share with the history and that lies least far back there (src/sequences/neighbours.pyx).

    Parameters
    ----------
    sequences : Sequences
    n_items : int

    References
    ----------
    Ludewig and Jannach (2018), Evaluation of session-based recommendation algorithms, doi:10.1007/s11257-018-9209-6.
    Garg, Gupta, Malhotra, Vig and Shroff (2019), Sequence and time aware neighborhood for session-based recommendations,
    doi:10.1145/3331184.3331322. Kersbergen, Sprangers and Schelter (2022), Serenade: low-latency session-based
    recommendation in e-commerce at scale, doi:10.1145/3514221.3517901.
    """

    def __init__(self, sequences, n_items):
        self.n_items = n_items
        sequences = sequences.ends(LONGEST)
        n = self.n_sequences = len(sequences)
        latest_first = n - 1 - sequences.sequence_of_places()
        by_item = sparse.csr_array(
            (np.ones(len(sequences.ids), np.bool_), (sequences.ids, latest_first)), shape=(n_items, n)
        )  # a sequence once an item, ascending
        counts = np.diff(by_item.indptr)
        rank = np.arange(by_item.nnz) - np.repeat(by_item.indptr[:-1], counts)
        self._of_item = (n - 1 - by_item.indices[rank < MOST_RECENT]).astype(np.int32)
        self._item_ptr = np.append(0, np.cumsum(np.minimum(counts, MOST_RECENT))).astype(np.int64)
        self._items, self._indptr = sequences.ids, sequences.indptr
        self._longest = min(int(sequences.lengths.max(initial=0)), 2 * REACH + 1)
        distance = np.arange(-REACH, REACH + 1)
        side = np.where(distance < 0, BEFORE, np.where(distance == 0, HERE, 1.0))
        self._reach = np.maximum(side * AHEAD ** np.abs(distance), 1e-6).astype(np.float32)
        self._scratch = []  # of threads that are not in `proba` now

    def votes(self, histories, n_threads):
        """The distributions of Histories: rows, ascending, items, each once in a row, and probabilities.

        A row without neighbours has none. `n_threads` is a checked number.
        """
        blocks = [slice(start, start + ROWS) for start in range(0, max(histories.n_rows, 1), ROWS)]
        parts = [self._block(histories.rows(block), n_threads) for block in blocks]
        if len(parts) == 1:
            return parts[0]
        rows = [row + block.start for block, (row, _, _) in zip(blocks, parts, strict=True)]
        return tuple(map(np.concatenate, (rows, [part[1] for part in parts], [part[2] for part in parts])))

    def _block(self, histories, n_threads):
        row, item, back = histories.distinct_entries(LENGTH, self.n_items)
        indptr = np.append(0, np.cumsum(np.bincount(row, minlength=histories.n_rows)))
        room = neighbours.room(indptr, item, self._item_ptr, N_NEIGHBOURS, self._longest, self.n_items)
        begin = np.cumsum(room) - room
        items, proba = np.empty(room.sum(), np.int32), np.empty(room.sum(), np.float32)
        counts = np.empty(histories.n_rows, np.int64)
        n_threads = self._usable_threads(histories.n_rows, n_threads)
        self._vote(indptr, item, back, begin, items, proba, counts, n_threads)
        kept = np.arange(len(items)) - np.repeat(begin, room) < np.repeat(counts, room)
        return np.repeat(np.arange(histories.n_rows), counts), items[kept], proba[kept]

    def of_one(self, items):
        """The distribution of one history, a list of codes: items and probabilities; None where it has no neighbours."""
        places = {}
        for place, item in enumerate(items[: -LENGTH - 1 : -1]):
            places.setdefault(item, place)
        item, back = np.fromiter(places, np.int32, len(places)), np.fromiter(places.values(), np.int64, len(places))
        room = min(self.n_items, N_NEIGHBOURS * self._longest)
        found, proba, counts = np.empty(room, np.int32), np.empty(room, np.float32), np.zeros(1, np.int64)
        self._vote(np.array([0, len(item)]), item, back, np.zeros(1, np.int64), found, proba, counts, 1)
        n = int(counts[0])
        return (found[:n], proba[:n]) if n else None

    def _vote(self, indptr, item, back, begin, items_out, proba_out, counts_out, n_threads):
        """Have the kernel find the distributions of histories by their distinct items, and how far back these are."""
        weights, votes = (np.float32(base) ** back.astype(np.float32) for base in (WEIGHT, VOTE))
        scratch = self._take_scratch(n_threads)
        neighbours.vote(
            indptr, item, weights, votes, self._item_ptr, self._of_item, self._indptr, self._items, self._reach,
            N_NEIGHBOURS, *scratch, begin, items_out, proba_out, counts_out, n_threads,
        )  # fmt: skip
        if not self._scratch:  # one is enough to keep
            self._scratch.append(scratch)

    def _usable_threads(self, n_rows, n_threads):
        most = MOST_SCRATCH // (8 * (self.n_sequences + self.n_items))
        return max(1, min(threads.resolve(n_threads), n_rows // 8, most))

    def _take_scratch(self, n_threads):
        """Arrays for the kernel, of an earlier call where one has ended: they are as they were."""
        try:
            scratch = self._scratch.pop()
            if len(scratch[0]) >= n_threads:
                return scratch
        except IndexError:
            pass
        return (
            np.zeros((n_threads, self.n_sequences), np.float32),
            np.empty((n_threads, self.n_sequences), np.int32),
            np.zeros((n_threads, self.n_items), np.float32),
            np.full((n_threads, self.n_items), -1, np.int32),
            np.empty((n_threads, N_NEIGHBOURS), np.int32),
        )

    def __getstate__(self):
        return self.__dict__ | {"_scratch": []}
