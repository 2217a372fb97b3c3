"""How a SoftmaxClassifier is trained: its model made, its parts stepped through the epochs, its factors found."""

import numpy as np
from sklearn.callback import with_callbacks

import fastsoftmax.optimizers as optimizers
import fastsoftmax.samplers as samplers
import fastsoftmax.validation as v
from fastsoftmax.files.state_dict import generator
from fastsoftmax.losses import LOSSES
from fastsoftmax.runtime import allocation
from fastsoftmax.runtime.row_subset import RowSubset
from fastsoftmax.training import calibration, growing, initial, parts, planning, schedules, targets
from fastsoftmax.training.trainer import Trainer
from fastsoftmax.training.watchers import checkpoint
from fastsoftmax.training.watchers.averaging import SHARE, Averaging
from fastsoftmax.training.watchers.callbacks import EpochTasks, FitTask
from fastsoftmax.training.watchers.early_stopping import EarlyStopping
from fastsoftmax.training.watchers.l1 import L1
from fastsoftmax.training.watchers.progress import Progress


class Fitting:
    """Methods of a classifier with the parameters of SoftmaxClassifier, on rows that are checked."""

    @property
    def n_iter_(self):
        """Epochs done."""
        return len(self._after_fit("loss_curve_"))

    def _after_fit(self, name):
        if name not in self.__dict__:
            raise AttributeError(f"this {type(self).__name__} is not fitted")
        return self.__dict__[name]

    def _stays(self):
        """Whether nothing learns."""
        return self.direct_learning_rate == 0 and self._model.pattern is not None and self._model.E is None

    def _check_params(self):
        v.check_params(self, LOSSES, tuple(schedules.SCHEDULES))
        samplers.kind_of(self.sampler)
        self._optimizer()

    def _check_rows(self, X, y, sample_weight, n_features=None):
        """Rows as the kernels take them, the parameters checked first."""
        self._check_params()
        if "_model" in self.__dict__ and self._model.storage is None:  # it may have been loaded, or trained elsewhere
            self._model.allocator = allocation.of(self.weights_dir)
        return v.check_rows(self, X, y, sample_weight, n_features)

    def _optimizer(self, alpha=0.0, class_alpha=None):
        """With these penalties where they are "auto"."""
        alpha = alpha if self.alpha == "auto" else self.alpha
        class_alpha = class_alpha if self.class_alpha == "auto" else self.class_alpha
        penalties = {"alpha": alpha, "class_alpha": class_alpha}
        return optimizers.make(self.optimizer, self.learning_rate, clip_norm=self.clip_norm, **penalties)

    def _validation_loss(self, model, X, target, weight):
        return float(np.average(target.nll(self._runner(X, model)), weights=weight))

    def _initialise(self, plan, classes, X, target, rng, start, *, class_counts, class_weight=None):
        """A model before its first step, as `plan` has it; it begins at `start`."""
        self._check_sampling(plan.loss, len(classes))
        start_counts = class_counts if class_weight is None else class_counts * class_weight
        # whatever this raises, all that was fitted before stays
        self._model, self._damping = initial.make(self, plan, X, target, start_counts, rng, start)
        self.loss_, self.direct_, self.hidden_size_ = plan.loss, plan.direct, plan.hidden_size
        self.alpha_, self.class_alpha_ = plan.alpha, plan.class_alpha
        self.classes_, self.n_features_in_ = classes, X.shape[1]
        self._class_counts, self._rng = class_counts, rng
        self._sampler = self._sampler_given = None  # made when training begins,
        self._sampler_counts = None  # by these class counts,
        self._sampler_state = None  # and set to this, of the sampler of this name, if there is one
        self.loss_curve_, self.validation_curve_, self.calibration_ = [], [], {}

    @with_callbacks
    def _fit(self, X, y, sample_weight=None, begins_at=None, valid=(None, None, None)):
        """As `fit`. Returns the Checkpoint, whose file is left, or None."""
        names, given = v.feature_names(X), (X, y, sample_weight)
        X, y, weight, _ = self._check_rows(X, y, sample_weight)
        v.check_some_rows(X)
        classes, target = targets.learn(y)
        target, weight, class_weight = targets.weigh(self.class_weight, target, weight, classes)
        goes_on = v.check_goes_on(self, classes, X.shape[1], begins_at, names)
        start = planning.Start(*v.check_begins_at(self, (len(classes), X.shape[1]), **(begins_at or {})))
        valid = targets.validation(v.check_validation(self, *valid, X.shape[1], names), classes, class_weight)
        rng = v.check_rng("random_state", self.random_state)
        checkpoint = self._checkpoint(X, target, weight, classes, valid, rng)
        plan = planning.plan(self, len(classes), X, start, targets_per_row=target.per_row, goes_on=goes_on)
        if checkpoint is not None:
            plan = checkpoint.plan_before(plan)
        if goes_on:
            v.check_same_plan(self, plan)
        rows = X, target, weight
        if self.early_stopping and valid is None:
            rows, valid = hold_out(*rows, self.validation_fraction, rng, copy=plan.direct == "sparse")
        held_out, calibration_rows = valid, None
        if plan.n_calibration_rows and not self.early_stopping:
            rows, held_out = hold_out(*rows, plan.n_calibration_rows, rng, copy=plan.direct == "sparse")
        if plan.n_calibration_rows:
            calibration_rows = spread(plan.n_calibration_rows, *held_out)
        task = FitTask(self, *given, calibration_rows)
        class_counts = rows[1].known_counts(len(classes))
        if goes_on:
            self._go_on(plan, *rows[:2], rng, class_counts)
        else:
            counts = {"class_counts": class_counts, "class_weight": class_weight}
            self._initialise(plan, classes, *rows[:2], rng, start, **counts)
            self._name_features(names)
        self._train(*rows, valid, task=task, checkpoint=checkpoint, plan=plan)
        if calibration_rows is not None:
            self._calibrate(*calibration_rows)
        task.end()
        return checkpoint

    def _go_on(self, plan, X, target, rng, class_counts):
        """`fit` on these rows shall go on from the model so far, with the parameters that are set now."""
        self.loss_, self.alpha_, self.class_alpha_, self._rng = plan.loss, plan.alpha, plan.class_alpha, rng
        self._class_counts = class_counts
        self._sampler = self._sampler_counts = self._sampler_state = None
        growing.take_in_pairs(self, X, target)

    def _trainer(self, X, target, weight, n_epochs=None, comes_again=False):
        """A Trainer whose schedule is one of `n_epochs`, if given; `comes_again`: it sees the rows several times."""
        self._check_sampling(self.loss_, len(self.classes_))
        optimizer = self._optimizer(self.alpha_, self.class_alpha_)
        is_new = self._model.pattern is not None and "W" not in self._model.state
        self._model.prepare(optimizer)
        if is_new and "W" in self._model.state:
            self._model.state["W"].fill(self._damping)
        trained = parts.make(self, X, optimizer, n_epochs, comes_again)
        common = {"batch_size": self.batch_size, "rng": self._rng, "loss_curve": self.loss_curve_}
        return Trainer(trained, target, weight, **common)

    def _resume(self, rng_state, sampler_state, sampler_counts):
        """Make a loaded model ready for partial_fit; rng_state : of the generator, or None: a new one;
        sampler_counts : that the sampler was made by, or None."""
        self._rng = v.check_rng("random_state", self.random_state) if rng_state is None else generator(rng_state)
        self._sampler = self._sampler_given = None
        self._sampler_counts = sampler_counts
        self._sampler_state = None if sampler_state is None else (self.sampler, sampler_state)

    def _forget_training(self):
        self._class_counts = self._sampler = self._sampler_given = self._sampler_counts = self._sampler_state = None
        self.loss_curve_, self.validation_curve_ = [*self.loss_curve_], [*self.validation_curve_]

    def _check_sampling(self, loss, n_classes):
        if loss in LOSSES and samplers.kind_of(self.sampler).uses_n_negatives:
            v.check_n_negatives(self.n_negatives, n_classes)

    def _calibrate(self, X, target, weight):
        self.calibration_ = calibration.calibrate(self._runner(X), target, weight, self._model.prior)

    def _checkpoint(self, X, target, weight, classes, valid, rng):
        """The Checkpoint of `fit` on these checked rows, or None; where there is a file, `rng` begins as it did there."""
        if self.checkpoint is None:
            return None
        v.check_can_resume("sampler", self.sampler)
        identity = checkpoint.identity(self, X, target, weight, classes, valid)
        seeded = self.random_state is not None
        return checkpoint.Checkpoint(self.checkpoint, self.checkpoint_every, identity, rng, seeded=seeded)

    def _train(self, X, target, weight, valid=None, *, task, checkpoint=None, plan=None):
        """All epochs of `fit`, below `task`; of the held-out rows `valid`, if any, the best one's model stays."""
        if self._stays():
            return
        watchers, judged = self._watchers(X, self.max_iter), lambda: self._model
        if self.average:
            share = SHARE if self.average is True else self.average
            watchers.append(Averaging(self._model, share, self.max_iter))
            judged = watchers[-1].averaged
        if valid is not None:
            loss, curve = (lambda model: self._validation_loss(model, *valid)), self.validation_curve_
            watchers.append(EarlyStopping(self._model, judged, loss, self.n_iter_no_change, curve))
        watchers.append(EpochTasks(task, list(watchers)))
        trainer = self._trainer(X, target, weight, self.max_iter, comes_again=self.max_iter > 1)
        if checkpoint is not None:
            checkpoint.resume(trainer, watchers, self._model, plan)
            watchers = [*watchers, checkpoint]
        trainer.run(self.max_iter, watchers)
        trainer.check_finite()

    def _train_once(self, X, target, weight):
        """The epoch of `partial_fit`."""
        if not self._stays():
            self._trainer(X, target, weight).run(1, self._watchers(X, 1))

    def _watchers(self, X, n_epochs):
        watchers = [Progress(X.shape[0], n_epochs)] if self.verbose else []
        return [*watchers, L1(self.l1_alpha)] if self.l1_alpha else watchers


def hold_out(X, target, weight, size, rng, *, copy):
    """(X, target, weight) of the training rows, and of the held-out rows; `size` is their share or number.

    copy : whether the rows of X are copied, else they are RowSubsets
    """
    from sklearn.model_selection import train_test_split

    seed = int(rng.integers(np.iinfo(np.int32).max))
    take = (lambda rows: X[rows]) if copy else (lambda rows: RowSubset(X, rows))
    parts = train_test_split(np.arange(X.shape[0]), test_size=size, random_state=seed)
    return tuple((take(rows), target[rows], weight[rows]) for rows in parts)


def spread(n, X, target, weight):
    """At most `n` of the rows, evenly spaced: they may be in some order."""
    n_rows = X.shape[0]
    at = np.arange(n_rows) if n_rows <= n else np.arange(n) * n_rows // n
    return X[at], target[at], weight[at]
