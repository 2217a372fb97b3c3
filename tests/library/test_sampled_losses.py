"""What the losses of candidate sampling mean, their expectations and values, and the kernel of the logistic ones."""

import mpmath
import numpy as np
import pytest
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import linear_cross_entropy, sampled_cross_entropy
from fastsoftmax.kernels.batch import RowReader
from fastsoftmax.passes import tiles
from fastsoftmax.passes.candidates import KINDS
from fastsoftmax.samplers import Unigram


def softplus_and_sigmoid(t):
    """The kernel's two functions, in t's dtype: the loss of one negative in many rows, and its gradient."""
    hidden, V = t[:, None].copy(), np.ones((1, 1), t.dtype)
    forward = tiles.Forward(tiles.Terms(len(t), 1, hidden=hidden, V=V), weight=np.ones(1), memory=1 << 24)
    dhidden = np.empty_like(hidden)
    forward.backward(np.ones(len(t)), tiles.Destination(), dhidden=dhidden)
    return forward.rest, dhidden[:, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_and_sigmoid_to_four_units(isa, dtype):
    info = np.finfo(dtype)
    low = float(np.log(info.tiny)) + 1
    small = np.geomspace(1e-30, 1, 500)
    t = np.concatenate([np.linspace(low, -low, 4001), np.linspace(-3, 3, 1001), small, -small]).astype(dtype)
    with mpmath.workdps(40):
        e = [mpmath.exp(-float(x)) for x in t]
        softplus = np.array([float(mpmath.log1p(1 / x)) for x in e])
        sigmoid = np.array([float(1 / (1 + x)) for x in e])
    for ours, exact in zip(softplus_and_sigmoid(t), (softplus, sigmoid), strict=True):
        assert (np.abs(ours - exact) / np.spacing(exact.astype(dtype))).max() < 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_and_sigmoid_of_anything(isa, dtype):
    largest = np.finfo(dtype).max
    softplus, sigmoid = softplus_and_sigmoid(np.array([largest, 1e4, -1e4, -largest, -np.inf, np.inf, np.nan], dtype))
    assert_array_equal(softplus, [largest, 1e4, 0, 0, 0, np.inf, np.nan])
    assert_array_equal(sigmoid, [1, 1, 0, 0, 0, 1, np.nan])


@covering(
    {
        "isa": ISAS,
        "n_rows, n_candidates": [(37, 1203), (1, 50), (5, 700), (130, 333), (3, 1)],
        "dtype": [np.float32, np.float64],
        "kind": ["hidden", "csr", "both"],
    },
    strength=2,
)
def test_the_two_passes(isa, sparse_X, dtype, kind, n_rows, n_candidates):
    """Kept tiles and tiles computed again, one thread and several, give the same bits, and these are right."""
    rng = np.random.default_rng(0)
    n_classes = n_candidates + 20
    hidden, V = rng.standard_normal((n_rows, 9)).astype(dtype), rng.standard_normal((n_classes, 9)).astype(dtype)
    X, W = sparse_X(n_rows, 30, dtype), rng.standard_normal((n_classes, 30)).astype(dtype)
    bias, class_ids = rng.standard_normal(n_classes).astype(dtype), rng.permutation(n_classes)[:n_candidates]
    target, offset = rng.integers(-1, n_candidates, n_rows), rng.standard_normal(n_candidates)
    weight, scale = rng.integers(0, 4, n_candidates).astype(float), rng.random(n_rows)
    offset[weight == 0] = -np.inf
    use_hidden, use_csr = kind != "csr", kind != "hidden"

    def run(memory, n_threads):
        given = {"hidden": hidden, "V": V} if use_hidden else {}
        if use_csr:
            batch = RowReader(30).take(X.indptr, X.indices, X.data, np.arange(n_rows))
            given |= {"batch": batch, "W": W}
        terms = tiles.Terms(n_rows, n_candidates, bias=bias, class_ids=class_ids, **given)
        options = {"offset": offset, "weight": weight, "keeps_hits": True, "target_shift": 0.5}
        forward = tiles.Forward(terms, target, memory=memory, n_threads=n_threads, **options)
        shapes = {"bias": n_candidates} | ({"V": (n_candidates, 9)} if use_hidden else {})
        shapes |= {"W": (n_candidates, 30)} if use_csr else {}
        out = {name: np.zeros(shape, dtype) for name, shape in shapes.items()}
        dhidden = np.empty_like(hidden) if use_hidden else None
        assert (len(forward.kept) > 0) == (memory > 0)
        nll = forward.nll.copy()
        forward.backward(scale, tiles.Destination(**out, by_position=True), dhidden=dhidden)
        return {"nll": nll} | out | ({"hidden": dhidden} if use_hidden else {})

    ours = run(1 << 28, 1)
    for memory, n_threads in ((0, 1), (1 << 28, 3), (0, 2)):
        for name, a in run(memory, n_threads).items():
            if name == "hidden" and memory == 0:  # less memory, fewer partial sums
                rounding = 1e-4 if dtype == np.float32 else 1e-12
                assert_allclose(a, ours[name], rtol=rounding, atol=rounding)
            else:
                assert_array_equal(a, ours[name], err_msg=name)

    z = bias[class_ids].astype(np.float64) + np.zeros((n_rows, 1))
    z += use_hidden * (hidden.astype(np.float64) @ V[class_ids].T)
    z += use_csr * (X.astype(np.float64) @ W[class_ids].T)
    one_hot = np.arange(n_candidates) == target[:, None]
    nll = (weight * np.logaddexp(0, z + offset)).sum(axis=1)
    nll += np.where(target < 0, np.inf, np.logaddexp(0, -0.5 - (z * one_hot).sum(axis=1)))
    dz = (weight / (1 + np.exp(-z - offset)) - one_hot / (1 + np.exp(z + 0.5))) * scale[:, None]
    tolerance = 1e-11 if dtype == np.float64 else 2e-5
    assert_allclose(ours["nll"], nll, rtol=tolerance)
    expected = {"bias": dz.sum(axis=0), "V": dz.T @ hidden, "W": dz.T @ X.toarray(), "hidden": dz @ V[class_ids]}
    for name in ours.keys() - {"nll"}:
        assert_allclose(ours[name], expected[name], rtol=tolerance, atol=10 * tolerance, err_msg=name)


def one_column(z, n_rows=1):
    """Rows with these logits each: the arguments X and W."""
    return {"X": np.ones((n_rows, 1)), "W": np.asarray(z, np.float64)[:, None], "n_threads": 1}


def test_every_class_drawn_once_is_one_vs_rest(isa, sampled_problem):
    arguments = sampled_problem(loss="sampled_logistic")
    arguments |= {"class_ids": np.arange(700)[::-1], "log_expected_counts": np.zeros(700)}
    arguments |= {"target_log_expected_counts": np.zeros(20)}
    z = np.asarray(arguments["X"] @ arguments["W"].T) + arguments["bias"]
    signs = np.where(np.arange(700) == arguments["target"][:, None], -1, 1)
    assert_allclose(sampled_cross_entropy(**arguments), np.logaddexp(0, signs * z).sum() / 20, rtol=1e-13)


P = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])  # P(k | x)
COUNTS = np.array([3, 1, 4, 1, 5, 9])
N_DRAWN = 4
LOG_ODDS = np.log(P / (1 - P))


