"""scikit-learn's callbacks (sklearn.callback): `fit` is the root of their tasks, and each epoch is a task below it."""

import copy

from fastsoftmax.training.watchers.base import Watcher


class FitTask:
    """The root task of one call of `fit`; it begins when it is made.

    Parameters
    ----------
    classifier : estimator with sklearn.callback.CallbackSupportMixin
    n_epochs : int
    X, y, sample_weight : the arguments of `fit`, which callbacks see as they are
    calibrate : function that calibrates a model as `fit` does in the end and returns the fitted attributes, or None
    """

    def __init__(self, classifier, n_epochs, X, y, sample_weight, calibrate):
        self.classifier, self.calibrate = classifier, calibrate
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.data = {"estimator": classifier, "X": X, "y": y, "metadata": metadata}
        self.context = classifier._init_callback_context(max_subtasks=n_epochs)
        self.context.call_on_fit_task_begin(**self.data)

    def end(self):
        """End the task, when `fit` has done everything else."""
        self.context.call_on_fit_task_end(**self.data, reconstruction_attributes={})


class EpochTasks(Watcher):
    """Runs each epoch as a task below a FitTask; callbacks may stop training after it.

    Parameters
    ----------
    task : FitTask
    watchers : list of the other Watchers; those that choose the model also choose the model that callbacks see
    """

    matters = False

    def __init__(self, task, watchers):
        self.task, self.watchers = task, watchers
        self.context = None

    def before_epoch(self, trainer):
        self.context = self.task.context.subcontext(task_name="epoch")
        self.context.call_on_fit_task_begin(**self._data(trainer))

    def after_epoch(self, trainer):
        stopped = self.context.call_on_fit_task_end(**self._data(trainer))
        trainer.stopped |= self.task.classifier._model.shard.ranks.first(stopped)  # or ranks would part ways

    def _data(self, trainer):
        return self.task.data | {"reconstruction_attributes": lambda: self._as_if_stopped(trainer)}

    def _as_if_stopped(self, trainer):
        """The attributes that `fit` would leave if it stopped now; they share nothing that further steps change."""
        classifier = self.task.classifier
        model = self._chosen_model(trainer)
        names = ("loss_curve_", "validation_curve_", "calibration_")
        attributes = {"_model": model, "_state": classifier._state.copy()} | {
            name: copy.deepcopy(getattr(classifier, name)) for name in names
        }
        if self.task.calibrate is not None:
            attributes |= self.task.calibrate(model)
        return attributes

    def _chosen_model(self, trainer):
        trained, now = self.task.classifier._model, self.task.classifier._model.copy()
        choosers = [watcher for watcher in self.watchers if watcher.chooses_model]
        if not choosers:
            return now
        for watcher in choosers:
            watcher.finish(trainer)
        chosen = trained.copy()
        trained.assign(now)
        return chosen
