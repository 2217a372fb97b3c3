"""LinearCrossEntropy and SampledSoftmax beside nn.Linear and nn.CrossEntropyLoss."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.special

from fastsoftmax import sampled_cross_entropy, samplers

torch = pytest.importorskip("torch")

from fastsoftmax.torch import LinearCrossEntropy, SampledSoftmax, cross_entropy_head  # noqa: E402
from fastsoftmax.torch import functions as called  # noqa: E402

N_CLASSES, N_FEATURES = 60, 8
COUNTS = np.arange(1, N_CLASSES + 1)
SAMPLERS = {
    "uniform": "uniform",
    "log_uniform": "log_uniform",
    "unigram": "unigram",
    "learned_unigram": "learned_unigram",
    "in_batch": "in_batch",
    "multi_index": "multi_index",
    "object": samplers.Mixed([samplers.InBatch(COUNTS), samplers.Uniform(N_CLASSES)]),
}


def batch(n_rows=40, seed=0, dtype=torch.float32):
    rng = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n_rows, N_FEATURES, generator=rng, dtype=dtype)
    return hidden, torch.randint(N_CLASSES, (n_rows,), generator=rng)


def sampled(**options):
    options = {"sampler": "uniform", "counts": COUNTS, "n_negatives": 20, **options}
    torch.manual_seed(0)
    return SampledSoftmax(N_FEATURES, N_CLASSES, **options)


class Pair(torch.nn.Module):
    """What our modules take the place of."""

    def __init__(self, **options):
        super().__init__()
        self.linear = torch.nn.Linear(N_FEATURES, N_CLASSES, bias=options.pop("bias", True))
        self.loss = torch.nn.CrossEntropyLoss(**options)

    def forward(self, hidden, target):
        return self.loss(self.linear(hidden), target)


@pytest.mark.parametrize("make", [LinearCrossEntropy, SampledSoftmax])
@pytest.mark.parametrize("bias", [True, False])
def test_parameters_are_those_of_nn_linear(make, bias):
    torch.manual_seed(3)
    linear = torch.nn.Linear(N_FEATURES, N_CLASSES, bias=bias)
    torch.manual_seed(3)
    head = make(N_FEATURES, N_CLASSES, bias=bias)
    assert list(head.state_dict()) == list(linear.state_dict())
    for name, value in linear.state_dict().items():
        assert torch.equal(head.state_dict()[name], value)
    head.reset_parameters()
    assert not torch.equal(head.weight, linear.weight)
    head.load_state_dict(linear.state_dict())
    linear.load_state_dict(head.state_dict())
    assert torch.equal(head.weight, linear.weight)
    for other in (copy.deepcopy(head), pickle.loads(pickle.dumps(head))):
        assert torch.equal(other.weight, head.weight)
    assert f"in_features=8, n_classes=60, bias={bias}" in repr(head)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [("SGD", {"lr": 0.5, "momentum": 0.9}), ("Adam", {"lr": 0.02}), ("Adagrad", {"lr": 0.1}), ("AdamW", {"lr": 0.02})],
)
@pytest.mark.parametrize(
    "loss", [{}, {"label_smoothing": 0.1}, {"weight": torch.rand(N_CLASSES) + 0.1, "ignore_index": 5}]
)
def test_training_has_the_curve_of_torchs_own(optimizer, options, loss):
    """A hidden layer learns below the head; the batches repeat."""
    curves = []
    for kind in ("torch", "ours"):
        torch.manual_seed(0)
        below = torch.nn.Linear(N_FEATURES, N_FEATURES)
        if kind == "torch":
            head = Pair(**loss)
        else:
            ours = dict(loss)
            head = LinearCrossEntropy(N_FEATURES, N_CLASSES, class_weight=ours.pop("weight", None), **ours)
        steps = getattr(torch.optim, optimizer)([*below.parameters(), *head.parameters()], **options)
        curve = []
        for step in range(60):
            hidden, target = batch(seed=step % 4)
            steps.zero_grad()
            value = head(below(hidden).tanh(), target)
            value.backward()
            steps.step()
            curve.append(value.item())
        curves.append(curve)
    assert curves[0][-1] < curves[0][0] - 0.3
    np.testing.assert_allclose(curves[1], curves[0], rtol=2e-4)


def test_predictions():
    head = LinearCrossEntropy(N_FEATURES, N_CLASSES, ignore_index=7)
    hidden, target = batch(24)
    target[0] = 7
    hidden.requires_grad_()
    logits = torch.nn.functional.linear(hidden, head.weight, head.bias).detach()
    expected = torch.from_numpy(scipy.special.log_softmax(logits.double().numpy(), axis=1)).float()
    log_prob = head.log_prob(hidden.reshape(2, 12, -1))
    assert log_prob.shape == (2, 12, N_CLASSES) and not log_prob.requires_grad
    torch.testing.assert_close(log_prob.reshape(24, -1), expected)
    of_targets = head.log_prob(hidden, target)
    torch.testing.assert_close(of_targets[1:], expected[torch.arange(1, 24), target[1:]])
    assert of_targets[0] == 0
    class_ids, best = head.topk(hidden.reshape(2, 12, -1), 5)
    assert class_ids.shape == best.shape == (2, 12, 5)
    torch.testing.assert_close(best.reshape(24, 5), expected.topk(5).values)
    torch.testing.assert_close(expected.gather(1, class_ids.reshape(24, 5)), best.reshape(24, 5))
    assert head.topk(hidden[0], 3).class_ids.tolist() == class_ids[0, 0, :3].tolist()
    with pytest.raises(ValueError, match="k must be"):
        head.topk(hidden, 0)
    with pytest.raises(ValueError, match=r"hidden must have shape \(\.\.\., 8\)"):
        head.log_prob(hidden[:, :3])


def test_predictions_under_autocast():
    head, (hidden, _) = LinearCrossEntropy(N_FEATURES, N_CLASSES), batch()
    with torch.autocast("cpu", torch.bfloat16):
        ours = head.log_prob(hidden)
    torch.testing.assert_close(ours, torch.nn.functional.linear(hidden, head.weight, head.bias).log_softmax(1).detach())


def test_bfloat16_predictions():
    head = LinearCrossEntropy(N_FEATURES, N_CLASSES, dtype=torch.bfloat16)
    hidden = batch()[0].bfloat16()
    assert head.log_prob(hidden).dtype == head.topk(hidden, 3).log_prob.dtype == torch.bfloat16
    assert torch.equal(head.float().topk(hidden, 3).class_ids, head.bfloat16().topk(hidden, 3).class_ids)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_sampled_loss_is_that_of_the_function(monkeypatch, sampler, bias, reduction):
    """With the draws that the module makes, ignored rows left out, loss and gradients are sampled_cross_entropy's."""
    drawn = []

    def spy(*args, **kwargs):
        drawn.append(kwargs)
        return original(*args, **kwargs)

    original = called.sampled_cross_entropy_head
    monkeypatch.setattr("fastsoftmax.torch.modules.sampled_cross_entropy_head", spy)
    head = sampled(sampler=SAMPLERS[sampler], bias=bias, reduction=reduction, ignore_index=3, dtype=torch.float64)
    hidden, target = batch(dtype=torch.float64)
    hidden.requires_grad_()
    target[::5] = 3
    counted = target != 3
    factor = int(counted.sum()) if reduction == "sum" else 1
    for _ in range(2):
        head.zero_grad()
        loss = head(hidden.reshape(4, 10, -1), target.reshape(4, 10))
        (dX,) = torch.autograd.grad(loss, hidden, retain_graph=True)
        loss.backward()
        names = "class_ids", "log_expected_counts"
        expected, (expected_dX, rows, dW, dbias) = sampled_cross_entropy(
            hidden.detach().numpy()[counted.numpy()],
            head.weight.detach().numpy(),
            target[counted].numpy(),
            None if head.bias is None else head.bias.detach().numpy(),
            return_grad=True,
            **{name: drawn[-1][name] for name in names},
        )
        np.testing.assert_allclose(loss.item(), factor * expected)
        np.testing.assert_allclose(dX[counted], factor * expected_dX)
        assert not dX[~counted].any()
        np.testing.assert_allclose(head.weight.grad[rows], factor * dW)
        assert not np.delete(head.weight.grad.numpy(), rows, axis=0).any()
        if bias:
            np.testing.assert_allclose(head.bias.grad[rows], factor * dbias)


