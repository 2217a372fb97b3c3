import numpy as np
import pytest
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import linear_cross_entropy, sampled_cross_entropy
from fastsoftmax.passes.candidates import KINDS
from fastsoftmax.samplers import Unigram

N_CLASSES = 700
every_loss = pytest.mark.parametrize("loss", KINDS)


@covering(
    {
        "isa": ISAS,
        "sampled_problem": ["dense", "csr"],
        "loss": KINDS,
        "remove_accidental_hits": [None, True, False],
        "dtype, rtol, atol": [(np.float64, 1e-11, 1e-14), (np.float32, 3e-5, 3e-7)],
    },
    fixtures=("isa", "sampled_problem"),
)
def test_against_brute_force(isa, sampled_problem, check_sampled, dtype, rtol, atol, remove_accidental_hits, loss):
    arguments = sampled_problem(dtype=dtype, loss=loss)
    check_sampled(arguments, rtol, atol, remove_accidental_hits=remove_accidental_hits)


@pytest.mark.parametrize("remove_accidental_hits", [True, False])
def test_softmax_with_the_targets_counts(sampled_problem, check_sampled, remove_accidental_hits):
    arguments = sampled_problem() | {"target_log_expected_counts": np.linspace(-4, 1, 20)}
    check_sampled(arguments, 1e-11, 1e-14, remove_accidental_hits=remove_accidental_hits)


@pytest.mark.parametrize("order", ["C", "F"])
@every_loss
def test_memory_order_of_W(sampled_problem, check_sampled, order, loss):
    arguments = sampled_problem(loss=loss)
    arguments["W"] = np.asarray(arguments["W"], order=order)
    check_sampled(arguments, 1e-11, 1e-14)


@pytest.mark.parametrize("remove_accidental_hits", [True, False])
@every_loss
def test_nothing_drawn(sampled_problem, check_sampled, remove_accidental_hits, loss):
    arguments = sampled_problem(n_drawn=0, loss=loss)
    check_sampled(arguments, 1e-12, 1e-14, remove_accidental_hits=remove_accidental_hits)
    if loss == "sampled_softmax":  # over the target alone
        assert sampled_cross_entropy(**arguments) == 0


@pytest.mark.parametrize("remove_accidental_hits", [True, False])
@every_loss
def test_only_targets_drawn(sampled_problem, check_sampled, remove_accidental_hits, loss):
    arguments = sampled_problem(n_drawn=0, loss=loss)
    arguments["class_ids"] = arguments["target"][:1].repeat(3)
    arguments["log_expected_counts"] = np.zeros(3)
    check_sampled(arguments, 1e-12, 1e-14, remove_accidental_hits=remove_accidental_hits)


@every_loss
def test_no_rows(sampled_problem, loss):
    arguments = sampled_problem(n_rows=1, loss=loss)
    arguments |= {"X": arguments["X"][:0], "target": arguments["target"][:0]}
    if loss != "sampled_softmax":
        arguments["target_log_expected_counts"] = np.zeros(0)
    loss, (_, rows, dW_rows, _) = sampled_cross_entropy(**arguments, return_grad=True)
    assert np.isnan(loss)
    assert_array_equal(rows, np.unique(arguments["class_ids"]))
    assert not dW_rows.any()


def test_every_class_drawn_once_is_the_full_softmax(isa, sampled_problem):
    arguments = sampled_problem()
    arguments |= {"class_ids": np.arange(N_CLASSES)[::-1], "log_expected_counts": np.zeros(N_CLASSES)}
    loss, (dX, rows, dW, dbias) = sampled_cross_entropy(**arguments, return_grad=True)
    full = {name: arguments[name] for name in ("X", "W", "target", "bias")}
    full_loss, (full_dX, full_dW, full_dbias) = linear_cross_entropy(**full, return_grad=True)
    assert_allclose(loss, full_loss, rtol=1e-13)
    assert_array_equal(rows, np.arange(N_CLASSES))
    assert_allclose(dW, full_dW, rtol=1e-10, atol=1e-15)
    assert_allclose(dbias, full_dbias, rtol=1e-10, atol=1e-15)
    if dX is not None:
        assert_allclose(dX, full_dX, rtol=1e-10, atol=1e-15)


def test_negative_sampling_uses_no_counts(sampled_problem):
    arguments = sampled_problem(loss="negative_sampling")
    loss = sampled_cross_entropy(**arguments)
    assert sampled_cross_entropy(**arguments | {"log_expected_counts": None}) == loss
    assert sampled_cross_entropy(**arguments | {"target_log_expected_counts": None}) == loss


def test_the_estimate_of_the_partition_function_is_unbiased():
    """exp(loss) - 1 = sum over negatives / e^{z_y}: its mean over draws is that of the full softmax."""
    rng = np.random.default_rng(0)
    X, W, target = np.ones((1, 1)), rng.standard_normal((50, 1)), np.array([7])
    sampler = Unigram(rng.integers(1, 100, 50))
    estimates = []
    for _ in range(500):
        class_ids, expected = sampler.draw(20, rng)
        loss = sampled_cross_entropy(X, W, target, class_ids=class_ids, log_expected_counts=expected, n_threads=1)
        estimates.append(np.expm1(loss))
    error = np.mean(estimates) - np.expm1(linear_cross_entropy(X, W, target))
    assert abs(error) < 4 * np.std(estimates) / np.sqrt(len(estimates))


