"""The functions of fastsoftmax.torch against cross_entropy(linear) of torch, in float64 and with all options."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
F = torch.nn.functional

from fastsoftmax.torch import cross_entropy_head, sampled_cross_entropy_head  # noqa: E402
from fastsoftmax.torch import losses as computed  # noqa: E402

OPTIONS = [
    {"reduction": reduction, "label_smoothing": smoothing, "class_weight": weight, "ignore_index": ignore_index}
    for reduction, smoothing, weight, ignore_index in itertools.product(
        ["mean", "sum", "none"], [0.0, 0.2], [False, True], [-100, 3]
    )
]


def problem(shape=(6, 5), n_classes=50, n_features=7, dtype=torch.float64, bias=True, seed=0):
    """Leaves hidden, weight and bias, and a target of which some are 3."""
    rng = torch.Generator().manual_seed(seed)
    sizes = [(*shape, n_features), (n_classes, n_features), (n_classes,)]
    hidden, weight, b = (
        torch.randn(size, generator=rng, dtype=torch.float64).to(dtype).requires_grad_() for size in sizes
    )
    target = torch.randint(n_classes, shape, generator=rng)
    if target.numel():
        target.view(-1)[::4] = 3 % n_classes
        target.view(-1)[0] = n_classes - 1
    return hidden, weight, b if bias else None, target


def torchs_loss(hidden, weight, bias, target, class_weight=None, **options):
    logits = F.linear(hidden, weight, bias).reshape(-1, len(weight))
    loss = F.cross_entropy(logits, target.reshape(-1), weight=class_weight, **options)
    return loss.reshape(target.shape) if options.get("reduction") == "none" else loss


def gradients(loss, *leaves, grad=None):
    return torch.autograd.grad(loss, [leaf for leaf in leaves if leaf is not None], grad)


def assert_close(ours, theirs, n_roundings=200):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        tolerance, largest = n_roundings * torch.finfo(b.dtype).eps, b.detach().abs().amax() if b.numel() else 0.0
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(largest)))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_loss_and_gradients(options, bias):
    hidden, weight, b, target = problem(bias=bias)
    class_weight = torch.rand(50, dtype=torch.float64) if options["class_weight"] else None
    options = {**options, "class_weight": class_weight}
    ours = cross_entropy_head(hidden, weight, target, b, **options)
    theirs = torchs_loss(hidden, weight, b, target, **options)
    assert_close([ours], [theirs])
    grad = torch.randn(ours.shape, dtype=torch.float64)
    assert_close(gradients(ours, hidden, weight, b, grad=grad), gradients(theirs, hidden, weight, b, grad=grad))


@given(
    shape=st.sampled_from([(), (1,), (0,), (9,), (3, 0), (2, 3, 4)]),
    n_classes=st.sampled_from([1, 2, 33, 507]),
    n_features=st.sampled_from([1, 8, 33]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    needs=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    strided=st.tuples(st.booleans(), st.booleans()),
    reduction=st.sampled_from(["sum", "none"]),
)
@settings(max_examples=60, deadline=None)
def test_shapes_strides_and_what_needs_a_gradient(shape, n_classes, n_features, dtype, needs, strided, reduction):
    hidden, weight, bias, target = problem(shape, n_classes, n_features, dtype)
    if strided[0]:
        hidden = torch.stack([hidden.detach()] * 2, -1)[..., 1].requires_grad_()
    if strided[1]:
        weight = weight.detach().t().contiguous().t().requires_grad_()
    leaves = [tensor.requires_grad_(need) for tensor, need in zip((hidden, weight, bias), needs, strict=True)]
    ours = cross_entropy_head(hidden, weight, target, bias, reduction=reduction)
    assert ours.dtype == dtype and ours.requires_grad == any(needs)
    theirs = torchs_loss(hidden, weight, bias, target, reduction=reduction)
    assert_close([ours.detach()], [theirs.detach()]) if ours.numel() else None
    if any(needs) and ours.numel():
        wanted = [leaf for leaf, need in zip(leaves, needs, strict=True) if need]
        assert_close(gradients(ours.sum() * 3, *wanted), gradients(theirs.sum() * 3, *wanted))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradcheck(reduction, smoothing):
    hidden, weight, bias, target = problem((4,), 9, 3)
    options = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": 3}
    assert torch.autograd.gradcheck(
        lambda *a: cross_entropy_head(a[0], a[1], target, a[2], **options), (hidden, weight, bias)
    )


@pytest.mark.parametrize("loss", ["sampled_softmax", "nce", "sampled_logistic", "negative_sampling"])
def test_gradcheck_of_sampled_losses(loss):
    hidden, weight, bias, target = problem((4,), 9, 3)
    counts = torch.log(torch.rand(9, dtype=torch.float64) + 0.1)
    class_ids = torch.tensor([1, 8, 8, 0, 2])
    options = {"class_ids": class_ids, "loss": loss}
    if loss != "negative_sampling":
        options |= {"log_expected_counts": counts[class_ids]}
    if loss not in ("negative_sampling", "sampled_softmax"):
        options |= {"target_log_expected_counts": counts[target]}
    assert torch.autograd.gradcheck(
        lambda *a: sampled_cross_entropy_head(a[0], a[1], target, a[2], **options), (hidden, weight, bias)
    )


def heads():
    """Both functions, as functions of hidden, weight, bias and target."""
    drawn = {"class_ids": np.array([0, 4, 4, 9]), "log_expected_counts": np.log([0.5, 2.0, 2.0, 0.1])}
    return {
        "mean": lambda h, w, b, t: cross_entropy_head(h, w, t, b),
        "none": lambda h, w, b, t: cross_entropy_head(h, w, t, b, reduction="none").sum(),
        "sampled": lambda h, w, b, t: sampled_cross_entropy_head(h, w, t, b, **drawn),
        "sampled, sparse": lambda h, w, b, t: sampled_cross_entropy_head(h, w, t, b, sparse=True, **drawn),
    }


HEADS = heads()


@pytest.mark.parametrize("name", HEADS)
def test_second_derivatives_are_refused(name):
    hidden, weight, bias, target = problem()
    loss = HEADS[name](hidden, weight, bias, target)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(loss, hidden, create_graph=True)


@pytest.mark.parametrize("name", HEADS)
def test_backward_again_and_again(name):
    """The first pass gives its gradients away, to be added to in place; later ones must not see that."""
    hidden, weight, bias, target = problem()
    loss = HEADS[name](hidden, weight, bias, target)
    expected = gradients(HEADS[name](hidden, weight, bias, target), hidden, weight, bias)
    for n in (1, 2, 3):
        loss.backward(retain_graph=True)
        for leaf, gradient in zip((hidden, weight, bias), expected, strict=True):
            torch.testing.assert_close(leaf.grad.to_dense(), n * gradient.to_dense())
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


@pytest.mark.parametrize("name", HEADS)
def test_weights_that_change_before_backward(name):
    """Gradients of the forward pass are those of its weights; to compute them anew is refused then, as torch does it."""
    hidden, weight, bias, target = problem()
    loss = HEADS[name](hidden, weight, bias, target)
    (expected,) = gradients(HEADS[name](hidden, weight, bias, target), hidden)
    with torch.no_grad():
        weight.mul_(2)
    if name != "none":
        torch.testing.assert_close(gradients(loss * 1, hidden)[0], expected)
    loss = HEADS[name](hidden, weight, bias, target)
    if name != "none":
        torch.autograd.grad(loss, hidden, retain_graph=True)
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("name", HEADS)
def test_two_losses_of_the_same_weights(name):
    hidden, weight, bias, target = problem()
    loss = HEADS[name](hidden, weight, bias, target) + 2 * HEADS[name](hidden, weight, bias, target)
    loss.backward()
    single = gradients(HEADS[name](hidden, weight, bias, target), weight)[0]
    torch.testing.assert_close(weight.grad.to_dense(), 3 * single.to_dense())


def test_no_work_without_gradients(monkeypatch):
    """And only the gradients that are needed."""
    seen = []

    def spy(*args, return_grad=False, **kwargs):
        seen.append(return_grad)
        return original(*args, return_grad=return_grad, **kwargs)

    original = computed.linear_cross_entropy
    monkeypatch.setattr(computed, "linear_cross_entropy", spy)
    hidden, weight, bias, target = problem()
    with torch.no_grad():
        assert not cross_entropy_head(hidden, weight, target, bias).requires_grad
    with torch.inference_mode():
        cross_entropy_head(hidden, weight, target, bias)
    cross_entropy_head(hidden.detach(), weight.detach(), target, bias.detach())
    cross_entropy_head(hidden, weight.detach(), target, bias.detach())
    cross_entropy_head(hidden.detach(), weight, target, bias)
    cross_entropy_head(hidden, weight, target, bias, reduction="none")
    assert seen == [False, False, False, ("X",), ("W", "bias"), False]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("order", ["C", "F", "other"])
def test_nothing_is_copied(monkeypatch, dtype, order):
    """The kernel reads the tensor's memory, and what it writes is the parameter's gradient."""
    calls = []

    def spy(X, W, *args, **kwargs):
        result = original(X, W, *args, **kwargs)
        calls.append((X.ctypes.data, W.ctypes.data, result[1][1].ctypes.data))
        return result

    original = computed.linear_cross_entropy
    monkeypatch.setattr(computed, "linear_cross_entropy", spy)
    hidden, weight, bias, target = problem(dtype=dtype)
    if order == "F":
        weight = weight.detach().t().contiguous().t().requires_grad_()
    elif order == "other":
        weight = torch.cat([weight.detach()] * 2, 1)[:, 3:10].requires_grad_()
    cross_entropy_head(hidden, weight, target, bias).backward()
    ((X_at, W_at, dW_at),) = calls
    assert X_at == hidden.data_ptr() and W_at == weight.data_ptr()
    if order != "other":  # torch brings the gradient into the strides of the parameter
        assert weight.grad.data_ptr() == dW_at


def test_bfloat16():
    """It is widened: loss and gradients are those in float32 of the same numbers, rounded once."""
    hidden, weight, bias, target = problem(dtype=torch.bfloat16)
    wide = [tensor.detach().float().requires_grad_() for tensor in (hidden, weight, bias)]
    loss, expected = cross_entropy_head(hidden, weight, target, bias), cross_entropy_head(*wide[:2], target, wide[2])
    assert loss.dtype == torch.float32
    assert loss == expected
    for ours, theirs in zip(gradients(2 * loss, hidden, weight, bias), gradients(2 * expected, *wide), strict=True):
        assert ours.dtype == torch.bfloat16
        assert torch.equal(ours, theirs.bfloat16())


def test_bfloat16_beside_float32():
    hidden, weight, bias, target = problem(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = F.linear(hidden, torch.eye(7))
        loss = cross_entropy_head(narrow, weight, target, bias)
    assert narrow.dtype == torch.bfloat16
    assert [gradient.dtype for gradient in gradients(loss, narrow, weight)] == [torch.bfloat16, torch.float32]


def test_sampled_bfloat16():
    hidden, weight, bias, target = problem(dtype=torch.bfloat16)
    HEADS["sampled"](hidden, weight, bias, target).backward()
    assert [leaf.grad.dtype for leaf in (hidden, weight, bias)] == [torch.bfloat16] * 3


def test_rounded_gradients():
    """torch's generator decides how, and without a gradient it is left alone."""
    hidden, weight, bias, target = problem(n_classes=3000, dtype=torch.float32)
    exact = gradients(cross_entropy_head(hidden, weight, target, bias), weight)[0]
    rounded = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        loss = cross_entropy_head(hidden, weight, target, bias, gradient_threshold=1e-2)
        rounded.append(gradients(loss, weight)[0])
    assert torch.equal(rounded[0], rounded[1])
    assert not torch.equal(rounded[0], rounded[2])
    assert not torch.equal(rounded[0], exact)
    before = torch.get_rng_state()
    with torch.no_grad():
        cross_entropy_head(hidden, weight, target, bias, gradient_threshold=1e-2)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_mean_over_nothing():
    hidden, weight, bias, target = problem()
    loss = cross_entropy_head(hidden, weight, torch.full_like(target, -100), bias)
    assert loss.isnan()
    assert not any(gradient.any() for gradient in gradients(loss, hidden, weight, bias))


