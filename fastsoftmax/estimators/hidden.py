"""A low-rank model as a transformer: its hidden layer as features of the rows."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if


def _has_hidden_layer(estimator):
    """Whether it has one or, before `fit`, surely will."""
    model = estimator.__dict__.get("_model")
    if model is not None:
        return model.E is not None
    return estimator.hidden_size not in (None, "auto")


class HiddenLayer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Methods of a classifier that may have a low-rank term."""

    def transform(self, X):
        """The hidden layer ``x E`` of the low-rank term, (n_samples, hidden_size); there only where there is such a term.

        `set_output` chooses what it comes in, and `get_feature_names_out` names its columns.
        """
        runner = self._runner_for(X)
        out = np.empty((runner.X.shape[0], self._n_features_out), self._model.dtype)
        for rows in runner.chunks():
            out[rows] = runner.hidden(rows)
        return out

    @property
    def _n_features_out(self):
        return self._model.E.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # it is that of the model
        return tags


# not as decorators: set_output's wrappers, which the class has put around them by now, would always be there
HiddenLayer.transform = available_if(_has_hidden_layer)(HiddenLayer.transform)
HiddenLayer.fit_transform = available_if(_has_hidden_layer)(HiddenLayer.fit_transform)