@pytest.mark.parametrize("num_true", [None, 3])
@every_loss
def test_gradients_are_the_derivatives_of_the_loss(sampled_problem, loss, num_true):
    arguments = sampled_problem(n_rows=5, n_features=3, n_drawn=20, loss=loss, num_true=num_true)
    arguments["target_log_expected_counts"] = np.linspace(-1, 1, arguments["target"].size).reshape(
        arguments["target"].shape
    )
    _, (dX, rows, dW_rows, dbias_rows) = sampled_cross_entropy(**arguments, return_grad=True)
    dW, dbias, step = np.zeros_like(arguments["W"]), np.zeros_like(arguments["bias"]), 1e-6
    dW[rows], dbias[rows] = dW_rows, dbias_rows
    rng = np.random.default_rng(0)
    for name, gradient in {"X": dX, "W": dW, "bias": dbias}.items():
        for _ in range(0 if gradient is None else 5):
            a, direction = arguments[name], rng.standard_normal(gradient.shape)
            ahead, behind = (sampled_cross_entropy(**arguments | {name: a + s * direction}) for s in (step, -step))
            assert_allclose((ahead - behind) / (2 * step), (gradient * direction).sum(), rtol=1e-6, atol=1e-9)


@covering(
    {
        "isa": ISAS,
        "sampled_problem": ["dense", "csr"],
        "loss": KINDS,
        "dtype": [np.float32, np.float64],
        "num_true": [None, 3],
    },
    strength=2,
    fixtures=("isa", "sampled_problem"),
)
def test_bitwise_the_same_for_any_n_threads(isa, sampled_problem, dtype, loss, num_true):
    arguments = sampled_problem(n_rows=100, n_features=20, dtype=dtype, loss=loss, num_true=num_true)
    results = []
    for n_threads in (1, 2, 3):
        loss, gradients = sampled_cross_entropy(**arguments, return_grad=True, n_threads=n_threads)
        results.append([loss, *(g for g in gradients if g is not None)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_array_equal(a, b)


@pytest.mark.parametrize("num_true", [None, 3])
@every_loss
def test_input_is_not_modified(sampled_problem, loss, num_true):
    arguments = sampled_problem(loss=loss, num_true=num_true)
    before = {name: a.copy() for name, a in arguments.items() if hasattr(a, "copy")}
    sampled_cross_entropy(**arguments, return_grad=True)
    for name, a in before.items():
        assert not (a != arguments[name]).sum(), f"{name} was modified"


BAD = [
    ({"loss": "hinge"}, ValueError, "loss must be one of .*'nce'.*'hinge'"),
    ({"loss": "nce"}, ValueError, "target_log_expected_counts must be given for loss='nce', got None"),
    ({"loss": "nce", "log_expected_counts": None}, ValueError, "^log_expected_counts must be given for loss='nce'"),
    ({"log_expected_counts": None}, ValueError, "^log_expected_counts must be given for loss='sampled_softmax'"),
    ({"remove_accidental_hits": "yes"}, TypeError, "remove_accidental_hits must be True or False, got 'yes'"),
    ({"class_ids": np.full(600, 700)}, ValueError, r"class_ids must be in \[0, 700\), got class_ids\[0\] = 700"),
    ({"class_ids": np.arange(600) - 3}, ValueError, r"class_ids must be in \[0, 700\), got class_ids\[0\] = -3"),
    ({"class_ids": np.zeros(600)}, TypeError, "class_ids must hold integers.*float64"),
    ({"class_ids": np.zeros((600, 1), int)}, ValueError, r"class_ids must have one dimension.*\(600, 1\)"),
    ({"log_expected_counts": np.zeros(5)}, ValueError, r"log_expected_counts .*class_ids, \(600,\), got \(5,\)"),
    ({"log_expected_counts": np.full(600, -np.inf)}, ValueError, "log_expected_counts must be finite, got -inf"),
    (
        {"target_log_expected_counts": np.zeros(5)},
        ValueError,
        r"target_log_expected_counts .*target, \(20,\), got \(5,\)",
    ),
    ({"target": np.full(20, -100)}, ValueError, r"target must be in \[0, 700\), got -100 at position 0"),
    ({"target": np.zeros(20)}, TypeError, "target must hold integer class codes.*float64"),
    ({"n_threads": -2}, ValueError, "n_threads must be .*-2"),
    ({"bias": np.zeros(3)}, ValueError, r"bias must have shape \(700,\).*\(3,\)"),
]


@pytest.mark.parametrize(("bad", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_input(sampled_problem, bad, error, message):
    with pytest.raises(error, match=message):
        sampled_cross_entropy(**sampled_problem() | bad)
