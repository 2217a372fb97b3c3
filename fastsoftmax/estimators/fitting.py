"""How a SoftmaxClassifier is trained on given rows: these are checked, planned for, split, trained on, calibrated on."""

import functools
from functools import partial

from scipy import sparse

from fastsoftmax.distributed.likeness import likeness
from fastsoftmax.distributed.mpi import ranks_of
from fastsoftmax.distributed.rows import are_common, collect_labels, collect_weights, collect_X
from fastsoftmax.estimators.together import all_or_none
from fastsoftmax.passes.shard import WHOLE, Shard
from fastsoftmax.runtime import allocation
from fastsoftmax.runtime.errstate import with_numpys_defaults
from fastsoftmax.runtime.progress import say
from fastsoftmax.runtime.ranks import ranges
from fastsoftmax.text.encoding import Encoding
from fastsoftmax.training import calibration, extending, initial, planning, targets
from fastsoftmax.training.options import Choices, Options
from fastsoftmax.training.state import TrainingState
from fastsoftmax.training.training import Training, hold_out, spread
from fastsoftmax.training.watchers.callbacks import FitTask
from fastsoftmax.training.watchers.checkpoint import CheckpointWatcher, identity
from fastsoftmax.validation import (
    check_all_labels,
    check_calibration_rows,
    check_can_calibrate,
    check_can_hold_out,
    check_can_resume,
    check_class_counts,
    check_column_labels,
    check_initial_weights,
    check_not_balanced,
    check_not_compact,
    check_not_ignored,
    check_ranks,
    check_ranks_of_model,
    check_resumes,
    check_rng,
    check_rows,
    check_same_plan,
    check_same_terms,
    check_some_rows,
    check_some_weight,
    check_space,
    check_validation,
    feature_names,
    of_mean_one,
    weighted_counts,
)

NO_WEIGHTS = {"coef_init": None, "intercept_init": None, "embedding_init": None}


_by_all_ranks = all_or_none(lambda fitting: fitting.ranks)