def test_draws_of_every_class_once_are_the_full_loss():
    class Everything(samplers.Uniform):
        def _propose(self, n, rng, target=None, hidden=None):
            return np.arange(self.n_classes), lambda class_ids: np.ones(len(class_ids))

    head = sampled(sampler=Everything(N_CLASSES), dtype=torch.float64)
    hidden, target = batch(dtype=torch.float64)
    loss = head(hidden, target)
    torch.testing.assert_close(loss, cross_entropy_head(hidden, head.weight, target, head.bias))
    torch.testing.assert_close(head.eval()(hidden, target), loss)


def test_evaluation_is_exact():
    head = sampled().eval()
    hidden, target = batch()
    assert head(hidden, target) == cross_entropy_head(hidden, head.weight, target, head.bias)


def test_torchs_seed_decides_the_draws():
    head, (hidden, target) = sampled(), batch()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = [head(hidden, target).item() for _ in range(3)]
    torch.set_rng_state(state)
    assert [head(hidden, target).item() for _ in range(3)] == first
    assert len(set(first)) == 3
    torch.manual_seed(5)
    loss = torch.utils.checkpoint.checkpoint(head, hidden.requires_grad_(), target, use_reentrant=False)
    assert loss.item() == first[0]
    loss.backward()  # the loss is computed once more, with the same draws


