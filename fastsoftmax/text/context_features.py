"""The tokens before a token as features."""

import numpy as np

from fastsoftmax.text.contexts import longest_document, positions_in_file
from fastsoftmax.text.rows import index_dtype, rows_of_ones
from fastsoftmax.validation import check_documents, check_int, check_memory


def context_features(ids, starts, n_classes, context=6):
    """The tokens before each token, one-hot by place.

    Parameters
    ----------
    ids : ndarray of int32, shape (n_tokens,)
        Tokens of all files, one file after the other.
    starts : array_like of int, shape (n_files,)
        Where each file begins. A context never reaches into the file before, so the first rows of a file have fewer
        features.
    n_classes : int
    context : int
        Number of places.

    Returns
    -------
    csr_matrix of float32, shape (n_tokens, context * n_classes)
        Entry (i, (p - 1) * n_classes + c) is 1 if token i - p is c. Indices are sorted. Row i describes what comes
        before token i, so that `ids` itself is the array of labels.
    """
    n_classes = check_int("n_classes", n_classes, minimum=1)
    context = check_int("context", context, minimum=1, maximum=np.iinfo(np.intp).max // n_classes)
    ids, starts = check_documents(ids, starts, n_classes)
    n_tokens, n_features = len(ids), context * n_classes
    context = min(context, longest_document(n_tokens, starts))  # no token has more before it
    check_memory("context_features", 16 * n_tokens * context, f"{n_tokens} tokens x {context} places x 16 bytes")
    columns = np.zeros((n_tokens, context), dtype=index_dtype(n_features, n_tokens * context))
    for place in range(1, context + 1):
        np.add(ids[:-place], (place - 1) * n_classes, out=columns[place:, place - 1], dtype=columns.dtype)
    places_filled = np.minimum(positions_in_file(n_tokens, starts), context)
    indices = columns[np.arange(context, dtype=np.int32) < places_filled[:, None]]
    del columns
    return rows_of_ones(indices, places_filled, n_features)
