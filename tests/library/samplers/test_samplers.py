import itertools

import numpy as np
import pytest
from mpmath import mp
from scipy import stats

from fastsoftmax import samplers
from fastsoftmax.samplers import Custom, InBatch, LearnedUnigram, LogUniform, Mixed, Uniform, Unigram
from fastsoftmax.samplers import base as sampler_base

COUNTS = np.array([50, 3, 0, 17, 1, 0, 120, 8, 8, 33])
LEARNED = LearnedUnigram(10)
LEARNED.observe(np.arange(10).repeat(COUNTS))
SAMPLERS = [
    Uniform(10),
    LogUniform(10),
    Unigram(COUNTS),
    Unigram(COUNTS, power=0),
    Unigram(COUNTS, power=1),
    LEARNED,
    Custom(COUNTS),
    InBatch(COUNTS),
    Mixed([Unigram(COUNTS), Custom([0, 0, 0, 0, 1, 0, 0, 2, 0, 0])], shares=[2, 1]),
    Mixed([Mixed([LogUniform(10), InBatch(COUNTS)]), Uniform(10)], shares=[2, 1]),
]
SMALL = [
    Uniform(4),
    LogUniform(4),
    Unigram([9, 0, 1, 4, 2], power=1),
    Mixed([Unigram([9, 0, 1, 4, 2], power=1), Custom([0, 0, 1, 0, 1])]),
]
by_repr = pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)


def chi_square_p_value(class_ids, probabilities):
    observed = np.bincount(class_ids, minlength=len(probabilities))
    assert not observed[probabilities == 0].any()
    seen = probabilities > 0
    return stats.chisquare(observed[seen], len(class_ids) * probabilities[seen]).pvalue


def chi_square_of(observed, probabilities):
    """The same for dicts: how often each key was observed, and its probability."""
    expected = np.array([probabilities[key] for key in observed]) * sum(observed.values())
    return stats.chisquare(list(observed.values()), expected).pvalue


def successive_order_probabilities(q, n):
    """Probability of every sequence of `n` different classes drawn one after the other without replacement."""
    probabilities = {}
    for order in itertools.permutations(np.flatnonzero(q).tolist(), n):
        already = np.concatenate([[0], np.cumsum(q[list(order)])[:-1]])
        probabilities[order] = np.prod(q[list(order)] / (1 - already))
    return probabilities


def expected_tries(q, n):
    """Expected draws until `n` classes were seen, the sum over t of P(fewer than n seen after t), by a Markov chain."""
    states, total = {frozenset(): 1.0}, 0.0
    for _ in range(5000):
        total += sum(p for seen, p in states.items() if len(seen) < n)
        after = {}
        for seen, p in states.items():
            for k in np.flatnonzero(q):
                if len(seen) < n:
                    after[seen | {k}] = after.get(seen | {k}, 0.0) + p * q[k]
        states = after
    return total


# Probabilities


@by_repr
def test_draws_follow_the_probabilities(sampler):
    class_ids, _ = sampler.draw(200_000, np.random.default_rng(0))
    assert class_ids.dtype == np.int64
    assert chi_square_p_value(class_ids, sampler.probabilities()) > 1e-3


def test_chi_square_sees_a_slightly_wrong_power():
    class_ids, _ = Unigram(COUNTS, power=0.75).draw(200_000, np.random.default_rng(0))
    assert chi_square_p_value(class_ids, Unigram(COUNTS, power=0.77).probabilities()) < 1e-6


@by_repr
def test_probabilities_sum_to_one(sampler):
    np.testing.assert_allclose(sampler.probabilities().sum(), 1, rtol=1e-14)


def test_log_uniform_is_tensorflows():
    k = np.arange(1000.0)
    np.testing.assert_allclose(
        LogUniform(1000).probabilities(), (np.log(k + 2) - np.log(k + 1)) / np.log(1001), rtol=1e-11
    )


def test_log_uniform_probability_of_a_far_class():
    k = 99_999_999
    with mp.workdps(40):
        expected = mp.log(mp.log(mp.mpf(k + 2) / (k + 1)) / mp.log(10**8 + 1))
        got = LogUniform(10**8).log_expected_counts([k], 1)[0]
        assert abs(got - expected) < 1e-14 * abs(expected)


@pytest.mark.parametrize(
    ("counts", "k", "first", "second"), [([1, 2], 1, "2", "1"), ([9, 9, 4, 4.5, 7], 3, "4.5", "4")]
)
def test_log_uniform_warns_where_counts_rise(counts, k, first, second):
    message = (
        rf"class {k} was seen more often \({first}\) than class {k - 1} \({second}\): number the classes by falling"
    )
    with pytest.warns(UserWarning, match=message) as warned:
        sampler = LogUniform(len(counts), counts)
    assert warned[0].filename == __file__
    np.testing.assert_array_equal(sampler.probabilities(), LogUniform(len(counts)).probabilities())


