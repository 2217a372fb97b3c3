"""What changes a trained SoftmaxClassifier without rows: further classes, and fewer weights."""

import fastsoftmax.validation as v
from fastsoftmax.model import pruning
from fastsoftmax.training import growing


class Changing:
    """Methods of a classifier with the parameters of SoftmaxClassifier."""

    def add_classes(self, labels):
        """Take in new classes, for `partial_fit` to learn.

        They begin as classes without examples would have: with weights of zero, the starting bias of a class not seen, and
        a new state of the optimiser. All other classes keep their weights, so their logits stay what they are. `classes_`
        stays in ascending order, so the numbers of classes behind a new one change. A sampler that is given by its name is
        made anew by the next training; another has to be set, over all classes.

        Parameters
        ----------
        labels : array of labels, of the kind that the model has
            None of them a class already; those given twice count once.

        Returns
        -------
        self
        """
        self._fitted_model()
        classes, at = v.check_new_classes(labels, self.classes_)
        v.check_not_ignored("labels", classes, self.ignore_label)
        growing.add_classes(self, classes, at)
        return self

    def prune(self, threshold=0.0):
        """Take direct weights of an absolute value of `threshold` or less out of the model, which gets smaller and faster.

        A dense direct term becomes a sparse one: predictions then cost what a row's own weights do. They are the same as
        before where only zeros are taken out (`l1_alpha` makes such). After ``set_params(direct="sparse")``, training goes on
        from there with the rules of sparse terms; where there is a low-rank term as well, with ``joint=True``.

        Returns
        -------
        self
        """
        v.check_not_compact(self._fitted_model(), "prune")
        self._fitted("W")
        pruning.prune(self._model, v.check_real("threshold", threshold, minimum=0))
        if self.direct_ == "dense":
            self.direct_, self._damping = "sparse", None
        return self
