"""Modules in the place of nn.Linear and the nn.CrossEntropyLoss after it."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from fastsoftmax.functional import log_softmax
from fastsoftmax.linear import linear_topk
from fastsoftmax.samplers import kind_of, make
from fastsoftmax.torch.arrays import array_of, tensor_of
from fastsoftmax.torch.functions import cross_entropy_head, sampled_cross_entropy_head
from fastsoftmax.validation import (
    check_bool,
    check_counts_given,
    check_head_tensors,
    check_hidden_tensor,
    check_int,
    check_n_threads,
    check_option,
    check_target,
    check_X,
)

__all__ = ["LinearCrossEntropy", "SampledSoftmax", "TopK"]


class TopK(NamedTuple):
    """The most probable classes of each row, best first, and the natural logarithms of their probabilities among all."""

    class_ids: torch.Tensor  # (..., k) int64
    log_prob: torch.Tensor  # (..., k)


class LinearHead(nn.Module):
    """The parameters of a linear head, as nn.Linear has and initialises them, and exact predictions over all classes.

    A subclass sets `ignore_index` and `n_threads`, and has the loss as its `forward`.
    """

    def __init__(self, in_features, n_classes, bias, device, dtype):
        super().__init__()
        self.in_features = check_int("in_features", in_features, minimum=0)
        self.n_classes = check_int("n_classes", n_classes, minimum=1)
        self.weight = nn.Parameter(torch.empty((n_classes, in_features), device=device, dtype=dtype))
        if check_bool("bias", bias):
            self.bias = nn.Parameter(torch.empty(n_classes, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the parameters anew, from the distribution and in the order of nn.Linear."""
        if not self.in_features:
            return
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            nn.init.uniform_(self.bias, -bound, bound)

    def extra_repr(self):
        return f"in_features={self.in_features}, n_classes={self.n_classes}, bias={self.bias is not None}"

    @torch.compiler.disable
    @torch.no_grad()
    def log_prob(self, hidden, target=None):
        """The logarithms of the probabilities of all classes, or only of each row's `target`; without gradients.

        Parameters
        ----------
        hidden : (..., in_features) tensor
        target : (...) tensor of integers, optional
            Only with it there is no array of rows x classes. There is a 0 for `ignore_index`.

        Returns
        -------
        (..., n_classes) tensor of `hidden`'s dtype, or (...)
        """
        if target is not None:
            options = {"reduction": "none", "ignore_index": self.ignore_index, "n_threads": self.n_threads}
            return -cross_entropy_head(hidden, self.weight, target, self.bias, **options).to(hidden.dtype)
        X, W, b = self._arrays(hidden)
        with torch.autocast("cpu", enabled=False):
            logits = F.linear(*map(tensor_of, (X, W, b))).numpy()
        log_prob = tensor_of(log_softmax(logits, axis=1, out=logits, n_threads=self.n_threads))
        return log_prob.to(hidden.dtype).reshape(*hidden.shape[:-1], self.n_classes)

    @torch.compiler.disable
    @torch.no_grad()
    def topk(self, hidden, k):
        """The `k` most probable classes of each row, as a TopK of tensors (..., k), without an array of rows x classes."""
        X, W, b = self._arrays(hidden)
        class_ids, log_prob = map(tensor_of, linear_topk(X, W, k, b, n_threads=self.n_threads))
        shape = *hidden.shape[:-1], class_ids.shape[1]
        return TopK(class_ids.reshape(shape), log_prob.to(hidden.dtype).reshape(shape))

    def _arrays(self, hidden):
        check_hidden_tensor(hidden, self.weight, self.bias)
        W = array_of(self.weight)
        rows = hidden.reshape(math.prod(hidden.shape[:-1]), self.in_features)
        b = array_of(self.bias)
        return check_X(array_of(rows), dtype=W.dtype, name="hidden"), W, None if b is None else b.astype(W.dtype)


class LinearCrossEntropy(LinearHead):
    """nn.Linear and nn.CrossEntropyLoss in one, without the logits in memory: ``forward(hidden, target)`` is the loss.

    Parameters
    ----------
    in_features, n_classes : int
    bias : bool
    class_weight, ignore_index, reduction, label_smoothing, gradient_threshold, n_threads
        As in `cross_entropy_head`. The class weights follow the module, but are no part of its state_dict.
    device, dtype
        Of the parameters; their place is the CPU.

    Attributes
    ----------
    weight : (n_classes, in_features) parameter
    bias : (n_classes,) parameter, or None

    Notes
    -----
    Names, shapes and the initialisation of the parameters are those of nn.Linear, so a state_dict of either fits the other.
    """

    def __init__(
        self,
        in_features,
        n_classes,
        bias=True,
        *,
        class_weight=None,
        ignore_index=-100,
        reduction="mean",
        label_smoothing=0.0,
        gradient_threshold=0.0,
        n_threads=None,
        device=None,
        dtype=None,
    ):
        super().__init__(in_features, n_classes, bias, device, dtype)
        self.register_buffer("class_weight", class_weight, persistent=False)
        self.ignore_index = check_int("ignore_index", ignore_index)
        self.reduction = check_option("reduction", reduction, ("mean", "sum", "none"))
        self.label_smoothing, self.gradient_threshold = label_smoothing, gradient_threshold
        self.n_threads = check_n_threads(n_threads)

    def forward(self, hidden, target):
        return cross_entropy_head(
            hidden,
            self.weight,
            target,
            self.bias,
            class_weight=self.class_weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
            gradient_threshold=self.gradient_threshold,
            n_threads=self.n_threads,
        )


