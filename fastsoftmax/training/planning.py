"""The plan of a training: what "auto" stands for, and how much memory it takes, before anything is allocated."""

import shutil
from typing import NamedTuple

import numpy as np
from scipy import sparse

import fastsoftmax.samplers as samplers
from fastsoftmax.losses import DecoupledSoftmax, SampledDecoupledSoftmax, SampledSoftmax, Softmax
from fastsoftmax.model import features
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs_runner import CHUNK_PAIRS
from fastsoftmax.model.support import most_pairs, support_bytes
from fastsoftmax.objectives import OBJECTIVES
from fastsoftmax.optimizers import SGD
from fastsoftmax.passes.candidates import KINDS
from fastsoftmax.passes.pairs import pair_bytes
from fastsoftmax.passes.shard import WHOLE
from fastsoftmax.runtime import memory
from fastsoftmax.runtime.progress import say
from fastsoftmax.runtime.ranks import ONE
from fastsoftmax.terms import SparseTerm
from fastsoftmax.training import calibration, ranking
from fastsoftmax.training.options import Choices
from fastsoftmax.validation import (
    check_acts,
    check_calibration,
    check_can_divide,
    check_can_rank,
    check_disk,
    check_l1,
    check_memory,
    check_n_negatives,
    check_no_negatives,
    check_sampler,
)

AUTO_HIDDEN_SIZE = 128
AUTO_NEGATIVES = 1024
AUTO_SAMPLED_CLASSES = 8192  # "auto" samples candidates from this many classes on
HINGE_RATE, SPARSE_HINGE_STEP = 0.03, 0.6  # "auto" learning rates for a squared hinge; see sparse_rule
NORMALISER_RATE = 0.5  # with many classes, 0.2 to 0.7 do about as well; with a thousand classes, a normaliser does harm
# What training takes beside model and sampler, as measured: targets, weights and order of the rows; counts of the classes and
# their logarithms; where a row reader finds each feature
ROW_BYTES, CLASS_BYTES, COUNT_BYTES, FEATURE_BYTES = 48, 40, 8, 4
RANKED_BYTES = 14  # a hard negative of a row: its class, and the row in the list of the class while that is made
STOPPING_COPY, AVERAGE_COPY = "early stopping's copy of the model", "the mean of the weights"
MOST_CALIBRATED = 0.2  # of the rows, where several labels need some
ROWS_COPY = "the rows without those held out"
ENTRIES_AT_A_TIME = 1 << 20  # whose features are counted at a time
# "auto" penalties of a low-rank term that is calibrated: its logits may be as small as generalises best
CALIBRATED_ALPHA = 3e-5
CALIBRATED_CLASS_ALPHA = 2.0  # the penalty of a class, which its rows share


class Start(NamedTuple):
    """The checked arrays that training starts from; None: the defaults of `initial`."""

    W: object | None = None  # (n_classes, n_features), CSC
    bias: np.ndarray | None = None
    E: np.ndarray | None = None

    def own(self, shard):
        """The same for the classes of a shard."""
        W = self.W
        if W is not None and shard is not WHOLE:
            W = shard.own_part(sparse.csr_array(W)).tocsc()
            W.sort_indices()
        return Start(W, None if self.bias is None else shard.own_part(self.bias), self.E)


NO_START = Start()


class Plan(NamedTuple):
    """The choices of a training for one problem; the first fields are those of Choices."""

    loss: str
    direct: str | None
    hidden_size: int | None
    alpha: float
    class_alpha: float | None
    objective: str | None
    n_calibration_rows: int
    model_bytes: int
    model_formula: str
    weight_bytes: int  # what the model takes without the optimiser's state
    embedding_ranks: int = 1  # the number of ranks that the rows of E are divided among

    @property
    def choices(self):
        return Choices(*self[: len(Choices._fields)])

    def __str__(self):
        choices = f"loss={self.loss!r}, direct={self.direct!r}, hidden_size={self.hidden_size}, alpha={self.alpha:g}"
        if self.class_alpha is not None:
            choices += f", class_alpha={self.class_alpha:g}"
        if self.objective is not None:
            choices += f", objective={self.objective!r}"
        if self.n_calibration_rows:
            choices += f", {self.n_calibration_rows:,} rows held out to calibrate"
        return f"{choices}: {memory.shown(self.model_bytes)} ({self.model_formula})"