def test_integers_of_other_types():
    hidden, weight, bias, target = problem()
    expected = cross_entropy_head(hidden, weight, target, bias)
    for dtype in (torch.int32, torch.int16, torch.uint8):
        assert cross_entropy_head(hidden, weight, target.to(dtype), bias) == expected


def test_checkpointing():
    hidden, weight, bias, target = problem()
    expected = gradients(HEADS["mean"](hidden, weight, bias, target), hidden, weight)
    loss = torch.utils.checkpoint.checkpoint(HEADS["mean"], hidden, weight, bias, target, use_reentrant=False)
    assert_close(gradients(loss, hidden, weight), expected)


ERRORS = [
    ({"hidden": [[1.0]]}, TypeError, "hidden must be a torch.Tensor, got list"),
    ({"weight": np.ones((50, 7))}, TypeError, "weight must be a torch.Tensor, got ndarray"),
    ({"hidden": torch.ones(6, 5, 8).double()}, ValueError, r"hidden must have shape \(\.\.\., 7\), got \(6, 5, 8\)"),
    ({"hidden": torch.tensor(1.0, dtype=torch.float64)}, ValueError, r"hidden must have shape \(\.\.\., 7\), got \(\)"),
    ({"weight": torch.ones(7, dtype=torch.float64)}, ValueError, r"weight must be 2-D .*, got shape \(7,\)"),
    ({"weight": torch.ones(0, 7, dtype=torch.float64)}, ValueError, "weight must be 2-D .* at least one class"),
    ({"bias": torch.ones(7, dtype=torch.float64)}, ValueError, r"bias must have shape \(50,\), one number a class"),
    ({"target": torch.ones(6, dtype=torch.int64)}, ValueError, r"target must have shape \(6, 5\), one class code a row"),
    ({"target": torch.full((6, 5), 50)}, ValueError, r"target must be in \[0, 50\), got 50 at position 0"),
    ({"target": torch.ones(6, 5)}, TypeError, "target must hold integer class codes, got a tensor of torch.float32"),
    ({"target": torch.ones(6, 5).bool()}, TypeError, "target must hold integer class codes, got a tensor of torch.bool"),
    ({"hidden": torch.ones(6, 5, 7)}, TypeError, "hidden must be of the precision of weight, float64, got float32"),
    ({"hidden": torch.ones(6, 5, 7).half()}, TypeError, "hidden must be of float32, float64 or bfloat16, got float16"),
    ({"weight": torch.ones(50, 7).long()}, TypeError, "weight must be of float32, float64 or bfloat16, got int64"),
    ({"weight": torch.ones(50, 7, device="meta").double()}, ValueError, "weight must be on the CPU, .* on meta"),
    ({"weight": torch.ones(50, 7).double().to_sparse()}, ValueError, "weight must be dense .*, got torch.sparse_coo"),
    ({"hidden": torch.full((6, 5, 7), torch.nan).double()}, ValueError, "hidden must be finite, got NaN in row 0, column 0"),
    ({"reduction": "max"}, ValueError, "reduction must be one of"),
]  # fmt: skip


