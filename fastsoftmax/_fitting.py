"""How a SoftmaxClassifier is trained: its model made, its parts stepped through the epochs, its factors found."""

import numpy as np

from fastsoftmax import _calibration, _parts, _start, optimizers, samplers
from fastsoftmax import _validation as v
from fastsoftmax._averaging import SHARE, Averaging
from fastsoftmax._early_stopping import EarlyStopping
from fastsoftmax._penalties import L1
from fastsoftmax._progress import Progress
from fastsoftmax._training import Trainer
from fastsoftmax.sampled import LOSSES


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
        v.check_params(self, LOSSES)
        if isinstance(self.sampler, str):
            v.check_option("sampler", self.sampler, samplers.NAMES)
        self._optimizer()

    def _check_rows(self, X, y, sample_weight, n_features=None):
        """Rows as the kernels take them, the parameters checked first."""
        self._check_params()
        return v.check_rows(self, X, y, sample_weight, n_features)

    def _optimizer(self, alpha=0.0, class_alpha=None):
        """With these penalties where they are "auto"."""
        alpha = alpha if self.alpha == "auto" else self.alpha
        class_alpha = class_alpha if self.class_alpha == "auto" else self.class_alpha
        penalties = {"alpha": alpha, "class_alpha": class_alpha}
        return optimizers.make(self.optimizer, self.learning_rate, clip_norm=self.clip_norm, **penalties)

    def _validation_loss(self, model, X, codes, weight):
        return float(np.average(self._runner(X, model).nll(codes), weights=weight))

    def _initialise(self, plan, classes, X, codes, rng, start):
        """A model before its first step, as `plan` has it; it begins at `start`."""
        self._check_sampling(plan.loss, len(classes))
        class_counts = np.maximum(np.bincount(codes, minlength=len(classes)), 1)
        # whatever this raises, all that was fitted before stays
        self._model, self._damping = _start.make(self, plan, X, codes, class_counts, rng, start)
        self.loss_, self.direct_, self.hidden_size_ = plan.loss, plan.direct, plan.hidden_size
        self.alpha_, self.class_alpha_ = plan.alpha, plan.class_alpha
        self.classes_, self.n_features_in_ = classes, X.shape[1]
        self._class_counts, self._rng = class_counts, rng
        self._sampler = self._sampler_given = None  # made when training begins
        self.loss_curve_, self.validation_curve_, self.calibration_ = [], [], {}

    def _go_on(self, plan, X, codes, rng):
        """`fit` on these rows shall go on from the model so far, with the parameters that are set now."""
        self.loss_, self.alpha_, self.class_alpha_, self._rng = plan.loss, plan.alpha, plan.class_alpha, rng
        self._grow(X, codes)

    def _grow(self, X, codes):
        """Take the pairs of these rows into the sparse direct term, if there is one."""
        if self._model.pattern is None:
            return
        if self._damping is None:  # the term was dense, and pruned
            self._damping = v.check_row_norms(X)
        self._model.grow(_start.pattern(self, X, codes, len(self.classes_)), self._damping)

    def _trainer(self, X, codes, weight, n_epochs=None, comes_again=False):
        """A Trainer whose schedule is one of `n_epochs`, if given; `comes_again`: it sees the rows several times."""
        self._check_sampling(self.loss_, len(self.classes_))
        optimizer = self._optimizer(self.alpha_, self.class_alpha_)
        is_new = self._model.pattern is not None and "W" not in self._model.state
        self._model.prepare(optimizer)
        if is_new and "W" in self._model.state:
            self._model.state["W"].fill(self._damping)
        parts = _parts.make(self, X, optimizer, n_epochs, comes_again)
        common = {"batch_size": self.batch_size, "rng": self._rng, "loss_curve": self.loss_curve_}
        return Trainer(parts, codes, weight, **common)

    def _resume(self):
        """Make a loaded model ready for partial_fit: with a new random generator."""
        self._rng = v.check_rng("random_state", self.random_state)
        self._sampler = self._sampler_given = None

    def _check_sampling(self, loss, n_classes):
        if loss in LOSSES and samplers.draws_negatives(self.sampler):
            v.check_n_negatives(self.n_negatives, n_classes)

    def _calibrate(self, X, codes, weight):
        self.calibration_ = _calibration.calibrate(self._runner(X), codes, weight, self._model.prior)

    def _train(self, X, codes, weight, valid=None):
        """All epochs of `fit`; of the held-out rows `valid`, if there are any, the best one's model stays."""
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
        trainer = self._trainer(X, codes, weight, self.max_iter, comes_again=self.max_iter > 1)
        trainer.run(self.max_iter, watchers)
        trainer.check_finite()

    def _train_once(self, X, codes, weight):
        """The epoch of `partial_fit`."""
        if not self._stays():
            self._trainer(X, codes, weight).run(1, self._watchers(X, 1))

    def _watchers(self, X, n_epochs):
        watchers = [Progress(X.shape[0], n_epochs)] if self.verbose else []
        return [*watchers, L1(self.l1_alpha)] if self.l1_alpha else watchers


def hold_out(X, codes, weight, size, rng):
    """(X, codes, weight) of the training rows, and of the held-out rows; `size` is their share or number."""
    from sklearn.model_selection import train_test_split

    seed = int(rng.integers(np.iinfo(np.int32).max))
    split = train_test_split(X, codes, weight, test_size=size, random_state=seed)
    return split[::2], split[1::2]


def spread(n, X, codes, weight):
    """At most `n` of the rows, evenly spaced: they may be in some order."""
    n_rows = X.shape[0]
    at = np.arange(n_rows) if n_rows <= n else np.arange(n) * n_rows // n
    return X[at], codes[at], weight[at]