def plan(
    options, n_classes, X, start=NO_START, *, targets_per_row=1.0, several=False, calibrates=True, resumed=None,
    ranks=ONE,
):  # fmt: skip
    """The Plan for checked rows, where training begins at `start`; MemoryError where there is too little memory for it.

    targets_per_row : average number of classes of a row
    several : whether rows have several labels, which all count alike
    calibrates : False for the first rows of a stream: none is held out, and "auto" cannot depend on their number
    resumed : Choices of a model that was trained before, or None
    ranks : runtime.ranks.Ranks, each of which has a part of the model
    """
    dense_input = isinstance(X, np.ndarray)
    n_entries = int((X.size if dense_input else X.nnz) * targets_per_row)
    if start.E is not None:
        options = options.of_size(start.E.shape[1])
    if resumed is not None:
        options = options.resuming(resumed)
    if start.W is not None:
        n_entries = start.W.nnz
    if not calibrates or (start.W is not None and options.calibration_fraction == "auto"):
        options = options._replace(calibration_fraction=0.0)
    begins = calibrates and start.W is None and resumed is None
    size = {"dense_input": dense_input, "n_ranks": ranks.size}
    objective = _objective(options, several, X.shape[0], begins=begins, **size)
    size = {"n_entries": n_entries, "dense_input": dense_input, "several": several, "objective": objective}
    chosen = ranks.first(choose(options, X.shape[0], n_classes, X.shape[1], **size, n_shards=ranks.size))
    check_sampling(options, chosen.loss, n_classes)
    check_can_divide(options.loss_named(chosen.loss), several=several, n_ranks=ranks.size)
    say(str(chosen), options.verbose)
    size = {"n_rows": X.shape[0], "n_features": X.shape[1], "n_entries": n_entries}
    if chosen.direct == "sparse":
        size["pairs_per_row"] = pairs_per_row(
            X, n_classes, options.sparse_term.max_classes_per_feature, targets_per_row
        )
    needed = memory_needed(chosen, options, n_classes, **size, dense_input=dense_input, resumes=resumed is not None)
    check_memory("training", *needed)
    if options.weights_dir is not None:
        check_disk("weights_dir", options.weights_dir, *disk_needed(chosen, options, resumes=resumed is not None))
    return chosen


def _objective(options, several, n_rows, *, begins, dense_input, n_ranks):
    """The name of the objective, None where rows have one label and none is given.

    begins : whether this is a training from scratch on all rows
    """
    given = getattr(options.objective, "name", None)
    check_can_rank(options, given, n_rows, begins=begins, dense_input=dense_input, n_ranks=n_ranks)
    if given is not None or not several:
        return given
    begins = begins and not options.warm_start and n_ranks == 1  # warm_start: whose model is to be trained on
    learns = options.sparse is None or options.sparse.learns
    optimizer = options.optimizer
    ranks = (
        begins and not dense_input and learns and options.direct_name in ("auto", "sparse") and not optimizer.l1_alpha
    )
    if options.direct == "auto" and options.low_rank is None:  # of a sparse term alone, nothing acts on these
        ranks = ranks and options.learning_rate == "auto" and optimizer.alpha in ("auto", 0)
    return "precision" if ranks and options.loss == "auto" and options.weights_dir is None else "recall"


