"""The base class of fitted models: the best class, all logits, the weights as attributes, and compressed copies."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from fastsoftmax.distributed.rows import are_common, collect_eligible, collect_labels, collect_weights, collect_X
from fastsoftmax.estimators.explaining import ExplainingMixin
from fastsoftmax.estimators.predictor import Predictor as FrozenPredictor
from fastsoftmax.estimators.together import by_all_ranks
from fastsoftmax.model.compact import STORAGES, CompactModel
from fastsoftmax.model.predictor import Predictor
from fastsoftmax.passes.eligible import Eligible
from fastsoftmax.passes.shard import WHOLE
from fastsoftmax.runtime import workspaces
from fastsoftmax.runtime.csr_rows import CsrRows
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.training import targets
from fastsoftmax.validation import (
    check_compact,
    check_eligible,
    check_input,
    check_input_rows,
    check_k,
    check_n_threads,
    check_nested_params,
    check_not_compact,
    check_one_process,
    check_one_way,
    check_option,
    check_result,
    check_sample_weight,
    check_some_rows,
    check_targets,
    warn_not_calibrated,
)


class ModelEstimator(ExplainingMixin, ClassifierMixin, BaseEstimator):
    """A classifier that has a `_model` (a Model), `classes_` and `n_features_in_` once it is fitted.

    A subclass has the parameter `n_threads` and the method `predict_topk`, and may override `_working_memory`,
    `_ignored_label` and `_forget_training`.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def set_params(self, **params):
        """As in scikit-learn. ValueError for an option of a parameter that is a name or a number, and so has no options."""
        check_nested_params(self.get_params(deep=False), params)
        return super().set_params(**params)

    # -- predictions --

    def predict(self, X):
        """The most probable label of each row, (n_samples,)."""
        return self.predict_topk(X, 1)[0][:, 0]

    @with_numpys_defaults
    @by_all_ranks
    def decision_function(self, X):
        """All logits, (n_samples, n_classes).

        With two classes it is, as in scikit-learn, the logit of the second less that of the first, (n_samples,). It raises
        MemoryError before any work if the logits do not fit into memory.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    @with_numpys_defaults
    @by_all_ranks
    def score(self, X, y, sample_weight=None):
        """The accuracy: the share of rows, by weight, whose most probable label is their own.

        If `y` holds masses of classes, it is the mean of the predicted class's mass over the largest mass of its row. For
        several labels a row or an indicator matrix, that is precision at 1: the share of rows whose most probable class is one
        of theirs. Rows that training ignores do not count.
        """
        runner, target, counted, own = self._rows_that_count(X, y)
        ranks = runner.model.shard.ranks
        with ranks.together():
            n_rows = len(range(len(target))[own]) if counted is None else len(counted)
            weight = check_sample_weight(sample_weight, n_rows, counted, is_part=ranks.size > 1)
        weight = collect_weights(ranks, weight, common=own == slice(None))
        check_some_rows(runner.X, n_given=sum(ranks.objects(n_rows)))
        return float(np.average(target.hits(runner.topk(1)[0][:, 0]), weights=weight))

    @with_numpys_defaults
    def compressed(self, storage="bfloat16"):
        """A copy that only predicts, and whose weights take a half or a quarter of the memory and of the file.

        The weights are widened a few at a time, where they are used. `fastsoftmax.metrics.compare` says what this costs in
        accuracy on given rows; docs/prediction_measured.md says what it cost on some data sets.

        Parameters
        ----------
        storage : {"bfloat16", "float16", "int8"}
            "bfloat16" takes 2 bytes a weight, with a relative error up to 2^-9. "float16" takes 2 bytes, with a relative
            error up to 2^-12, or an absolute error up to 3e-8 below 6e-5; weights may be up to 65,504. "int8" takes one byte,
            with an error up to 1/254 of the largest weight of the same row: a row is one class, or one feature in
            `embedding_` and in a direct term.

        Returns
        -------
        classifier : a copy of this one, with the attribute `storage_`
            All predictions, `save`, `load` and pickle work. `coef_`, `embedding_` and `hidden_coef_` are computed in full
            at each access. `partial_fit` and `calibrate` raise TypeError; `fit` begins from scratch.

        Raises
        ------
        TypeError
            If this classifier is compressed itself.
        ValueError
            If weights are too large for `storage`.
        """
        check_option("storage", storage, STORAGES)
        other = self._as_of_now()
        check_one_process(other._fitted_model(), "compressed")
        check_not_compact(other._model, "compressed")
        compact = CompactModel.of(other._model, storage)
        check_compact(compact)
        other._model = compact
        other._forget_training()
        return other

    def predictor(self, n_threads=None, *, screen=False, exact=True):
        """A Predictor of this model as it is now: the fast way to answer single rows and small batches, many times.

        Parameters
        ----------
        n_threads : int, optional
            The threads of one call; None: those of the model. Where several Python threads ask, 1 is best.
        screen : bool
            Whether a copy of the output weights in 8 bits, a quarter of the memory of float32 weights more, is read in their
            place. It gives bounds on all logits, and the few classes that may be among the best `k` are computed in full.
            This pays from some hundred thousand classes on.

            Labels are exactly those of the model, in the same order, and so are differences between the log-probabilities
            of one row. What is estimated is the log-sum-exp that they share: by exact logits of the labels returned and
            approximate logits of all others. All log-probabilities of a row may so be off by one number: 0.034 at most
            for ten million classes, and up to 0.3 for a few thousand (docs/prediction_measured.md). Where that matters,
            ask the model. Calls with `classes` or `threshold`, with `k` and the classes excluded for a row above 1,024
            together, or with too many classes left are answered without a screen, exactly.
        exact : bool
            False lets an approximate index of the output weights, of the package usearch (`pip install "fastsoftmax[ann]"`),
            choose the candidates: at least 256 classes, and 4 for each of the best `k`. Their logits are the model's, so
            labels returned stand in the right order, but better ones may be missing; docs/prediction_measured.md has how many.

            What is estimated is the log-sum-exp that log-probabilities of a row share: by the candidates, and by 4,096
            classes drawn once, evenly, for all others. All classes are drawn where there are no more, and then it is exact. Up
            to 100,000 classes one thread builds the index, in about ten seconds; above, `n_threads` do, in minutes for a
            million, and then neither the index nor what it finds is the same each time (unless `n_threads=1`).

            Calls with `classes` or `threshold`, with `k` and the classes excluded for a row above 1,024 together, or with
            as many candidates as classes are answered without an index, exactly, and so are rows for which it finds too few.

        Returns
        -------
        predictor : fastsoftmax.estimators.predictor.Predictor

        Raises
        ------
        ImportError
            With `exact=False`, where usearch is not installed.
        ValueError
            With `screen` and `exact=False` together. With one of them, where logits are not one dense product: a low-rank
            term alone, or a dense direct term trained on dense X, not compressed.
        """
        if n_threads is not None:
            check_n_threads(n_threads)
        screen, exact = check_one_way(screen, exact)
        check_one_process(self._fitted_model(), "predictor")
        return FrozenPredictor(self, n_threads, screen=screen, exact=exact)

    # -- weights --

    @property
    def storage_(self):
        """The type of compressed weights, "bfloat16", "float16" or "int8"; None if they are not compressed."""
        return self._fitted_model().storage

    @property
    def intercept_(self):
        return self._weights("bias")

    @property
    def coef_(self):
        model = self.__dict__.get("_model")
        if model is not None and model.W is not None and model.pairs is not None:
            return model.sparse_matrix()
        return self._weights("W")

    def _weights(self, name):
        """An array of the model, widened if it is compressed; AttributeError where there is none."""
        a = getattr(self.__dict__.get("_model"), name, None)
        if a is None:
            raise AttributeError(f"this {type(self).__name__} is not fitted, or has no such term ({name})")
        return a if isinstance(a, np.ndarray) else a.widened()

    # -- what subclasses may override --

    def _working_memory(self):
        """The bytes of scratch for predictions."""
        return workspaces.WORKING_MEMORY

    def _ignored_label(self):
        """The label of the rows that do not count, or None."""

    def _forget_training(self):
        """Drop what training keeps beside the model, and share none of it; `compressed` calls this on its copy."""

    # -- the fitted attributes --

    def _set_fitted(self, **attributes):
        """Replace attributes in one step: other threads see all of them as they were, or all as they are now."""
        before = vars(self).copy()  # what is replaced lives on: to free it in between could let another thread run
        vars(self).update(attributes)
        del before

    def _as_of_now(self):
        """A copy that shares the weights, and that stays as it is when another thread replaces fitted attributes."""
        if "classes_" not in vars(self):
            check_is_fitted(self, "classes_")
        now = object.__new__(type(self))
        vars(now).update(vars(self))
        return now

    def __getstate__(self):
        state = dict(super().__getstate__())  # a copy: another thread may add attributes while this one pickles
        # scikit-learn's tree of the tasks of a `fit`, which that goes on changing in another thread
        state.pop("_callback_fit_ctx", None)
        state.pop("_kept_predictor", None)
        return state

    def _fitted_model(self):
        check_is_fitted(self, "classes_")
        return self._model

    # -- rows through the model --

    _awaits_calibration = False  # whether terms of different origin were added up as they are, which `calibrate` mends

    def _predictor(self, *, keeps=False, screens=False, approximates=False):
        """The model.predictor.Predictor that `predictor` has made, or a new one, which has nothing of its own to make."""
        if "_kept_predictor" in vars(self):
            return self._kept_predictor
        if self._awaits_calibration:
            warn_not_calibrated()
        options = {"keeps": keeps, "screens": screens, "approximates": approximates}
        n_threads, working_memory = check_n_threads(self.n_threads), self._working_memory()
        return Predictor(self._model, n_threads=n_threads, working_memory=working_memory, **options)

    def _runner(self, X):
        """A runner of the model over checked X."""
        return self._predictor().runner(X)

    def _runner_for(self, X):
        """A runner over the rows of X, which are those of all ranks where there are several, and which of them are X."""
        model = self._fitted_model()
        common = are_common(model.shard.ranks, X)
        with model.shard.ranks.together():
            X = check_input(self, X, dtype=model.dtype)
        X, own = collect_X(model.shard.ranks, X, common=common)
        return self._runner(X), own

    def _rows_that_count(self, X, y):
        """A runner over the rows of X that count, their targets, which rows of X count (None: all), and which are of X."""
        now = self._as_of_now()
        model = now._fitted_model()
        ranks = model.shard.ranks
        common = are_common(ranks, X)
        with ranks.together():
            X = check_input(now, X, dtype=model.dtype)
            y, counted = check_targets(y, X.shape[0], now._ignored_label())
        X, own = collect_X(ranks, X if counted is None else X[counted], common=common)
        target = targets.encode(collect_labels(ranks, y, common=common), now.classes_, unknown=-1)
        return now._runner(X), target, counted, own

    def _topk(self, X, k, classes, exclude, threshold, *, normalise=True):
        """What `Runner.topk` gives for the rows of X, and whether results are padded; the arguments are of `predict_topk`.

        Where logits are asked for, the threshold is left to the caller.
        """
        if self._model.shard is not WHOLE:
            return self._topk_together(X, k, classes, exclude, threshold, normalise)
        rows, k, eligible, pads = self._query(X, k, classes, exclude, threshold, normalise)
        return *self._predictor().topk(rows, k, eligible, normalise=normalise), pads

    @by_all_ranks
    def _topk_together(self, *query):
        """The same where other ranks have the rest of the classes; each passes its own rows and gets what is theirs."""
        ranks, common = self._model.shard.ranks, are_common(self._model.shard.ranks, query[0])
        with ranks.together():
            rows, k, eligible, pads = self._query(*query)
        ranks.agree(k=k)
        X, own = collect_X(ranks, rows.matrix() if isinstance(rows, CsrRows) else rows, common=common)
        eligible = collect_eligible(ranks, eligible, common=common)
        class_ids, values = self._predictor().topk(X, k, eligible, normalise=query[-1])
        return class_ids[own], values[own], pads

    def _query(self, X, k, classes, exclude, threshold, normalise):
        """The checked rows, number of classes and Eligible of `_topk`, and whether results are padded."""
        labels = self.classes_
        rows = check_input_rows(self, X, dtype=self._model.dtype)
        n_rows = rows.n_rows if isinstance(rows, CsrRows) else rows.shape[0]
        eligible = Eligible(*check_eligible("classes", classes, exclude, threshold, n_rows, len(labels), labels))
        pads = not eligible.is_all
        k = check_k(k, len(labels), n_rows, pads=pads)
        if not normalise:
            eligible = eligible._replace(threshold=None)
        return rows, k, eligible, pads

    def _logits(self, X):
        runner, own = self._as_of_now()._runner_for(X)
        shape, dtype = (runner.n_rows, runner.model.n_all_classes), runner.model.dtype
        with runner.model.shard.ranks.together():
            check_result(shape, dtype.itemsize, "predict_topk needs no such array")
        return runner.logits(np.empty(shape, dtype))[own]

    def _name_features(self, names):
        """Set `feature_names_in_` to the names of a DataFrame's columns, or remove it if there are none."""
        self.__dict__.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
