"""Answers to single rows and small batches by a fitted model, which `predictor()` of the model makes."""

import functools


class Predictor:
    """Answers rows as the model did when this was made, without the work that does not depend on the rows.

    What it keeps: for a model of the sparse term alone, the mass of all classes at their biases, a copy of the biases with
    their exponentials, and their ranking; with more than 32,768 classes also (bias, exponential) beside each pair of a
    feature and a class, which takes twice the memory of the weights. With `screen`, it keeps the output weights in 8 bits,
    and with ``exact=False`` an index of them. Other models have nothing to keep. The weights are the model's own arrays.

    Any number of Python threads may use one predictor at once. The interpreter's lock is released during the work, but for
    calls so short that to wait for it takes longer. Searches of the index of ``exact=False`` wait for each other.

    Attributes
    ----------
    classes_ : (n_classes,) labels
    n_features_in_ : int
    """

    def __init__(self, model, n_threads=None, *, screen=False, exact=True):
        self._frozen = frozen = model._as_of_now()
        if n_threads is not None:
            frozen.n_threads = n_threads
        self._options = {"screen": screen, "exact": exact}
        self._n_changes = frozen._model.changes[0]
        frozen._kept_predictor = frozen._predictor(keeps=True, screens=screen, approximates=not exact)
        self.classes_, self.n_features_in_ = frozen.classes_, frozen.n_features_in_

    def predict_topk(self, X, k=5, *, classes=None, exclude=None, threshold=None):
        """The `k` best labels of each row with their log-probabilities: see the model's own `predict_topk`.

        Raises
        ------
        RuntimeError
            If the model was trained further, by `partial_fit`, which changes the weights in place: make a new predictor. A
            predictor outlives a new `fit`.
        """
        return self._as_made().predict_topk(X, k, classes=classes, exclude=exclude, threshold=threshold)

    def predict(self, X):
        """The most probable label of each row, (n_samples,). It raises as `predict_topk` does."""
        return self._as_made().predict(X)

    def __reduce__(self):  # what it keeps is made anew
        return functools.partial(type(self), **self._options), (self._as_made(),)

    def _as_made(self):
        """The model as it was when this was made."""
        if self._frozen._model.changes[0] != self._n_changes:
            raise RuntimeError(f"this {type(self._frozen).__name__} was trained further: make a new predictor")
        return self._frozen