def choose(
    options, n_samples, n_classes, n_features, *, n_entries, dense_input, several=False, objective=None, n_shards=1
):  # fmt: skip
    """The Plan for a problem of this size; `n_entries` is the number of entries of X, or of pairs that are given.

    n_shards : the number of processes that the classes are divided among; the plan has the bytes of one of them
    """
    ranks = objective is not None and OBJECTIVES[objective].ranks
    if ranks and options.direct == "auto":
        options = options._replace(direct=SparseTerm())

    def forecast(hidden_size, direct, optimizer=options.optimizer, n_shards=1, embedding_ranks=1):
        n_pairs = most_pairs(n_entries, n_features, n_classes) // n_shards
        size = {"optimizer": optimizer, "itemsize": options.dtype.itemsize, "n_pairs": n_pairs}
        size["n_hidden_features"] = -(-(options.n_hidden_features or n_features) // embedding_ranks)
        return Model.forecast(-(-n_classes // n_shards), n_features, hidden_size, direct, **size)

    direct, hidden_size = _terms(options, forecast, dense_input, several)
    if ranks and options.low_rank == "auto":
        hidden_size = AUTO_HIDDEN_SIZE
    loss = options.loss
    if loss == "auto":
        samples = n_classes >= AUTO_SAMPLED_CLASSES and (hidden_size or direct != "sparse")
        if several:
            loss = SampledDecoupledSoftmax if samples else DecoupledSoftmax
        else:
            loss = SampledSoftmax if samples else Softmax
    check_acts(options, direct, hidden_size, dense_input=dense_input)
    if options.given_sampler is not None and not samplers.kind_of(options.given_sampler).uses_n_negatives:
        check_no_negatives(f"{type(loss).__name__}.n_negatives", loss.n_negatives, loss.sampler)
    fraction = options.calibration_fraction
    if fraction == "auto":
        fraction = calibration.FRACTION if direct != "dense" else 0.0
        if several:  # for marginal probabilities, whatever the terms, and of as few rows as can be
            fraction = max(calibration.FRACTION, min((calibration.MIN_ROWS + 1) / n_samples, MOST_CALIBRATED))
    if not several:
        check_calibration(fraction, direct)
    check_l1(options.optimizer, direct)
    n_rows = calibration.n_rows(n_samples, n_classes, hidden_size, fraction)
    alpha, class_alpha = options.optimizer.alpha, options.optimizer.class_alpha
    calibrated = n_rows and hidden_size and direct != "dense" and options.hidden_scale is None  # of one length as it is
    if class_alpha == "auto":
        class_alpha = CALIBRATED_CLASS_ALPHA * n_classes / n_samples if calibrated and alpha == "auto" else None
    if alpha == "auto":
        alpha = CALIBRATED_ALPHA if calibrated else 0.0
    choices = Choices(loss.name, direct, hidden_size, alpha, class_alpha, objective)
    shares = {"n_shards": n_shards, "embedding_ranks": _embedding_ranks(options, n_features, hidden_size, n_shards)}
    of_shard = forecast(hidden_size, direct, **shares)
    weight_bytes = forecast(hidden_size, direct, SGD(), **shares)[0]
    return Plan(*choices, n_rows, *of_shard, weight_bytes, shares["embedding_ranks"])


def _embedding_ranks(options, n_features, hidden_size, n_ranks):
    """The number of ranks that the rows of E are divided among; 1: each has all of them."""
    if hidden_size is None:
        return 1
    n_rows, n_values = options.n_hidden_features or n_features, hidden_size + options.optimizer.has_state
    n_bytes = n_rows * n_values * options.dtype.itemsize
    return n_ranks if features.divides(options.divides_embedding, n_rows, n_bytes, n_ranks) else 1


def _terms(options, forecast, dense_input, several):
    """The kind of the direct term, and the size of the low-rank term.

    Of sparse rows with several labels, a dense direct term learns less than a low-rank term does, however small it is.
    """
    direct, hidden_size = options.direct_name, options.hidden_size
    if direct == "auto" and options.low_rank == "auto":
        direct_bytes, low_rank_bytes = forecast(None, "dense")[0], forecast(AUTO_HIDDEN_SIZE, None)[0]
        folder = options.weights_dir
        free = memory.available() if folder is None else shutil.disk_usage(folder).free
        fits = free is None or direct_bytes <= free // 2
        is_small = direct_bytes <= low_rank_bytes and (dense_input or not several)
        direct = "dense" if is_small or (dense_input and fits) else None
    elif direct == "auto":
        direct = "dense" if hidden_size is None else None
    if options.low_rank == "auto":
        hidden_size = AUTO_HIDDEN_SIZE if direct is None else None
    elif hidden_size == "auto":
        hidden_size = AUTO_HIDDEN_SIZE
    return direct, hidden_size


def check_sampling(options, loss_name, n_classes):
    """Raise ValueError where the sampler is for other classes, or more negatives are to be drawn than there are classes."""
    loss = options.loss_named(loss_name)
    if not loss.is_sampled:
        return
    name = type(loss).__name__
    if not isinstance(loss.sampler, str):
        logistic_loss = loss.name if KINDS[loss.trains_as].is_logistic else None
        check_sampler(f"{name}.sampler", loss.sampler, n_classes, logistic_loss)
    if samplers.kind_of(loss.sampler).uses_n_negatives:
        check_n_negatives(f"{name}.n_negatives", n_negatives(loss, n_classes), n_classes)


def n_negatives(loss, n_classes):
    """The number of negatives that `loss`, one of fastsoftmax.losses, has drawn for each batch."""
    return min(AUTO_NEGATIVES, n_classes - 1) if loss.n_negatives == "auto" else loss.n_negatives


def normaliser_rate(loss, n_classes):
    """The rate of the RunningNormaliser for `loss`, one of fastsoftmax.losses; 1: there is no normaliser."""
    if loss.normaliser_rate != "auto":
        return loss.normaliser_rate
    return NORMALISER_RATE if n_classes >= AUTO_SAMPLED_CLASSES else 1.0


def learning_rate(options, loss_name):
    """The learning rate of a low-rank or dense term."""
    is_hinge = options.loss_named(loss_name).exact == "squared_hinge"
    return HINGE_RATE if is_hinge and options.learning_rate == "auto" else options.rate


def sparse_rule(options, loss_name, n_classes, row_norm, damping):
    """The rule of a sparse term, which steps along the sum of a batch's losses.

    Before anything is learned, a step for a single row moves the logit of its class by 1.5 log(n_classes), which takes the
    row from knowing nothing to being nearly sure; half or twice of that do about as well. With a squared hinge, logits need
    to move from -1 to 1 only: the step is 0.6 (0.3 and 1 do about as well). Adagrad's sum starts at `damping`
    and not at zero: otherwise the many tiny gradients of wrong classes would lead to steps as large as the few large
    gradients of right classes.
    """
    learning_rate = options.sparse_term.learning_rate
    if learning_rate == "auto":
        is_hinge = options.loss_named(loss_name).exact == "squared_hinge"
        step = SPARSE_HINGE_STEP if is_hinge else 1.5 * np.log(n_classes)
        learning_rate = step / max(row_norm, np.finfo(np.float32).tiny)
    return options.optimizer.damped_rule(learning_rate, damping)


def _models(plan, options, resumes):
    """The bytes of the model and of its copies, by a description of each."""
    parts = {} if resumes else {plan.model_formula: plan.model_bytes}
    if options.early_stopping is not None:
        parts[STOPPING_COPY] = plan.model_bytes
    if options.average:
        parts[AVERAGE_COPY] = plan.weight_bytes
    return parts


def disk_needed(plan, options, *, resumes=False):
    """The bytes that files in `weights_dir` will take, and the formula that gives them, with its figures."""
    parts = _models(plan, options, resumes)
    if plan.n_calibration_rows:
        parts["calibration's copy of the model"] = plan.model_bytes
    return _add_up(parts)


def file_needed(plan, options, n_classes, n_features):
    """The least bytes that a file of the model will take, but for a sparse term, and the formula that gives them."""
    direct = None if plan.direct == "sparse" else plan.direct
    n_rows = -(-(options.n_hidden_features or n_features) // plan.embedding_ranks)
    size = {"itemsize": options.dtype.itemsize, "n_hidden_features": n_rows}
    return Model.forecast(n_classes, n_features, plan.hidden_size, direct, optimizer=options.optimizer, **size)


def memory_needed(
    plan, options, n_classes, *, n_rows=0, n_features=0, n_entries=0, pairs_per_row=0, dense_input=False, resumes=False
):  # fmt: skip
    """The bytes that training will allocate beside X and y, and the formula that gives them, with its figures.

    n_rows, n_features, n_entries, dense_input : size of X, and whether it is dense
    pairs_per_row : of a sparse term
    """
    in_memory = options.weights_dir is None
    parts = _models(plan, options, resumes) if in_memory else {}
    parts["working_memory"] = options.working_memory
    parts[f"{n_rows:,} rows x {ROW_BYTES} bytes"] = n_rows * ROW_BYTES
    per_class, what = CLASS_BYTES, "counts"
    loss = options.loss_named(plan.loss)
    if loss.is_sampled and isinstance(loss.sampler, str):
        per_sampler = COUNT_BYTES + samplers.kind_of(loss.sampler).bytes_per_class
        if per_sampler > per_class:
            per_class, what = per_sampler, "counts and sampler"
    parts[f"{what} {n_classes:,} classes x {per_class} bytes"] = n_classes * per_class
    n_read = 0 if dense_input and plan.direct == "dense" and plan.hidden_size is None else n_features * FEATURE_BYTES
    parts[f"{n_features:,} features x {FEATURE_BYTES} bytes"] = n_read
    copies = {}
    if plan.embedding_ranks > 1 and not dense_input:
        n_own, index = n_entries // plan.embedding_ranks, 4 if n_entries <= np.iinfo(np.int32).max else 8
        parts["the entries of a rank's own features"] = n_own * (options.dtype.itemsize + index)
    if plan.choices.ranks:
        n_candidates = options.objective_named(plan.objective).n_candidates
        n_candidates = min(ranking.N_CANDIDATES if n_candidates == "auto" else n_candidates, n_classes)
        parts[f"hard negatives {n_rows:,} rows x {n_candidates} x {RANKED_BYTES} bytes"] = (
            n_rows * n_candidates * RANKED_BYTES
        )
    if plan.direct == "sparse":
        if plan.n_calibration_rows or options.early_stopping is not None:  # they are made of the rows in two parts
            index = 4 if n_entries <= np.iinfo(np.int32).max else 8
            copies[ROWS_COPY] = n_entries * (options.dtype.itemsize + index)
        n_at_once = max(options.batch_size, plan.n_calibration_rows)
        n_pairs = int(pairs_per_row * min(n_at_once, n_rows))
        if options.batch_size < n_at_once:
            n_pairs = max(int(pairs_per_row * options.batch_size), min(n_pairs, CHUNK_PAIRS))
        copies["the pairs of the rows of a step"] = n_pairs * pair_bytes(options.dtype.itemsize)
    if plan.n_calibration_rows and in_memory:  # after training, when the copies of other watchers are gone
        n_others = sum(n for name, n in parts.items() if name in (STOPPING_COPY, AVERAGE_COPY))
        n_copies = 2 if plan.choices.is_sparse_alone else 1  # the scaled weights, and their gradient
        n_weights = n_copies * most_pairs(n_entries, n_features, n_classes) if plan.direct == "sparse" else 0
        scaled = (n_classes * (1 + (plan.hidden_size or 0)) + n_weights) * options.dtype.itemsize
        copies["calibration's copies of the terms"] = max(0, scaled - n_others)
    if plan.direct == "sparse":
        counting = support_bytes(n_entries, n_features, n_rows, n_classes)
        later = n_read + (0 if resumes else plan.model_bytes)  # what is not there yet while pairs are counted
        later += sum(n for name, n in copies.items() if name != ROWS_COPY)
        copies["more while pairs are counted"] = max(0, counting - later)
    return _add_up(parts | copies)


def pairs_per_row(X, n_classes, max_classes_per_feature, targets_per_row):
    """How many pairs of a feature and a class a row of X has on average, if all rows that share a feature differ in class."""
    if isinstance(X, np.ndarray):
        counts = np.full(X.shape[1], X.shape[0])
    elif X.nnz < X.shape[1]:  # for which an array by feature may be too large
        counts = np.unique(X.indices[: X.nnz], return_counts=True)[1]
    else:
        counts, step = np.zeros(X.shape[1], np.int64), max(ENTRIES_AT_A_TIME, X.shape[1])
        for start in range(0, X.nnz, step):  # NumPy counts a copy in int64
            counts += np.bincount(X.indices[start : start + step], minlength=X.shape[1])
    most = n_classes if max_classes_per_feature is None else min(n_classes, max_classes_per_feature)
    return float(counts @ np.minimum(counts * targets_per_row, most)) / X.shape[0]


def _add_up(parts):
    return sum(parts.values()), "; ".join(f"{what}: {memory.shown(n)}" for what, n in parts.items())