def test_log_uniform_does_not_warn_of_falling_counts():
    LogUniform(5, [7, 7, 2, 0, 0])
    LogUniform(1, [3])


# Expected counts


@by_repr
def test_expected_counts_with_replacement_match_simulation(sampler):
    rng, n, repeats = np.random.default_rng(1), 6, 20_000
    counts = np.bincount(sampler.draw(n * repeats, rng)[0], minlength=10) / repeats
    with np.errstate(divide="ignore"):
        expected = np.exp(sampler.log_expected_counts(np.arange(10), n))
    np.testing.assert_allclose(counts, expected, atol=5 * np.sqrt(6 / 4 / repeats))
    class_ids, log_expected = sampler.draw(n, rng)
    assert (log_expected == sampler.log_expected_counts(class_ids, n)).all()


@by_repr
def test_expected_counts_of_unique_draws_match_simulation(sampler):
    n_tries, repeats = 7, 20_000
    tries = sampler._draw(n_tries * repeats, np.random.default_rng(2)).reshape(repeats, n_tries)
    included = [(tries == k).any(axis=1).mean() for k in range(10)]
    expected = np.exp(sampler.log_expected_counts(np.arange(10), n_tries, unique=True))
    np.testing.assert_allclose(included, expected, atol=5 * np.sqrt(1 / 4 / repeats))


@by_repr
@pytest.mark.parametrize("n", [1, 3, 8])
def test_unique_draw_returns_the_expected_counts_of_its_tries(sampler, n):
    class_ids, log_expected, n_tries = sampler.draw_unique(n, np.random.default_rng(n))
    assert n_tries >= n
    np.testing.assert_array_equal(log_expected, sampler.log_expected_counts(class_ids, n_tries, unique=True))
    again = sampler.draw(n, np.random.default_rng(n), unique=True)
    np.testing.assert_array_equal(again, (class_ids, log_expected))


@pytest.mark.parametrize("n_tries", [1, 5, 1000, 10**9, 10**15])
@pytest.mark.parametrize("tiny", [1e-3, 1e-12, 1e-100, 1e-280])
def test_log_inclusion_keeps_its_digits(n_tries, tiny):
    sampler = Unigram([1.0, tiny], power=1)
    with mp.workdps(400):
        for class_id in (0, 1):
            q = mp.mpf(float(sampler.probabilities()[class_id]))
            expected = mp.log(1 - (1 - q) ** n_tries)
            condition = max(1, -n_tries * mp.log(1 - q)) if q < 1 else 1  # of log(1 - exp(-x)) in x
            got = sampler.log_expected_counts([class_id], n_tries, unique=True)[0]
            assert abs(got - expected) <= 1e-14 * condition * abs(expected)


def test_classes_never_drawn_have_minus_infinity():
    for unique in (False, True):
        log_expected = Unigram(COUNTS).log_expected_counts(np.arange(10), 5, unique=unique)
        assert (np.isneginf(log_expected) == (COUNTS == 0)).all()


@pytest.mark.parametrize("p", [0.3, 1e-3, 1e-9])
def test_expected_counts_of_unique_draws_are_tensorflows(p):
    """-expm1(num_tries * log1p(-p)): ExpectedCountHelper of tensorflow/core/kernels/range_sampler.cc.

    (For num_tries == num_sampled it returns p * num_sampled instead, whether draws are unique or not; we do not.)
    """
    log_expected = Custom([p, 1 - p]).log_expected_counts([0, 1], 17, unique=True)
    np.testing.assert_allclose(np.exp(log_expected), -np.expm1(17 * np.log1p([-p, p - 1])), rtol=1e-13)


def test_documented_example_of_expected_counts():
    """MindSpore 2.1's documentation of ops.LogUniformCandidateSampler, TensorFlow's operation under the same name.

    Five unique classes of range_max=5 drawn: classes 3, 2, 0, 4, 1, expected counts 0.73553443, 0.82625800, 0.99248987,
    0.65806371, 0.92312991. They are those of 10 tries, a number that it does not show.
    """
    log_expected = LogUniform(5).log_expected_counts([3, 2, 0, 4, 1], 10, unique=True)
    documented = [0.73553443, 0.82625800, 0.99248987, 0.65806371, 0.92312991]
    np.testing.assert_allclose(np.exp(log_expected), documented, atol=5e-8)


# Draws for a batch


