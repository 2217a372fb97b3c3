"""Several true classes a row in sampled_cross_entropy."""

import numpy as np
import pytest
import scipy.sparse as sp
from covering import ISAS, covering
from numpy.testing import assert_allclose, assert_array_equal

from fastsoftmax import cross_entropy, sampled_cross_entropy
from fastsoftmax.passes import true_classes
from fastsoftmax.passes.candidates import KINDS

N_CLASSES = 700
every_loss = pytest.mark.parametrize("loss", KINDS)


@pytest.fixture
def lists(sampled_problem):
    """Makes arguments with three codes a row, some twice."""

    def make(**options):
        arguments = sampled_problem(num_true=3, **options)
        arguments["target"][::4, 1] = arguments["target"][::4, 0]
        counts = np.log(np.arange(N_CLASSES) + 1.0) - 5
        return arguments | {"target_log_expected_counts": counts[arguments["target"]]}

    return make


@pytest.fixture
def masses(lists):
    """The same with masses in CSR, unsorted, with duplicates and stored zeros."""

    def make(**options):
        arguments = lists(**options)
        codes = arguments["target"]
        data = np.random.default_rng(5).random(codes.shape)
        data[1::4, 2] = 0
        indptr = 3 * np.arange(len(codes) + 1)
        target = sp.csr_array((data.reshape(-1), codes.reshape(-1), indptr), shape=(len(codes), N_CLASSES))
        canonical = target.copy()
        canonical.sum_duplicates()
        assert canonical.nnz < target.nnz
        counts = np.log(np.arange(N_CLASSES) + 1.0) - 5
        return arguments | {"target": target, "target_log_expected_counts": counts[canonical.indices]}

    return make


@covering(
    {
        "isa": ISAS,
        "sampled_problem": ["dense", "csr"],
        "loss": KINDS,
        "kind": ["lists", "masses"],
        "remove_accidental_hits": [None, True, False],
        "dtype, rtol, atol": [(np.float64, 1e-11, 1e-14), (np.float32, 5e-5, 3e-7)],
    },
    fixtures=("isa", "sampled_problem"),
)
def test_against_brute_force(isa, lists, masses, check_sampled, dtype, rtol, atol, remove_accidental_hits, kind, loss):
    arguments = {"lists": lists, "masses": masses}[kind](dtype=dtype, loss=loss)
    check_sampled(arguments, rtol, atol, remove_accidental_hits=remove_accidental_hits)


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_order_of_W(masses, check_sampled, order):
    arguments = masses()
    arguments["W"] = np.asarray(arguments["W"], order=order)
    check_sampled(arguments, 1e-11, 1e-14)


@every_loss
def test_nothing_drawn(masses, check_sampled, loss):
    check_sampled(masses(n_drawn=0, loss=loss), 1e-11, 1e-14)


@every_loss
def test_many_chunks(masses, monkeypatch, loss):
    """Rows and pairs in pieces give what they give at once, but for the order of sums over pieces."""
    arguments = masses(n_rows=200, n_drawn=100, loss=loss)
    whole = sampled_cross_entropy(**arguments, return_grad=True)
    monkeypatch.setattr(true_classes, "CHUNK_ELEMENTS", 50)
    monkeypatch.setattr("fastsoftmax.runtime.workspaces.WORKING_MEMORY", 1)
    pieces = sampled_cross_entropy(**arguments, return_grad=True)
    assert_allclose(pieces[0], whole[0], rtol=1e-14)
    for a, b in zip(pieces[1], whole[1], strict=True):
        if a is not None:
            assert_allclose(a, b, rtol=1e-11, atol=1e-15)


@every_loss
def test_one_class_in_a_list_is_one_class(sampled_problem, loss):
    arguments = sampled_problem(loss=loss)
    loss, gradients = sampled_cross_entropy(**arguments, return_grad=True)
    counts = arguments["target_log_expected_counts"]
    for n in (1, 2):  # once, and the same class twice
        arguments |= {"target": np.stack([arguments["target"].reshape(20, -1)[:, 0]] * n, axis=1)}
        if counts is not None:
            arguments["target_log_expected_counts"] = np.stack([counts] * n, axis=1)
        other, other_gradients = sampled_cross_entropy(**arguments, return_grad=True)
        assert_allclose(other, loss, rtol=1e-12)
        for a, b in zip(other_gradients, gradients, strict=True):
            if a is not None:
                assert_allclose(a, b, rtol=1e-9, atol=1e-14)


