"""Marginal probabilities of a fitted SoftmaxClassifier: of each label by itself."""

import numpy as np
from scipy import sparse

from fastsoftmax.training import marginals
from fastsoftmax.validation import check_has_marginals, check_one_process, check_result, check_threshold

# of logits that are log odds already
SIGMOID = {"bends": [0.0], "slopes": [1.0, 1.0], "lse": 0.0, "offset": 0.0, "least_lse": 0.0, "largest_lse": 0.0}


def predict(classifier, X, threshold=None):
    """Do what `SoftmaxClassifier.predict_marginals` does."""
    now = classifier._as_of_now()
    check_one_process(now._fitted_model(), "predict_marginals")
    runner, _ = now._runner_for(X)
    numbers = now.marginals_
    if not numbers:
        check_has_marginals(now.loss, now.loss_)
        numbers = SIGMOID
    shape, dtype = (runner.n_rows, runner.model.n_classes), runner.model.dtype
    if threshold is None:
        check_result(shape, dtype.itemsize, "with a threshold, only the likely labels are kept")
        out = np.empty(shape, dtype)
        for rows in marginals.chunks(*shape):
            out[rows] = marginals.of_logits(marginals.logits(runner, rows), numbers)
        return out
    threshold = check_threshold(threshold)
    of_rows = (marginals.of_logits(marginals.logits(runner, rows), numbers) for rows in marginals.chunks(*shape))
    likely = [sparse.csr_array(np.where(a >= threshold, a, 0)) for a in of_rows]
    return sparse.csr_array(sparse.vstack(likely, format="csr")) if likely else sparse.csr_array(shape, dtype=dtype)