def log_expected(sampler):
    return sampler.log_expected_counts(np.arange(len(P)), N_DRAWN)


@pytest.mark.parametrize(
    ("loss", "remove_accidental_hits", "truth", "is_zero"),
    [
        ("nce", None, lambda log_E: np.log(P), True),
        ("nce", True, lambda log_E: np.log(P), False),
        ("sampled_logistic", None, lambda log_E: LOG_ODDS, True),
        ("sampled_logistic", None, lambda log_E: np.log(P), False),
        ("negative_sampling", None, lambda log_E: LOG_ODDS - log_E, True),
        ("negative_sampling", False, lambda log_E: np.log(P) - log_E, True),
        ("negative_sampling", False, lambda log_E: np.log(P), False),
    ],
)
def test_where_the_expected_gradient_is_zero(loss, remove_accidental_hits, truth, is_zero):
    """The mean of 1000 gradients is less than 4.5 of its standard errors from 0 in each class, or else far more."""
    sampler, rng, gradients = Unigram(COUNTS, power=1), np.random.default_rng(0), []
    log_E = log_expected(sampler)
    for _ in range(1000):
        target = rng.choice(len(P), size=100, p=P)
        class_ids, counts = sampler.draw(N_DRAWN, rng)
        _, (_, rows, dW, _) = sampled_cross_entropy(
            **one_column(truth(log_E), 100), target=target, class_ids=class_ids, log_expected_counts=counts, loss=loss,
            target_log_expected_counts=log_E[target], remove_accidental_hits=remove_accidental_hits, return_grad=True,
        )  # fmt: skip
        gradients.append(np.zeros(len(P)))
        gradients[-1][rows] = dW[:, 0]
    error = np.std(gradients, axis=0) / np.sqrt(len(gradients))
    deviation = np.abs(np.mean(gradients, axis=0) / error).max()
    assert deviation < 4.5 if is_zero else deviation > 10


