"""The parameters of SoftmaxClassifier, each by itself and together."""

import numpy as np

from fastsoftmax.validation.labels import check_ignore_label
from fastsoftmax.validation.masses import check_class_weight_param
from fastsoftmax.validation.resources import check_folder
from fastsoftmax.validation.scalars import (
    check_bool,
    check_dtype,
    check_int,
    check_n_threads,
    check_option,
    check_path,
    check_real,
    check_verbose,
    is_auto,
)


def check_training_params(params, schedules):
    """The parameters of SoftmaxClassifier, a dict, that are plain values; `schedules` : the names there are."""
    if not is_auto(params["learning_rate"]):
        check_real("learning_rate", params["learning_rate"], above=0)
    check_schedule(params["schedule"], schedules)
    if not isinstance(params["average"], (bool, np.bool_)):
        check_real("average", params["average"], above=0, maximum=1)
    check_int("batch_size", params["batch_size"], minimum=1)
    if not is_auto(params["max_iter"]):
        check_int("max_iter", params["max_iter"], minimum=1)
    check_bool("warm_start", params["warm_start"])
    if not is_auto(params["calibration_fraction"]):
        check_real("calibration_fraction", params["calibration_fraction"], minimum=0, maximum=0.5)
    check_int("working_memory", params["working_memory"], minimum=0)
    if params["weights_dir"] is not None:
        check_folder("weights_dir", check_path("weights_dir", params["weights_dir"]))
    check_dtype("dtype", params["dtype"])
    check_n_threads(params["n_threads"])
    check_verbose(params["verbose"])
    check_class_weight_param(params["class_weight"])
    check_ignore_label(params["ignore_label"])


def check_schedule(schedule, schedules):
    """One of the names `schedules`, or a function whose factors are numbers from 0 on."""
    if not callable(schedule):
        check_option("schedule", schedule, ("auto", *schedules))
        return
    for progress in (0.0, 0.25, 0.5, 0.75, 1.0):
        check_real(f"schedule({progress})", schedule(progress), minimum=0)


def check_options(options):
    """Raise where parameters, each by itself as it must be, do not go together; `options` : training.options.Options."""
    if options.direct is None and options.low_rank is None:
        raise ValueError("direct and hidden_size are both None: the model would have no weights")
    if options.calibration_fraction != "auto":
        check_calibration(options.calibration_fraction, options.direct)
    check_l1(options.optimizer, options.direct)
    if options.n_hidden_features is not None and options.sparse is None:
        raise ValueError(
            f"LowRank.n_features needs direct='sparse', whose weights take all columns, got direct={options.direct!r}"
        )


def check_acts(options, direct, hidden_size, *, dense_input):
    """Raise where a value is given that nothing acts on with these terms, of which none is "auto" any more."""
    optimizer, kind = options.optimizer, type(options.optimizer).__name__
    if direct == "sparse" and hidden_size is None:
        alone = "where a sparse term is the only term"
        loss = getattr(options.loss, "name", options.loss)
        if options.loss != "auto" and options.loss.is_sampled:
            raise ValueError(
                f"loss must be 'auto' or 'softmax' {alone}, or 'decoupled_softmax' or 'one_vs_all': it learns by the exact "
                f"loss, got {loss!r}"
            )
        if options.learning_rate != "auto":
            raise ValueError(
                f"learning_rate must be 'auto' {alone}, got {options.learning_rate}: SparseTerm(learning_rate=...) sets its "
                "rate"
            )
        if optimizer.alpha not in ("auto", 0):
            raise ValueError(
                f"{kind}.alpha must be 'auto' or 0 {alone}, which it does not penalise, got {optimizer.alpha}"
            )
    if hidden_size is None and optimizer.class_alpha not in ("auto", None, 0):
        raise ValueError(
            f"{kind}.class_alpha must be 'auto', None or 0 without a low-rank term, whose class weights it penalises, got "
            f"{optimizer.class_alpha}"
        )
    threshold = getattr(options.loss, "gradient_threshold", "auto")
    rounds = dense_input if direct == "dense" else hidden_size is not None
    if threshold not in ("auto", 0) and not rounds:
        raise ValueError(
            "Softmax.gradient_threshold must be 'auto' or 0 where nothing is rounded (a sparse term alone, a dense direct "
            f"term with sparse X), got {threshold}"
        )


def check_l1(optimizer, direct):
    """Raise where there is nothing that the L1 penalty penalises; `direct` is what "auto" stands for."""
    if optimizer.l1_alpha and direct is None:
        raise ValueError(
            f"{type(optimizer).__name__}.l1_alpha must be 0 with direct=None, got {optimizer.l1_alpha}: it is on the direct "
            "term alone"
        )


def check_calibration(fraction, direct):
    """Raise where rows are to be held out for a term that is not calibrated; `direct` is what "auto" stands for."""
    if fraction and direct == "dense":
        raise ValueError(
            f"calibration_fraction must be 0 or 'auto' with direct='dense', got {fraction}: only sparse and low-rank terms "
            "are calibrated"
        )