class Fitting:
    """One call of `fit`, `partial_fit` or `calibrate`: it reads the classifier's parameters and sets its fitted attributes.

    If it raises anything before training begins, everything that was fitted before stays as it is.

    Parameters
    ----------
    classifier : SoftmaxClassifier
    """

    def __init__(self, classifier):
        self.classifier, self.ranks = classifier, ranks_of(classifier.comm)
        with self.ranks.together():
            self.options = Options.of(classifier.get_params(deep=False))
        if self.ranks.rank:  # the first one speaks for all
            self.options = self.options._replace(verbose=0)
        self.model = classifier.__dict__.get("_model")  # the model so far, or None
        if self.model is not None and self.model.storage is None:  # it may have been loaded, or trained elsewhere
            self.model.allocator = allocation.of(self.options.weights_dir)

    @property
    def choices(self):
        """The Choices of the model so far."""
        return Choices(*(getattr(self.classifier, f"{name}_") for name in Choices._fields))

    def training(self):
        """The Training of the classifier's model as it is now."""
        c = self.classifier
        return Training(self.options, self.choices, c._model, c._state, c.loss_curve_)

    @with_numpys_defaults
    @_by_all_ranks
    def fit(self, X, y, sample_weight=None, initial_weights=NO_WEIGHTS, valid=(None, None, None), output=None):
        """Do what `SoftmaxClassifier.fit` does; return the CheckpointWatcher, whose file is still there, or None.

        output : where the caller will save the model, or None: the disk must have room for it
        """
        c, options, ranks, given = self.classifier, self.options, self.ranks, (X, y, sample_weight)
        common = are_common(ranks, X)
        with ranks.together():
            names = feature_names(X)
            X, y, weight, _ = check_rows(c, options, X, y, sample_weight, is_part=ranks.size > 1)
        self._check_same_everywhere(initial_weights)
        X, y, weight = self._collect(X, y, weight, common=common)
        check_some_rows(X)
        say("encoding the labels", options.verbose, n_rows=X.shape[0])
        classes, target = ranks.common(lambda: targets.learn(y))
        several = target.several_labels
        target, weight, class_weight = targets.weigh(options.class_weight, target, weight, classes)
        check_some_weight("sample_weight with class_weight", weight)
        X, target, weight = targets.that_count(X, target, weight)
        shape, resumed = (len(classes), X.shape[1]), None
        check_ranks(ranks.size, len(classes))
        if options.warm_start and self.model is not None:
            check_ranks_of_model(self.model, ranks)
            resumed = self.choices
            check_resumes(c, options, resumed, self.model, classes, shape[1], initial_weights, names)
        start = planning.Start(*check_initial_weights(options, shape, **initial_weights))
        common = are_common(ranks, valid[0])
        with ranks.together():
            checked = check_validation(c, options, *valid, shape[1], names, is_part=ranks.size > 1)
        valid = self._collect_validation(checked, classes, common=common)
        valid = targets.validation(valid, classes, class_weight)
        if options.early_stopping is not None and valid is None:
            check_can_hold_out(X.shape[0])
        rng = self._rng()
        checkpoint = self._checkpoint(X, target, weight, classes, valid, rng)
        about = {"targets_per_row": target.per_row, "several": several, "ranks": ranks}
        plan = planning.plan(options, len(classes), X, start, **about, resumed=resumed)
        if checkpoint is not None:
            plan = checkpoint.plan_before(plan)
        check_spaces = partial(_check_spaces, checkpoint and checkpoint.path, output)
        own = -(-shape[0] // ranks.size), shape[1]
        with ranks.together():
            check_spaces(self.model, planned=None if resumed is not None else planning.file_needed(plan, options, *own))
        if resumed is not None:
            check_same_plan(resumed, plan)
        rows, valid, calibration_rows = self._split((X, target, weight), valid, plan, rng)
        n_epochs = options.n_epochs(plan.choices)
        calibrate = None if calibration_rows is None else lambda model: _calibrated(training, calibration_rows, model)
        task = FitTask(c, n_epochs, *given, calibrate)
        drawn = _drawn(options.loss_named(plan.loss))
        class_counts = ranks.common(lambda: rows[1].known_counts(len(classes), drawn))
        if resumed is None:
            start_counts = ranks.common(lambda: rows[1].counts(len(classes), rows[2]))
            self._start(plan, classes, *rows[:2], rng, start, class_counts, start_counts, check_spaces)
            c._name_features(names)
        else:
            self._resume(plan, *rows[:2], rng, class_counts)
        training = self.training()
        watched = {"valid": valid, "validation_curve": c.validation_curve_, "checkpoint": checkpoint, "plan": plan}
        training.run(*rows, n_epochs, task=task, **watched)
        if plan.choices.ranks:
            ranked = training.rank(plan.objective, *rows, calibration_rows)
            ranking = {"C": ranked.C, "softmax_share": ranked.softmax_share}
            c._set_fitted(_model=ranked.model, ranking_=ranking, objective_=plan.objective)
            training = self.training()
        if calibration_rows is not None:
            self._calibrate(training, calibration_rows)
        counted = (
            start.W is not None and plan.choices.hidden_size is not None
        )  # a term from counts beside a trained one
        was_left_out = counted and calibration_rows is None and options.calibration_fraction == "auto"
        c._set_fitted(_awaits_calibration=was_left_out)
        task.end()
        return checkpoint

    @with_numpys_defaults
    @_by_all_ranks
    def partial_fit(self, X, y, classes=None, sample_weight=None, n_classes=None, class_counts=None):
        """Do what `SoftmaxClassifier.partial_fit` does."""
        c, options, ranks, model = self.classifier, self.options, self.ranks, self.model
        check_ranks_of_model(model, ranks)
        common = are_common(ranks, X)
        with ranks.together():
            names = feature_names(X)
            X, y, weight, counted = check_rows(c, options, X, y, sample_weight, model, is_part=ranks.size > 1)
            check_not_balanced(options.class_weight)
        self._check_same_everywhere({"classes": classes, "n_classes": n_classes, "class_counts": class_counts})
        own = y, counted
        X, y, weight = self._collect(X, y, weight, common=common)
        if model is None:
            check_some_rows(X)
            given, classes = classes, ranks.common(functools.partial(check_all_labels, classes, n_classes))
            check_not_ignored("classes", classes, options.ignore_label)
            if sparse.issparse(y) and given is not None:
                check_column_labels(given, classes)
        else:
            classes = c.classes_
            if self.choices.direct == "sparse" and c._state is not None and c._state.damping is not None:
                options = self.options = options.resuming(self.choices)  # "auto" chose the sparse term
            check_same_terms(options, self.choices, model, c.n_features_in_)
            planning.check_sampling(options, c.loss_, len(classes))
        self._check_labels(*own, classes, common=common)
        target = targets.encode(y, classes, counted if ranks.size == 1 else None)
        several = target.several_labels
        given_target, given_weight = target, weight
        target, weight, class_weight = targets.weigh(options.class_weight, target, weight, classes)
        if model is None:
            check_some_weight("sample_weight with class_weight", weight)
        X, target, weight = targets.that_count(X, target, weight)
        if X.shape[0] == 0:
            return
        if model is None:
            given = 0 if class_counts is None else check_class_counts(class_counts, len(classes))
            about = {"targets_per_row": target.per_row, "several": several, "ranks": ranks}
            plan = planning.plan(options, len(classes), X, **about, calibrates=False)
            check_ranks(ranks.size, len(classes))
            rng, drawn = self._rng(), _drawn(options.loss_named(plan.loss))
            counts = ranks.common(lambda: target.batch_counts(len(classes), drawn) + given)
            start_counts = ranks.common(
                lambda: weighted_counts(
                    given_target.counts(len(classes), of_mean_one(given_weight)) + given, class_weight
                )
            )
            self._start(plan, classes, X, target, rng, planning.NO_START, counts, start_counts)
            c._name_features(names)
        else:
            self._add_pairs(X, target)
            loss = options.loss_named(c.loss_)
            counts = ranks.common(lambda: target.batch_counts(len(classes), _drawn(loss)))
            c._state.count(counts, loss, ranks)
            c.marginals_ = {}  # they were those of the model before
        self.training().run_once(X, target, weight)

    @with_numpys_defaults
    @_by_all_ranks
    def calibrate(self, X, y, sample_weight=None):
        """Do what `SoftmaxClassifier.calibrate` does."""
        c = self.classifier
        check_not_compact(self.model, "calibrate")
        check_ranks_of_model(self.model, self.ranks)
        common = are_common(self.ranks, X)
        with self.ranks.together():
            X, y, weight, counted = check_rows(
                c, self.options, X, y, sample_weight, self.model, is_part=self.ranks.size > 1
            )
        self._check_labels(y, counted, c.classes_, common=common)
        X, y, weight = self._collect(X, y, weight, common=common)
        target = targets.encode(y, c.classes_, counted if self.ranks.size == 1 else None)
        check_can_calibrate(self.model, several=target.several_labels)
        target, weight, _ = targets.weigh(c.class_weight, target, weight, c.classes_)
        X, target, weight = targets.that_count(X, target, weight)
        check_calibration_rows(X.shape[0], calibration.MIN_ROWS)
        self._calibrate(self.training(), (X, target, weight))

    def _check_same_everywhere(self, *others):
        """Raise on all ranks where their versions, parameters or models differ."""
        if self.ranks.size > 1:
            with self.ranks.together():
                values = likeness(self.options, self.classifier, *others)
            self.ranks.agree(**values)

    def _check_labels(self, y, counted, classes, *, common, name="y"):
        """Raise on all ranks, and say on which one and where, if labels that a rank has passed are not among the classes."""
        if self.ranks.size > 1 and not common:
            with self.ranks.together():
                if y.shape[0]:
                    targets.encode(y, classes, counted, name=name)

    def _rng(self):
        """The generator that `random_state` stands for, the same on all ranks; the first one's own is not a copy."""
        own = check_rng("random_state", self.options.random_state)
        of_first = self.ranks.first(own)
        return of_first if self.ranks.rank else own

    def _collect(self, X, y, weight, *, common):
        """The checked rows of all ranks, of which X, y and weight are this rank's: see `check_rows` and `are_common`."""
        X, _ = collect_X(self.ranks, X, common=common)
        y = collect_labels(self.ranks, y, common=common)
        return X, y, collect_weights(self.ranks, weight, common=common)

    def _collect_validation(self, valid, classes, *, common):
        """The held-out rows of all ranks, whose parts `check_validation` has returned; None where there are none."""
        self.ranks.agree(**{"X_val, whether there is one,": valid is not None})
        if valid is None or self.ranks.size == 1:
            return valid
        X, y, counted, weight = valid
        self._check_labels(y, counted, classes, common=common, name="y_val")
        X, y, weight = self._collect(X, y, weight, common=common)
        check_some_weight("sample_weight_val", weight)
        check_some_rows(X, name="y_val")
        return X, y, None, weight

    def _calibrate(self, training, rows):
        """Replace the model by one that is calibrated on these rows: other threads see all terms scaled, or none."""
        model = self.classifier._model.twin()
        self.classifier._set_fitted(**_calibrated(training, rows, model), _model=model, _awaits_calibration=False)

    def _split(self, rows, valid, plan, rng):
        """The rows to train on, to validate on and to calibrate on, each as (X, target, weight) or None."""
        stopping, copy, calibration_rows = self.options.early_stopping, plan.direct == "sparse", None
        if plan.n_calibration_rows or (stopping is not None and valid is None):
            say("holding out rows", self.options.verbose, n_rows=rows[0].shape[0])
        if stopping is not None and valid is None:
            rows, valid = hold_out(*rows, stopping.validation_fraction, rng, copy=copy)
        held_out = valid
        if plan.n_calibration_rows and stopping is None:
            rows, held_out = hold_out(*rows, plan.n_calibration_rows, rng, copy=copy)
        if plan.n_calibration_rows:
            calibration_rows = spread(plan.n_calibration_rows, *held_out)
        return rows, valid, calibration_rows

    def _start(self, plan, classes, X, target, rng, start, class_counts, start_counts, check_spaces=None):
        """Set the initial model of `plan`, which begins at `start`, and all fitted attributes.

        class_counts, start_counts : (n_classes,) how often each class was seen, and the same by weight
        check_spaces : function that raises where files of a Model do not fit on their disks, or None
        """
        c = self.classifier
        say("making the initial model", self.options.verbose, n_rows=X.shape[0], n_bytes=plan.model_bytes)
        shard = WHOLE if self.ranks.size == 1 else Shard(ranges(len(classes), self.ranks.size), self.ranks)
        model, damping = initial.make(self.options, plan, X, target, start_counts, rng, start, shard)
        if check_spaces is not None and model.pairs is not None:  # of which there were no figures before
            with self.ranks.together():
                check_spaces(model)
        fitted = {"_model": model, "_state": TrainingState(rng, class_counts, damping)}
        fitted |= {f"{name}_": value for name, value in plan.choices._asdict().items()}
        if plan.choices.ranks:
            fitted["objective_"] = "recall"  # until then
        fitted |= {"classes_": classes, "n_features_in_": X.shape[1], "encoding_": Encoding()}
        c._set_fitted(**fitted, loss_curve_=[], validation_curve_=[], calibration_={}, marginals_={}, ranking_={})

    def _resume(self, plan, X, target, rng, class_counts):
        """Have the training of the model so far go on with these rows and the present parameters."""
        c = self.classifier
        self._add_pairs(X, target)
        c.loss_, c.alpha_, c.class_alpha_, c._state.rng = plan.loss, plan.alpha, plan.class_alpha, rng
        c._state.restart(class_counts)
        c.marginals_ = {}  # they were those of the model before

    def _add_pairs(self, X, target):
        """Give the pairs of these rows weights in the sparse term, if there is one."""
        c = self.classifier
        model = c._model.twin()
        extending.add_pairs(self.options, model, c._state, X, target)
        c._model = model

    def _checkpoint(self, X, target, weight, classes, valid, rng):
        """The CheckpointWatcher for these checked rows, or None; where there is a file, it sets `rng` to the state there."""
        checkpoint, sampler = self.options.checkpoint, self.options.given_sampler
        self.ranks.agree(**{"checkpoint, whether there is one,": checkpoint is not None})
        if checkpoint is None:
            return None
        if sampler is not None:
            check_can_resume(f"{type(self.options.loss).__name__}.sampler", sampler)
        say("taking checksums of the data, for the checkpoint", self.options.verbose, n_rows=X.shape[0])
        what = identity(self.options.flat(), X, target, weight, classes, valid)
        seeded = self.options.random_state is not None
        return CheckpointWatcher(checkpoint.path, checkpoint.every, what, rng, seeded=seeded, ranks=self.ranks)


def _calibrated(training, rows, model):
    """Calibrate the model on these rows; return the fitted attributes that tell how."""
    factors = training.calibrate(*rows, model)
    return {"calibration_": factors, "marginals_": training.marginals(*rows[:2], model)}


def _drawn(loss):
    """How the labels of a row count where a sampler draws by counts: as often as they are in batches, else by mass."""
    return loss.labels_used if loss.is_sampled else "one"


def _check_spaces(checkpoint, output, model, planned=None):
    """Raise where files of a model do not fit on their disks: a checkpoint, and the model itself; None: there will be none.

    planned : the bytes of the files, and their formula, of a model that is not there yet
    """
    if checkpoint is not None:  # which holds what changes from step to step
        check_space("checkpoint", checkpoint, *(planned or model.file_needed(with_pairs=False)))
    if output is not None:
        check_space("output", output, *(planned or model.file_needed()))