def test_expected_sum_over_negatives_is_that_over_all_classes():
    """For the logistic losses too, E[sum_k in S f(k) / E_k] = sum_k f(k): here f from negative sampling's own terms."""
    sampler, rng, z = Unigram(COUNTS, power=1), np.random.default_rng(0), np.linspace(-2, 1, len(P))
    losses = []
    for _ in range(1000):
        class_ids, _ = sampler.draw(N_DRAWN, rng)
        losses.append(
            sampled_cross_entropy(
                **one_column(z), target=[0], class_ids=class_ids, loss="negative_sampling", remove_accidental_hits=False
            )
        )
    expected = np.logaddexp(0, -z[0]) + (np.exp(log_expected(sampler)) * np.logaddexp(0, z)).sum()
    assert abs(np.mean(losses) - expected) < 4 * np.std(losses) / np.sqrt(len(losses))


def test_bias_of_sampled_softmax_falls_as_one_over_n():
    """With r = Z^ / Z, the bias is E[log r] = E[log r - (r - 1)], which 1500 draws tell to about 4 %.

    From 32 to 128 draws it should fall fourfold; 15 % are about three standard errors of the ratio.
    """
    rng = np.random.default_rng(0)
    z, target = rng.standard_normal(200), np.array([3])
    full = linear_cross_entropy(**one_column(z), target=target)
    sampler = Unigram(rng.integers(1, 20, 200))

    def bias(n_drawn):
        log_r = []
        for _ in range(1500):
            class_ids, counts = sampler.draw(n_drawn, rng)
            loss = sampled_cross_entropy(
                **one_column(z), target=target, class_ids=class_ids, log_expected_counts=counts
            )
            log_r.append(loss - full)
        return np.mean(np.array(log_r) - np.expm1(log_r))

    assert bias(128) < 0
    assert_allclose(bias(32) / bias(128), 4, rtol=0.15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("num_true", [None, 2])
@pytest.mark.parametrize("loss", KINDS)
def test_extreme_logits(isa, loss, num_true, dtype):
    largest = np.finfo(dtype).max
    bias = np.array([largest, -largest, 1e4, -1e4, 0, largest, -largest], dtype)
    n = len(bias)
    target = np.arange(n) if num_true is None else np.stack([np.arange(n), np.arange(n)[::-1]], axis=1)
    value, (dX, _, dW, dbias) = sampled_cross_entropy(
        np.ones((n, 2)), np.zeros((n, 2), dtype), target, bias, class_ids=np.repeat(np.arange(n), 2),
        log_expected_counts=np.linspace(-9, 9, 2 * n).repeat(2)[::2], loss=loss, return_grad=True,
        target_log_expected_counts=np.zeros(target.shape),
    )  # fmt: skip
    assert 0 < value < np.inf or dtype == np.float64  # the sum over rows is beyond float64's range there
    assert all(np.isfinite(g).all() for g in (dX, dW, dbias))


class TestTensorFlow:
    """The examples of tensorflow/python/ops/nn_test.py (ComputeSampledLogitsTest).

    Weights, biases and activations are standard normal from numpy's seed 0, expected counts all 0.5, and the drawn classes 1,
    0, 2, 3. It holds no numbers, but the formulas of what it expects; these are their values. It asks for 1e-4.
    """

    def losses(self, random, target, loss, **options):
        W, bias = random.randn(5, 10), random.randn(5)
        X = random.randn(3, 10)
        counts, log_half = np.full(np.shape(target), np.log(0.5)), np.full(4, np.log(0.5))
        return [
            sampled_cross_entropy(
                X[i : i + 1], W, target[i : i + 1], bias, loss=loss, target_log_expected_counts=counts[i : i + 1],
                class_ids=np.array([1, 0, 2, 3]), log_expected_counts=log_half, **options,
            )
            for i in range(3)
        ]  # fmt: skip

    def test_nce(self):
        """testNCELoss"""
        ours = self.losses(np.random.RandomState(0), np.array([0, 1, 2]), "nce")
        assert_allclose(ours, [2.82580559, 4.56637284, 5.56651825], rtol=1e-6)

    def test_sampled_softmax(self):
        """testSampledSoftmaxLoss"""
        target = np.array([0, 1, 2])
        ours = self.losses(np.random.RandomState(0), target, "sampled_softmax", remove_accidental_hits=False)
        assert_allclose(ours, [1.64887872, 3.88967252, 0.90877687], rtol=1e-6)

    def test_two_true_classes(self):
        """testSubtractLogQ with num_true = 2, its logits in sampled_softmax_loss's formula."""
        random = np.random.RandomState(0)
        random.randint(0, 5, 3), random.randn(5, 10), random.randn(5), random.randn(3, 10)  # num_true = 1
        target = random.randint(0, 5, 6).reshape(3, 2)
        assert_array_equal(target, [[0, 3], [0, 2], [2, 0]])
        ours = self.losses(random, target, "sampled_softmax", remove_accidental_hits=False)
        assert_allclose(ours, [1.50438519, 4.42759585, 6.41624392], rtol=1e-6)
