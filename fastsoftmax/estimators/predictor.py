"""Answers to single rows and small batches by a fitted model, which `predictor()` of the model makes."""


class Predictor:
    """Answers rows as the model did when this was made, without the work that does not depend on the rows.

    What it keeps: for a model of the sparse term alone, the mass of all classes at their biases, a copy of the biases with
    their exponentials, and their ranking; with more than 32,768 classes also (bias, exponential) beside each pair of a
    feature and a class, which takes twice the memory of the weights. Other models have nothing to keep but scratch. Weights
    are the model's own arrays: make a new predictor after further training.

    Any number of Python threads may use one predictor at once; the interpreter's lock is released during the work.
    Made with `exact=False`, searches of its index wait for each other.

    Attributes
    ----------
    classes_ : (n_classes,) labels
    n_features_in_ : int
    """

    def __init__(self, frozen, n_threads=None, screen=False, exact=True):
        if n_threads is not None:
            frozen.n_threads = n_threads
        frozen._kept_predictor = frozen._predictor(keeps=True, screens=screen, approximates=not exact)
        self._frozen = frozen
        self.classes_, self.n_features_in_ = frozen.classes_, frozen.n_features_in_

    def predict_topk(self, X, k=5, *, classes=None, exclude=None, threshold=None):
        """The `k` best labels of each row with their log-probabilities: see the model's own `predict_topk`."""
        return self._frozen.predict_topk(X, k, classes=classes, exclude=exclude, threshold=threshold)

    def predict(self, X):
        """The most probable label of each row, (n_samples,)."""
        return self._frozen.predict(X)
