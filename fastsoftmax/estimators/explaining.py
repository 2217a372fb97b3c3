"""What a fitted model tells of its weights: why a row has a label, what speaks for a label, which labels are alike."""

import numpy as np
from scipy import sparse

from fastsoftmax.estimators.explanation import Explanation
from fastsoftmax.model import contributions
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import (
    check_explained_labels,
    check_feature_names,
    check_input,
    check_int,
    check_known_label,
    check_one_process,
)

ROWS = 4096  # explained at a time


class ExplainingMixin:
    """What a ModelEstimator has to explain its predictions."""

    @with_numpys_defaults
    def explain(self, X, labels=None, k=10, *, feature_names=None):
        """The features of each row that speak most for a label, and how much each adds to its logit.

        Feature j adds ``x_j (w_kj + e_j . v_k)`` to the logit of label k, which is exact for all terms: direct weights, dense
        or of pairs, and those through the embedding of a low-rank term. docs/explanations.md has more.

        Parameters
        ----------
        X : (n_samples, n_features) array or scipy.sparse matrix
        labels : array of n_samples labels, or a label, optional
            The label to explain for each row, or for all of them. By default it is the one that `predict` returns.
        k : int
            How many features to return of each row, at least 1. Those that add nothing are left out, so there may be fewer.
        feature_names : sequence of n_features str, optional
            The names of the features. By default they are `feature_names_in_`, or what `vectorizer_` calls them, or else
            features are numbers: words that are hashed have no names.

        Returns
        -------
        explanations : list of n_samples `fastsoftmax.estimators.Explanation`
            With two classes too, each label has a logit of its own. `log_proba` is None for `OneVsAllClassifier`, whose
            logits are of problems apart.

        Raises
        ------
        ValueError
            If a label is not in `classes_`, or where the model's classes are divided among ranks.
        """
        now = self._as_of_now()
        model, k = now._explained_model("explain"), check_int("k", k, minimum=1)
        names = now._names_of_features(feature_names)
        X = check_input(now, X, dtype=model.dtype, canonical=True)
        given = None if labels is None else check_explained_labels(labels, X.shape[0], now.classes_)
        runner = now._runner(X)
        codes = runner.topk(1)[0][:, 0] if given is None else given
        log_proba, bias = now._log_proba_of(runner, codes), model.bias[codes].astype(np.float64)
        explanations = []
        for start in range(0, X.shape[0], ROWS):
            rows = slice(start, start + ROWS)
            largest = contributions.largest_of_rows(model, sparse.csr_array(X[rows]), codes[rows], k)
            explanations += _explanations(now.classes_[codes[rows]], bias[rows], log_proba[rows], largest, names)
        return explanations

    @with_numpys_defaults
    def top_features(self, label, k=10, *, feature_names=None):
        """The features with the largest weights for a label, through all terms: ``w_kj + e_j . v_k`` for feature j.

        Parameters
        ----------
        label : one of `classes_`
        k : int
            How many features to return, at least 1. Features with a weight of zero are left out.
        feature_names : as for `explain`

        Returns
        -------
        features : list of str, or of int where features have no names, largest weight first
        weights : (len(features),) float64 array
        """
        now = self._as_of_now()
        model, k = now._explained_model("top_features"), check_int("k", k, minimum=1)
        names = now._names_of_features(feature_names)
        weights = contributions.class_weights(model, check_known_label("label", label, now.classes_))
        used = np.flatnonzero(weights)
        best = used[contributions.largest(weights[used], k)]
        return _named(best, names), weights[best]

    @with_numpys_defaults
    def similar_classes(self, label, k=10):
        """The classes whose vectors point most in the direction of a label's, and the cosines of the angles between them.

        The vectors are those of the low-rank term (the rows of `hidden_coef_`) where there is one, since labels that share
        no feature can be alike there; else they are the classes' weights of all features (the rows of `coef_`).

        Parameters
        ----------
        label : one of `classes_`
        k : int
            How many classes to return, at least 1; at most all others are.

        Returns
        -------
        labels : (k,) array, the most similar first, without `label` itself
        similarities : (k,) float64 array, from -1 to 1; 0 for a class whose weights are all zero
        """
        now = self._as_of_now()
        model, k = now._explained_model("similar_classes"), check_int("k", k, minimum=1)
        code = check_known_label("label", label, now.classes_)
        similarities = contributions.similarities(model, code)
        others = np.delete(np.arange(model.n_classes), code)
        best = others[contributions.largest(similarities[others], k)]
        return now.classes_[best], similarities[best]

    def _log_proba_of(self, runner, codes):
        """Natural logarithms of the probabilities of a class of each row, (n_rows,); of None where there are none."""
        return np.full(len(codes), None)

    def _explained_model(self, what):
        model = self._fitted_model()
        check_one_process(model, what)
        return model

    def _names_of_features(self, given):
        """The names of the features, as a sequence of n_features str; None: they have none."""
        if given is not None:
            return check_feature_names(given, self.n_features_in_)
        if hasattr(self, "feature_names_in_"):
            return self.feature_names_in_
        vectorizer = getattr(self, "vectorizer_", None)
        if (
            vectorizer is None or getattr(vectorizer, "vocabulary_", ()) is None
        ):  # n-grams that are hashed have no names
            return None
        return vectorizer.get_feature_names_out()


def _explanations(labels, bias, log_proba, largest, names):
    """An Explanation of each row; the arguments are of all of them."""
    indptr, features, values, added, rest = largest
    features, ends = _named(features, names), indptr.tolist()
    labels = list(labels) if labels.dtype.kind in "mM" else labels.tolist()  # Python has no dates in nanoseconds
    of_rows = zip(labels, bias.tolist(), log_proba.tolist(), rest.tolist(), ends[:-1], ends[1:], strict=True)
    explanations = []
    for label, b, log_p, others, start, stop in of_rows:
        own = slice(start, stop)
        logit = b + float(added[own].sum()) + others
        explanations.append(Explanation(label, logit, log_p, b, features[own], values[own], added[own], others))
    return explanations


def _named(features, names):
    """Features by their names, or by their numbers where they have none: a list."""
    return features.tolist() if names is None else [str(names[j]) for j in features.tolist()]
