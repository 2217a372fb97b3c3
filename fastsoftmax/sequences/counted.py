"""What counts of items that occur near each other say comes next."""

import numpy as np
from scipy import sparse

DECAY = 0.5  # of a pair for each place farther apart than one
NEAR, FAR = 10, 20  # places that items of a pair are apart at most: followers, and companions
MOST = 300  # items that an item keeps
POPULARITY = 0.5  # companions count by their count to the power of minus this
BLOCK = 5  # distances at a time, which bounds the memory
HISTORY = 50  # the last items of a history whose companions count


def follower_counts(sequences, n_items):
    """How often an item comes after another, CSR (n_items, n_items); one that is d places on counts DECAY ** (d - 1)."""
    return _pair_counts(sequences, n_items, NEAR, DECAY)


def companion_counts(sequences, n_items):
    """How often two items are in one sequence, at most FAR places apart, over the popularity of the second."""
    counts = _pair_counts(sequences, n_items, FAR, 1.0)
    counts = (counts + counts.T).tocsr()
    counts.setdiag(0)
    counts.eliminate_zeros()
    popularity = np.maximum(np.bincount(sequences.ids, minlength=n_items), 1).astype(np.float32)
    counts.data *= popularity[counts.indices] ** np.float32(-POPULARITY)
    return counts


def distributions(counts):
    """The rows of `counts`, of their MOST largest entries each, scaled to add up to 1: CSR of float32."""
    counts = _largest(counts.tocsr())
    total = np.asarray(counts.sum(axis=1)).ravel()
    counts.data /= np.repeat(total, np.diff(counts.indptr)).astype(np.float32)
    return counts


def _pair_counts(sequences, n_items, farthest, decay):
    sequence = sequences.sequence_of_places()
    total = sparse.csr_array((n_items, n_items), dtype=np.float32)
    for start in range(1, min(farthest, int(sequences.lengths.max(initial=0)) - 1) + 1, BLOCK):
        first, second, weight = [], [], []
        for distance in range(start, min(start + BLOCK, farthest + 1)):
            at = np.flatnonzero(sequence[:-distance] == sequence[distance:])
            first.append(sequences.ids[at])
            second.append(sequences.ids[at + distance])
            weight.append(np.full(len(at), decay ** (distance - 1), np.float32))
        pairs = np.concatenate(weight), (np.concatenate(first), np.concatenate(second))
        total = total + sparse.csr_array(pairs, shape=(n_items, n_items))
    return total.tocsr()


def _largest(counts):
    """The MOST largest entries of each row of CSR counts; of equal ones the first."""
    lengths = np.diff(counts.indptr)
    if lengths.max(initial=0) <= MOST:
        return counts
    row = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((counts.indices, -counts.data, row))
    rank = np.arange(counts.nnz) - np.repeat(counts.indptr[:-1], lengths)
    kept = np.zeros(counts.nnz, bool)
    kept[order[rank < MOST]] = True
    indptr = np.append(0, np.cumsum(np.minimum(lengths, MOST)))
    return sparse.csr_array((counts.data[kept], counts.indices[kept], indptr), shape=counts.shape)