@pytest.mark.parametrize("sampler", [s for s in SAMPLERS if not s.n_batches], ids=repr)
@pytest.mark.parametrize("unique", [False, True])
def test_draw_for_is_draw_with_the_expected_counts_of_targets(sampler, unique):
    target = np.array([6, 2, 0, 6])
    class_ids, log_expected, log_expected_targets = sampler.draw_for(
        5, np.random.default_rng(8), target, np.ones((4, 3)), unique=unique
    )
    if unique:
        expected_ids, expected, n_tries = sampler.draw_unique(5, np.random.default_rng(8))
    else:
        expected_ids, expected = sampler.draw(5, np.random.default_rng(8))
        n_tries = 5
    np.testing.assert_array_equal(class_ids, expected_ids)
    np.testing.assert_array_equal(log_expected, expected)
    of_targets = sampler.log_expected_counts(target, n_tries, unique=unique)
    np.testing.assert_array_equal(log_expected_targets, of_targets)
    assert np.isneginf(log_expected_targets[1]) == (sampler.probabilities()[2] == 0)


@by_repr
def test_hooks_do_nothing_by_default(sampler):
    if sampler is LEARNED:
        return
    before = sampler.draw(20, np.random.default_rng(9))
    sampler.observe(np.array([1, 1, 1]))
    sampler.follow(np.ones((10, 2)), np.ones(10))
    np.testing.assert_array_equal(sampler.draw(20, np.random.default_rng(9)), before)
    assert not sampler.follows_model


# Unique draws


@pytest.mark.parametrize("sampler", SMALL, ids=repr)
@pytest.mark.parametrize("n", [2, 4])
def test_unique_draws_are_successive_sampling(sampler, n):
    rng, repeats = np.random.default_rng(3), 4000
    expected = successive_order_probabilities(sampler.probabilities(), n)
    observed, n_tries = dict.fromkeys(expected, 0), []
    for _ in range(repeats):
        class_ids, _, tries = sampler.draw_unique(n, rng)
        observed[tuple(class_ids.tolist())] += 1
        n_tries.append(tries)
    assert chi_square_of(observed, expected) > 1e-3
    error = np.std(n_tries) / np.sqrt(repeats)
    assert abs(np.mean(n_tries) - expected_tries(sampler.probabilities(), n)) < 4 * error


def test_rest_of_a_draw_follows_successive_sampling():
    q, rng, repeats = np.array([0.5, 0.3, 0.1, 0.06, 0.04]), np.random.default_rng(4), 20_000
    rests = [sampler_base._draw_rest(q, np.array([0, 2]), 2, rng) for _ in range(repeats)]
    expected = successive_order_probabilities(np.array([0, 0.3, 0, 0.06, 0.04]) / 0.4, 2)
    observed = dict.fromkeys(expected, 0)
    for class_ids, _ in rests:
        observed[tuple(class_ids.tolist())] += 1
    assert chi_square_of(observed, expected) > 1e-3
    expected_wait = 1 / 0.4 + sum(p / (0.4 - q[first]) for (first, _), p in expected.items())
    waits = [n_tries for _, n_tries in rests]
    assert abs(np.mean(waits) - expected_wait) < 4 * np.std(waits) / np.sqrt(repeats)


@pytest.mark.parametrize("sampler", [Uniform(5000), LogUniform(5000), Unigram(np.arange(5001.0) ** 3)], ids=repr)
@pytest.mark.parametrize("n", [1, 100, 4999, 5000])
def test_unique_up_to_every_class(sampler, n):
    class_ids, log_expected, n_tries = sampler.draw_unique(n, np.random.default_rng(n))
    assert len(np.unique(class_ids)) == n == len(class_ids)
    assert (sampler.probabilities()[class_ids] > 0).all()
    assert n_tries >= n
    assert np.isfinite(log_expected).all()


def test_unique_with_a_nearly_impossible_class_ends():
    class_ids, _, n_tries = Unigram([1.0, 1e-280, 1e-100], power=1).draw_unique(3, np.random.default_rng(0))
    assert class_ids.tolist() == [0, 2, 1]
    assert n_tries > 10**270


def test_first_places():
    tries = np.random.default_rng(0).integers(50, size=300)
    expected = np.sort(np.unique(tries, return_index=True)[1])
    np.testing.assert_array_equal(sampler_base._first_places(tries), expected)
    np.testing.assert_array_equal(sampler_base._first_places(np.array([2**40, 7, 2**40, 0])), [0, 1, 3])


# Determinism and edges


@by_repr
@pytest.mark.parametrize("unique", [False, True])
def test_same_generator_state_same_draws(sampler, unique):
    first, second = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(3):
        np.testing.assert_array_equal(sampler.draw(8, first, unique=unique), sampler.draw(8, second, unique=unique))
    assert first.bit_generator.state == second.bit_generator.state


