"""What counts of items that occur near each other say comes next."""

import itertools

import numpy as np
from scipy import sparse

DECAY = 0.5  # of a pair for each place farther apart than one
NEAR = 10  # places that a follower is apart at most
MOST = 300  # items that an item keeps
LONGEST = 500  # the last items of a sequence that are companions
SHARE, POPULARITY = np.float32(0.5), np.float32(0.3)
PRODUCT = 1 << 25  # multiply-adds of a product of sparse arrays at a time, which bounds the memory
BLOCK = 5  # distances at a time, which bounds the memory
HISTORY = 50  # the last items of a history whose companions count


def follower_counts(sequences, n_items):
    """How often an item comes after another, CSR (n_items, n_items); one that is d places on counts DECAY ** (d - 1)."""
    return _pair_counts(sequences, n_items, NEAR, DECAY)


def companion_distributions(sequences, n_items):
    """How often two items are in one sequence, as distributions over the second: CSR (n_items, n_items) of float32.

    A sequence counts by its length to the power of -SHARE, of its last LONGEST items, and the second item by its number of
    sequences to the power of -POPULARITY. This is a random walk from an item over its sequences to their items, tempered
    (Paudel, Christoffel, Newell and Bernstein 2017, Updatable, accurate, diverse, and scalable recommendations for
    interactive applications, doi:10.1145/2955101).
    """
    row, item, _ = sequences.wholes().distinct_entries(LONGEST, n_items)
    shape = len(sequences), n_items
    contains = sparse.csr_array((np.ones(len(row), np.float32), (row, item)), shape=shape)
    lengths = np.maximum(np.diff(contains.indptr), 1).astype(np.float32)
    popularity = np.maximum(np.bincount(item, minlength=n_items), 1).astype(np.float32)
    weighted = contains.copy()
    weighted.data *= np.repeat(lengths**-SHARE, np.diff(contains.indptr))
    weighted.data *= popularity[weighted.indices] ** -POPULARITY
    of_item = contains.T.tocsr()
    parts = [sparse.csr_array((0, n_items), dtype=np.float32)]
    work = np.cumsum(of_item @ lengths.astype(np.float64))  # multiply-adds of the products below, up to each item
    bounds = np.unique(np.append(np.searchsorted(work, np.arange(0, work[-1], PRODUCT)), n_items))
    for start, stop in itertools.pairwise(np.append(0, bounds[bounds > 0])):
        counts = (of_item[start:stop] @ weighted).tocsr()
        counts.data[counts.indices == np.repeat(np.arange(start, stop), np.diff(counts.indptr))] = 0
        counts.eliminate_zeros()
        parts.append(distributions(counts))
    return sparse.vstack(parts, format="csr")


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
