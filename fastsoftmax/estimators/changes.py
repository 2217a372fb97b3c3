"""Changes of a fitted SoftmaxClassifier that need no rows: further classes, and fewer weights."""

import copy

from fastsoftmax.model import pruning
from fastsoftmax.training import extending
from fastsoftmax.validation import check_can_prune, check_new_classes, check_not_ignored, check_one_process, check_real


def add_classes(classifier, labels):
    """Do what `SoftmaxClassifier.add_classes` does."""
    model, state = classifier._fitted_model().twin(), copy.copy(classifier._state)
    check_one_process(model, "add_classes")
    classes, at = check_new_classes(labels, classifier.classes_)
    check_not_ignored("labels", classes, classifier.ignore_label)
    extending.add_classes(model, state, len(classes), at)
    classifier._set_fitted(_model=model, _state=state, classes_=classes)


def prune(classifier, threshold):
    """Do what `SoftmaxClassifier.prune` does."""
    model = classifier._fitted_model().twin()
    check_can_prune(model)
    pruning.prune(model, check_real("threshold", threshold, minimum=0))
    if classifier.direct_ == "dense":
        classifier._state.damping = None
    classifier._set_fitted(_model=model, direct_="sparse")