class SampledSoftmax(LinearHead):
    """nn.Linear and nn.CrossEntropyLoss in one, trained by candidate sampling: ``forward(hidden, target)`` is the loss.

    In training it is the sampled softmax loss of the true classes against negatives that all rows share, corrected for how
    often each of them was expected (logQ). In evaluation, after ``eval()``, it is the exact loss over all classes.

    Parameters
    ----------
    in_features, n_classes : int
    n_negatives : int
        How many classes are drawn at each step. "in_batch" alone draws as many as there are other rows.
    sampler : str or sampler
        A name, "uniform", "log_uniform" (for classes numbered by falling frequency), "unigram", "learned_unigram", "in_batch"
        or "multi_index", or an object of `fastsoftmax.samplers`, of which a copy is made.
    counts : (n_classes,) tensor or array, optional
        How often each class occurs; "unigram" and "in_batch" need it.
    bias : bool
    sparse : bool
        Give the parameters sparse gradients, for SparseAdam, SGD and Adagrad; see `sampled_cross_entropy_head`.
    ignore_index : int
    reduction : {"mean", "sum"}
    n_threads : int, optional
    device, dtype
        Of the parameters; their place is the CPU.

    Attributes
    ----------
    weight : (n_classes, in_features) parameter
    bias : (n_classes,) parameter, or None

    Notes
    -----
    Each step seeds a generator of NumPy from torch's, so ``torch.manual_seed`` decides the draws. What a sampler has learned
    is no part of the state_dict.
    """

    def __init__(
        self,
        in_features,
        n_classes,
        n_negatives=1024,
        *,
        sampler="uniform",
        counts=None,
        bias=True,
        sparse=False,
        ignore_index=-100,
        reduction="mean",
        n_threads=None,
        device=None,
        dtype=None,
    ):
        super().__init__(in_features, n_classes, bias, device, dtype)
        self.n_negatives = check_int("n_negatives", n_negatives, minimum=1)
        counts = array_of(counts) if isinstance(counts, torch.Tensor) else counts
        counts = check_counts_given("counts", counts, n_classes, sampler, kind_of(sampler).depends_on_counts)
        self.sampler = make(sampler, counts)
        self.sparse = check_bool("sparse", sparse)
        self.ignore_index = check_int("ignore_index", ignore_index)
        self.reduction = check_option("reduction", reduction, ("mean", "sum"))
        self.n_threads = check_n_threads(n_threads)

    def forward(self, hidden, target):
        options = {"ignore_index": self.ignore_index, "reduction": self.reduction, "n_threads": self.n_threads}
        if self.training:
            return self._sampled_loss(hidden, target, options)
        return cross_entropy_head(hidden, self.weight, target, self.bias, **options)

    @torch.compiler.disable
    def _sampled_loss(self, hidden, target, options):
        check_head_tensors(hidden, self.weight, self.bias, target)
        codes = check_target(
            array_of(target.reshape(-1)), target.numel(), self.n_classes, ignore_index=self.ignore_index
        )
        counted = np.flatnonzero(codes >= 0)
        class_ids, log_expected_counts = self._draw(hidden, codes, counted)
        return sampled_cross_entropy_head(
            hidden,
            self.weight,
            target,
            self.bias,
            class_ids=class_ids,
            log_expected_counts=log_expected_counts,
            sparse=self.sparse,
            **options,
        )

    def _draw(self, hidden, codes, counted):
        """The negatives of the rows that count, and the logarithms of their expected counts."""
        rng = np.random.default_rng(int(torch.randint(2**63 - 1, (), device="cpu")))
        target, X = codes[counted], None
        if self.sampler.follows_model and len(counted):
            X = array_of(hidden.reshape(len(codes), self.in_features))[counted]
            b = np.zeros(self.n_classes) if self.bias is None else array_of(self.bias)
            self.sampler.follow(array_of(self.weight), b)
        class_ids, log_expected_counts, _ = self.sampler.draw_for(self.n_negatives, rng, target, X)
        self.sampler.observe(target)
        return class_ids, log_expected_counts
