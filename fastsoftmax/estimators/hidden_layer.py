"""The hidden layer of a classifier as a scikit-learn transformer."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if

from fastsoftmax.estimators.together import by_all_ranks
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.validation import check_input


def _has_hidden_layer(classifier):
    """Whether the classifier has a hidden layer or, before `fit`, is sure to get one."""
    model = classifier.__dict__.get("_model")
    if model is not None:
        return model.E is not None
    return not isinstance(classifier.hidden_size, str) and classifier.hidden_size is not None


class HiddenLayerTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """What a ModelEstimator with a hidden layer has as a transformer."""

    @with_numpys_defaults
    @by_all_ranks
    def transform(self, X):
        """The hidden layer ``x E``, (n_samples, hidden_size); the method exists only where there is a low-rank term.

        Where that is normalised, each row has the length of the scale.

        `set_output` chooses the container of the result, and `get_feature_names_out` names its columns. With `comm`, all ranks
        call it, and each gets the hidden layer of its own rows.
        """
        now = self._as_of_now()
        model = now._fitted_model()
        if model.features is not None:
            return _transform_together(now, X)
        runner = now._runner(check_input(now, X, dtype=model.dtype))
        out = np.empty((runner.n_rows, model.E.shape[1]), model.dtype)
        for rows in runner.chunks():
            out[rows] = runner.hidden(rows)
        return out

    @property
    def _n_features_out(self):
        return self._model.E.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # the result has the dtype of the model
        return tags


def _transform_together(classifier, X):
    """The hidden layer of X, a rank's own rows, where each rank has some rows of E."""
    runner, own = classifier._runner_for(X)
    begin, end, _ = own.indices(runner.n_rows)
    out = np.empty((end - begin, runner.model.E.shape[1]), runner.model.dtype)
    for rows in runner.chunks():
        first, last = np.clip((rows[0], rows[-1] + 1), begin, end)
        out[first - begin : last - begin] = runner.hidden(rows)[first - rows[0] : max(last - rows[0], 0)]
    return out


# not as decorators: set_output, whose wrappers the class has put around these methods by now, would make them always exist
for name in ("transform", "fit_transform"):
    setattr(HiddenLayerTransformer, name, available_if(_has_hidden_layer)(getattr(HiddenLayerTransformer, name)))