@pytest.mark.parametrize("head", [cross_entropy_head, sampled_cross_entropy_head])
@pytest.mark.parametrize(("wrong", "error", "message"), ERRORS)
def test_errors(head, wrong, error, message):
    names = "hidden", "weight", "bias", "target"
    arguments = {name: a if name == "target" else a.detach() for name, a in zip(names, problem(), strict=True)}
    if head is sampled_cross_entropy_head:
        arguments |= {"class_ids": np.array([1]), "log_expected_counts": np.zeros(1)}
    with pytest.raises(error, match=message):
        head(**arguments | wrong)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_weight": np.ones(50)}, TypeError, "class_weight must be a torch.Tensor, got ndarray"),
        ({"class_weight": torch.ones(7)}, ValueError, r"class_weight must have shape \(50,\)"),
        ({"class_weight": -torch.ones(50)}, ValueError, "class_weight must be finite and not negative, got -1.0 for class 0"),
        ({"label_smoothing": 2.0}, ValueError, "label_smoothing must be at most 1"),
        ({"gradient_threshold": 1.0}, ValueError, "gradient_threshold must be below 1"),
        ({"ignore_index": 0.5}, TypeError, "ignore_index must be an integer"),
        ({"n_threads": 0}, ValueError, "n_threads must be None, -1 or"),
    ],
)  # fmt: skip
def test_errors_of_options(options, error, message):
    hidden, weight, bias, target = problem()
    with pytest.raises(error, match=message):
        cross_entropy_head(hidden, weight, target, bias, **options)