@every_loss
def test_lists_are_equal_masses(lists, loss):
    arguments = lists(loss=loss)
    codes = arguments["target"]
    indptr = 3 * np.arange(len(codes) + 1)
    target = sp.csr_array((np.full(codes.size, 7), codes.reshape(-1), indptr), shape=(len(codes), N_CLASSES))
    canonical = target.copy()
    canonical.sum_duplicates()
    counts = np.log(canonical.indices + 1.0) - 5
    expected = sampled_cross_entropy(**arguments)
    for given in (target, canonical, canonical.tocsc(), canonical.astype(np.float32)):
        arguments |= {"target": given, "target_log_expected_counts": counts}
        assert_allclose(sampled_cross_entropy(**arguments), expected, rtol=1e-14)


@pytest.mark.parametrize("loss", ["nce", "negative_sampling"])
def test_with_hits_a_logistic_loss_is_the_mean_over_its_classes(lists, loss):
    arguments = lists(loss=loss) | {"remove_accidental_hits": False}
    whole = sampled_cross_entropy(**arguments)
    single = [
        sampled_cross_entropy(
            **arguments
            | {name: arguments[name][:, j].copy() for name in ("target", "target_log_expected_counts")}
        )
        for j in range(3)
    ]  # fmt: skip
    assert_allclose(whole, np.mean(single), rtol=1e-13)


def test_every_class_drawn_once_is_the_full_softmax(isa, masses):
    arguments = masses() | {"class_ids": np.arange(N_CLASSES), "log_expected_counts": np.zeros(N_CLASSES)}
    arguments["target_log_expected_counts"] = None
    target = arguments["target"].toarray()
    z = np.asarray(arguments["X"] @ arguments["W"].T) + arguments["bias"]
    expected = cross_entropy(z, target / target.sum(axis=1, keepdims=True))
    assert_allclose(sampled_cross_entropy(**arguments), expected, rtol=1e-13)


def test_no_rows(sampled_problem):
    arguments = sampled_problem()
    arguments |= {"X": arguments["X"][:0], "target": np.zeros((0, 3), int)}
    loss, (_, rows, dW_rows, _) = sampled_cross_entropy(**arguments, return_grad=True)
    assert np.isnan(loss)
    assert_array_equal(rows, np.unique(arguments["class_ids"]))
    assert not dW_rows.any()


def csr(*rows):
    return sp.csr_array(np.array(rows, float))


BAD = [
    ({"target": [[0, 1]]}, ValueError, r"target must have shape \(3, num_true\), num_true >= 1, got \(1, 2\)"),
    ({"target": np.zeros((3, 0), int)}, ValueError, r"target must have shape .*got \(3, 0\)"),
    ({"target": np.zeros((3, 1, 1), int)}, ValueError, r"target must have shape \(3,\).*got \(3, 1, 1\)"),
    ({"target": np.zeros((3, 2))}, TypeError, "target must hold integer class codes, got an array of float64"),
    ({"target": [[0, 1], [1, 2], [0, 4]]}, ValueError, r"target must be in \[0, 4\), got 4 at position 5"),
    ({"target": sp.csr_array((3, 5))}, ValueError, r"target must have shape \(3, 4\), a mass a class, got \(3, 5\)"),
    (
        {"target": csr([1, 0, 0, 0], [0] * 4, [1] * 4)},
        ValueError,
        "target must have a mass above 0 in each row.* row 1",
    ),
    (
        {"target": csr([1, 0, 0, 0], [1] * 4, [3, -1, 0, 0])},
        ValueError,
        "target must be finite and not neg.*-1.0 in row 2",
    ),
    (
        {"target": csr([1, 0, 0, 0], [1] * 4, [np.nan, 1, 0, 0])},
        ValueError,
        "target must be finite and .* nan in row 2",
    ),
    ({"target": sp.csr_array(np.ones((3, 4), complex))}, TypeError, "target must hold real numbers"),
    ({"target_log_expected_counts": np.zeros(6)}, ValueError, r"target_log_expected_counts .*\(3, 2\), got \(6,\)"),
    ({"target_log_expected_counts": np.full((3, 2), np.nan)}, ValueError, "must be finite, got nan at position 0"),
    ({"loss": "nce"}, ValueError, "target_log_expected_counts must be given for loss='nce'"),
]


@pytest.mark.parametrize(("bad", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_input(bad, error, message):
    good = {"X": np.ones((3, 2)), "W": np.ones((4, 2)), "target": [[0, 1], [1, 2], [2, 3]], "class_ids": [0]}
    with pytest.raises(error, match=message):
        sampled_cross_entropy(**good | {"log_expected_counts": np.zeros(1)} | bad)