def test_mean_gradient_points_along_the_exact_one():
    """Sampled softmax has a bias of 1 / n: with many draws the mean gradient is the exact one, but for a few percent."""
    head, (hidden, target) = sampled(n_negatives=400, dtype=torch.float64), batch(dtype=torch.float64)
    for _ in range(50):
        (head(hidden, target) / 50).backward()
    mean = head.weight.grad.clone()
    head.zero_grad()
    head.eval()(hidden, target).backward()
    assert (mean - head.weight.grad).norm() < 0.05 * head.weight.grad.norm()


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # of torch's own optimisers
@pytest.mark.parametrize("optimizer", ["SparseAdam", "Adagrad", "SGD"])
def test_sparse_gradients_train_as_dense_ones_do(optimizer):
    """SparseAdam alone differs from dense Adam: it leaves the moments of other rows as they are."""
    heads = sampled(sparse=True), sampled(sparse=False)
    names = optimizer, optimizer.removeprefix("Sparse")
    options = {"lr": 0.1} | (
        {} if optimizer == "SGD" else {"eps": 1e-20}
    )  # which the two Adams add in different places
    steps = [getattr(torch.optim, name)(head.parameters(), **options) for name, head in zip(names, heads, strict=True)]
    for step in range(1 if optimizer == "SparseAdam" else 5):
        before = heads[0].weight.detach().clone()
        hidden, target = batch(6, seed=step)
        for head, optimise in zip(heads, steps, strict=True):
            torch.manual_seed(step)
            optimise.zero_grad()
            head(hidden, target).backward()
            optimise.step()
        gradient = heads[0].weight.grad
        assert gradient.is_sparse and heads[0].bias.grad.is_sparse
        assert not heads[1].weight.grad.is_sparse
        rows = gradient._indices()[0]
        assert (rows.diff() > 0).all()
        assert set(target.tolist()) <= set(rows.tolist()) and len(rows) < N_CLASSES
        others = np.setdiff1d(np.arange(N_CLASSES), rows)
        assert torch.equal(heads[0].weight[others], before[others])
        torch.testing.assert_close(heads[0].weight, heads[1].weight)
        torch.testing.assert_close(heads[0].bias, heads[1].bias)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sampled_training_lowers_the_exact_loss(sampler):
    head = sampled(sampler=SAMPLERS[sampler])
    steps = torch.optim.Adagrad(head.parameters(), lr=0.3)
    hidden, target = batch(200)
    before = head.eval()(hidden, target).item()
    head.train()
    for _ in range(60):
        steps.zero_grad()
        head(hidden, target).backward()
        steps.step()
    assert head.eval()(hidden, target).item() < before - 0.5


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_rows_count(sampler):
    head, (hidden, target) = sampled(sampler=SAMPLERS[sampler]), batch()
    assert head(hidden, torch.full_like(target, -100)).isnan()
    head = sampled(reduction="sum")
    loss = head(hidden[:0], target[:0])
    loss.backward()
    assert loss == 0 and not head.weight.grad.any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sampler": "unigram", "counts": None}, ValueError, "counts must be given for sampler='unigram', got None"),
        ({"sampler": "in_batch", "counts": None}, ValueError, "counts must be given for sampler='in_batch'"),
        ({"counts": np.ones(7)}, ValueError, r"counts must have n_classes \(60\) entries, got 7"),
        ({"sampler": "zipf"}, ValueError, "sampler must be one of"),
        ({"sampler": samplers.Uniform(7)}, ValueError, "sampler must have 60 classes"),
        ({"n_negatives": 0}, ValueError, "n_negatives must be at least 1"),
        ({"sparse": 1}, TypeError, "sparse must be True or False"),
        ({"reduction": "none"}, ValueError, "reduction must be one of 'mean', 'sum', got 'none'"),
        ({"bias": None}, TypeError, "bias must be True or False"),
    ],
)
def test_errors_of_sampled_softmax(options, error, message):
    with pytest.raises(error, match=message):
        sampled(**options)


def test_targets_out_of_range():
    hidden, target = batch()
    target[2] = N_CLASSES
    for head in (sampled(), LinearCrossEntropy(N_FEATURES, N_CLASSES)):
        with pytest.raises(ValueError, match=r"target must be in \[0, 60\), got 60 at position 2"):
            head(hidden, target)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_memory_of_large_weights(reduction):
    """The weights are never copied: 77 MB of them, their gradient, and little else."""
    program = f"""if True:
        import resource, torch
        from fastsoftmax.torch import LinearCrossEntropy
        for n_classes in (100, 300_000):  # the small one for threads and modules
            head = LinearCrossEntropy(64, n_classes, reduction="{reduction}", n_threads=2)
            hidden = torch.randn(8, 64, requires_grad=True)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            (head(hidden, torch.arange(8)).sum() * 3).backward()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    kilobytes = int(
        subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    )
    assert kilobytes < 77_000 + 30_000


def test_without_torch(run_python):
    program = """if True:
        import sys
        sys.modules["torch"] = None
        import fastsoftmax
        try:
            import fastsoftmax.torch
        except ImportError as error:
            print(error)
    """
    assert run_python(program) == 'fastsoftmax.torch needs PyTorch: pip install "fastsoftmax[torch]"\n'


def test_public_names():
    import fastsoftmax.torch

    assert dir(fastsoftmax.torch) == sorted(fastsoftmax.torch.__all__)
    assert all(hasattr(fastsoftmax.torch, name) for name in fastsoftmax.torch.__all__)
