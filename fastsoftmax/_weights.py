"""The weights of a trained SoftmaxClassifier: as attributes, and in few bits."""

import copy

from fastsoftmax import _validation as v


class Weights:
    """Methods and attributes of a classifier with the terms that SoftmaxClassifier may have."""

    @property
    def intercept_(self):
        return self._fitted("bias")

    @property
    def coef_(self):
        model = self.__dict__.get("_model")
        if model is not None and model.W is not None and model.pattern is not None:
            return model.sparse_matrix()
        return self._fitted("W")

    @property
    def embedding_(self):
        return self._fitted("E")

    @property
    def hidden_coef_(self):
        return self._fitted("V")

    def compressed(self, storage="bfloat16"):
        """A copy for predictions alone, whose weights take a half or a quarter of the memory, and of the file.

        They are widened where they are used, a few at a time. `fastsoftmax.metrics.compare` tells what it costs in accuracy
        on given rows, docs/prediction.md what it did on some data sets.

        Parameters
        ----------
        storage : {"bfloat16", "float16", "int8"}
            "bfloat16": 2 bytes a weight, a relative error up to 2^-9. "float16": 2 bytes, 2^-12, for weights up to 65,504;
            below 6e-5 an absolute error up to 3e-8. "int8": one byte, an error up to 1/254 of the largest weight of the
            same row: one class, or one feature in `embedding_` and in a direct term.

        Returns
        -------
        classifier : like this one, with the attribute `storage_`
            All predictions, `save`, `load` and pickle work; `coef_`, `embedding_` and `hidden_coef_` are computed in full
            at each access; `partial_fit` and `calibrate` raise TypeError, `fit` begins from scratch.

        Raises
        ------
        TypeError
            If this one is compressed itself.
        ValueError
            If weights are too large for `storage`.
        """
        from fastsoftmax._compact import STORAGES, CompactModel

        v.check_option("storage", storage, STORAGES)
        model = self._fitted_model()
        v.check_not_compact(model, "compressed")
        compact = CompactModel.of(model, storage)
        v.check_compact(compact)
        other = copy.copy(self)
        other._model, other._class_counts = compact, None
        other._sampler = other._sampler_given = None
        other.loss_curve_, other.validation_curve_ = [*self.loss_curve_], [*self.validation_curve_]
        return other

    @property
    def storage_(self):
        """Of the weights: "bfloat16", "float16" or "int8" once compressed, else None."""
        return self._fitted_model().storage
