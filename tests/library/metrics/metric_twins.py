"""What several tests of metrics share."""

import numpy as np
from fuzz import strategies as s
from hypothesis import strategies as st
from scipy import sparse


def label_sets(Y):
    """The labels of each row of a CSR indicator."""
    return [set(labels.tolist()) for labels in np.split(Y.indices, Y.indptr[1:-1])]


@st.composite
def rankings(draw):
    """Distinct predictions with padding among them, an indicator, a depth."""
    n, m, rng = draw(st.integers(1, 30)), draw(st.integers(1, 40)), draw(s.rngs)
    width = draw(st.integers(1, m))
    topk = np.array([rng.permutation(m)[:width] for _ in range(n)])
    topk[rng.random(topk.shape) < draw(st.sampled_from([0.0, 0.3]))] = -1
    Y = sparse.csr_array(rng.random((n, m)) < draw(st.sampled_from([0.0, 0.1, 0.7])))
    return topk, Y, draw(st.integers(1, width))


def popularity_bias(lists, true, popularity):
    """The mean popularity of the lists, a mean of the rows' means, and by how much it is above that of the true labels."""

    def mean(rows):
        means = [np.mean([popularity.get(label, 0) for label in row]) for row in rows if row]
        return np.mean(means) if means else np.nan

    lists, true = mean([[label for label in row if label != -1] for row in lists]), mean(list(map(list, true)))
    return lists, lists / true - 1 if true > 0 else np.nan
