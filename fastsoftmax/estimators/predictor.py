"""Answers to single rows and small batches by a fitted model, which `predictor()` of the model makes."""

import weakref


class Predictor:
    """Answers rows as the model did when this was made, without the work that does not depend on the rows.

    What it keeps: for a model of the sparse term alone, the mass of all classes at their biases, a copy of the biases with
    their exponentials, and their ranking; with more than 32,768 classes also (bias, exponential) beside each pair of a
    feature and a class, which takes twice the memory of the weights. With `screen`, it keeps weights in 8 bits. Other models
    have nothing to keep but scratch. The weights are the model's own arrays.

    Any number of Python threads may use one predictor at once; the interpreter's lock is released during the work.

    Attributes
    ----------
    classes_ : (n_classes,) labels
    n_features_in_ : int
    """

    def __init__(self, model, n_threads=None, *, screen=False):
        self._frozen, self._model = model._as_of_now(), weakref.ref(model)
        if n_threads is not None:
            self._frozen.n_threads = n_threads
        self._frozen._kept_predictor = self._frozen._predictor(keeps=True, screens=screen)
        self.classes_, self.n_features_in_ = self._frozen.classes_, self._frozen.n_features_in_

    def predict_topk(self, X, k=5, *, classes=None, exclude=None, threshold=None):
        """The `k` best labels of each row with their log-probabilities: see the model's own `predict_topk`.

        Raises
        ------
        RuntimeError
            If the model was trained further, which has changed the weights in place: make a new predictor. A predictor
            outlives a new `fit`.
        """
        return self._as_made().predict_topk(X, k, classes=classes, exclude=exclude, threshold=threshold)

    def predict(self, X):
        """The most probable label of each row, (n_samples,). It raises as `predict_topk` does."""
        return self._as_made().predict(X)

    def _as_made(self):
        """The model as it was when this was made."""
        model, frozen = self._model(), self._frozen
        if model is not None and model._model is not frozen._model and frozen._model.shares_arrays(model._model):
            raise RuntimeError(f"this {type(model).__name__} was trained further: make a new predictor")
        return frozen