@pytest.mark.parametrize("sampler", [Uniform(1), LogUniform(1), Unigram([3]), Unigram([0, 4])], ids=repr)
def test_one_class(sampler):
    class_ids, log_expected = sampler.draw(3, 0)
    assert class_ids.tolist() == [sampler.n_classes - 1] * 3
    np.testing.assert_allclose(log_expected, np.log(3), rtol=1e-15)
    class_ids, log_expected, n_tries = sampler.draw_unique(1, 0)
    assert (class_ids.tolist(), log_expected.tolist(), n_tries) == ([sampler.n_classes - 1], [0], 1)


@pytest.mark.parametrize("sampler", [Uniform(2), LogUniform(2), Unigram([1, 7])], ids=repr)
def test_two_classes(sampler):
    class_ids, _ = sampler.draw(50_000, np.random.default_rng(6))
    assert chi_square_p_value(class_ids, sampler.probabilities()) > 1e-3
    assert sorted(sampler.draw(2, 0, unique=True)[0].tolist()) == [0, 1]


def test_log_uniform_never_leaves_the_range():
    class LastUniform:
        def random(self, n):
            return np.full(n, 1 - 2.0**-53)

    for n_classes in (1, 2, 10, 12_345, 10**8):
        assert LogUniform(n_classes)._draw(3, LastUniform()).tolist() == [n_classes - 1] * 3


def test_make():
    falling = np.sort(COUNTS)[::-1]
    made = {
        name: samplers.make(name, COUNTS)
        for name in ("uniform", "unigram", "learned_unigram", "in_batch", "multi_index")
    }
    made["log_uniform"] = samplers.make("log_uniform", falling)
    assert {name: repr(sampler) for name, sampler in made.items()} == {
        "uniform": "Uniform(10)",
        "log_uniform": "LogUniform(10)",
        "unigram": "Unigram(<10 counts>, power=0.75)",
        "learned_unigram": "LearnedUnigram(10, power=0.75)",
        "in_batch": "InBatch(<10 counts>, least=64)",
        "multi_index": "MultiIndex(10, n_codes=32, refresh_every=500)",
    }
    np.testing.assert_array_equal(made["unigram"].probabilities(), Unigram(COUNTS).probabilities())
    np.testing.assert_array_equal(made["in_batch"].probabilities(), InBatch(COUNTS).probabilities())
    with pytest.warns(UserWarning, match="counts must fall"):
        samplers.make("log_uniform", COUNTS)
    ready = LearnedUnigram(10)
    copied = samplers.make(ready, COUNTS)
    copied.observe(np.zeros(20, int))
    assert copied.probabilities()[0] > ready.probabilities()[0] == 0.1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Uniform(0), ValueError, "n_classes must be at least 1, got 0"),
        (lambda: LogUniform(2.5), TypeError, "n_classes must be an integer, got 2.5"),
        (lambda: LogUniform(3, [2, 1]), ValueError, r"counts must have n_classes \(3\) entries, got 2"),
        (lambda: LogUniform(2, [2, -1]), ValueError, r"counts must be finite and non-negative, got counts\[1\] = -1"),
        (lambda: Uniform(5).draw(0, 0), ValueError, "n must be at least 1, got 0"),
        (lambda: Uniform(5).draw(2, "seed"), TypeError, "rng must be None, an int seed"),
        (lambda: Uniform(5).draw(6, 0, unique=True), ValueError, "n must be at most 5, the classes of nonzero"),
        (lambda: Unigram([1, 0, 1]).draw(3, 0, unique=True), ValueError, "n must be at most 2, the classes of nonzero"),
        (lambda: Uniform(5).log_expected_counts([0, 5], 2), ValueError, r"class_ids must be in \[0, 5\).*\[1\] = 5"),
        (lambda: Uniform(5).log_expected_counts([-1], 2), ValueError, r"class_ids must be in \[0, 5\).*\[0\] = -1"),
        (lambda: Uniform(5).log_expected_counts([0.5], 2), TypeError, "class_ids must hold integers"),
        (lambda: Uniform(5).log_expected_counts([[0]], 2), ValueError, "class_ids must have one dimension"),
        (lambda: Uniform(5).log_expected_counts([0], 0), ValueError, "n_tries must be at least 1, got 0"),
        (
            lambda: samplers.make("zipf", COUNTS),
            ValueError,
            "sampler must be one of 'uniform', 'log_uniform', 'unigram', 'learned_unigram', 'in_batch', 'multi_index'",
        ),
        (
            lambda: samplers.make(Uniform(3), COUNTS),
            ValueError,
            r"sampler must have 10 classes, got Uniform\(3\) with 3",
        ),
        (lambda: samplers.make(3, COUNTS), TypeError, "sampler must be the name of a sampler or have draw"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
