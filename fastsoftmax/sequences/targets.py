"""Later items of a sequence as further targets of a row."""

import numpy as np
from scipy import sparse

from fastsoftmax.sequences.kinds import powers


def later_items(sequences, histories, sequence, n_targets, decay, n_items):
    """The next `n_targets` items after each history as masses, CSR of float64 (n_rows, n_items), whose rows add up to 1.

    Parameters
    ----------
    sequences : Sequences
    histories, sequence : what `Sequences.prefixes` returns of them
    decay : float, the mass of an item for that of the one before it
    """
    first = histories.begins + histories.lengths
    lengths = np.minimum(sequences.indptr[sequence + 1] - first, n_targets)
    indptr = np.append(0, np.cumsum(lengths))
    ahead = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths)
    mass = powers(decay, ahead)
    total = np.cumsum(powers(decay, np.arange(lengths.max(initial=0))))  # of the first items
    mass /= np.repeat(total[lengths - 1], lengths)
    item = sequences.ids[np.repeat(first, lengths) + ahead]
    masses = sparse.csr_array((mass, item, indptr), shape=(histories.n_rows, n_items))
    masses.sum_duplicates()
    return masses
