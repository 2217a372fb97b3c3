import numpy as np
import pytest

from fastsoftmax.text.ngram_model import NGramModel

N_CLASSES = 6


def distribution(files, history, discount):
    """Probabilities of the next token by the definition, in float64, counting n-grams one by one."""
    if history is None:
        return np.full(N_CLASSES, 1 / N_CLASSES)
    lower = distribution(files, history[1:] if history else None, discount)
    n = len(history)
    counts = np.zeros(N_CLASSES)
    for file in files:
        for i in range(n, len(file)):
            if tuple(file[i - n : i]) == tuple(history):
                counts[file[i]] += 1
    if not counts.any():
        return lower
    total = counts.sum()
    return np.maximum(counts - discount, 0) / total + discount * np.sum(counts > 0) / total * lower


def random_files(seed, n_classes):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(n_classes, 0.5))
    return [rng.choice(n_classes, size=size, p=proba).tolist() for size in (40, 1, 2, 3, 25)]


def joined(files):
    starts = np.cumsum([0] + [len(file) for file in files[:-1]])
    return np.concatenate(files).astype(np.int32), starts


def histories(files, order):
    return [tuple(file[max(i - order + 1, 0) : i]) for file in files for i in range(len(file))]


# The training files never hold the last class, the test files do.
TRAIN, TEST = random_files(0, N_CLASSES - 1), random_files(1, N_CLASSES)


@pytest.fixture(params=[0.3, 0.75, 1.0])
def model(request):
    return NGramModel(order=3, discount=request.param).fit(*joined(TRAIN), N_CLASSES)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("files", [TRAIN, TEST], ids=["train", "test"])
def test_log_proba_by_definition(model, order, files):
    ids, starts = joined(files)
    expected = [
        distribution(TRAIN, history, model.discount)[token]
        for history, token in zip(histories(files, order), ids, strict=True)
    ]
    np.testing.assert_allclose(model.log_proba_of_next(ids, starts, order=order), np.log(expected), rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_distributions_sum_to_one(model, order):
    for history in {(), (0,), (5,), (1, 2), (5, 0), (0, 5), *histories(TRAIN, order)}:
        files = [[*history, token] for token in range(N_CLASSES)]
        ids, starts = joined(files)
        last = np.append(starts[1:], len(ids)) - 1
        proba = np.exp(model.log_proba_of_next(ids, starts, order=order)[last])
        assert np.all(proba > 0)
        assert proba.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("files", [TRAIN, TEST], ids=["train", "test"])
def test_hit_rates_by_definition(model, order, files):
    ids, starts = joined(files)
    ranks = []
    for history, token in zip(histories(files, order), ids, strict=True):
        proba = np.round(distribution(TRAIN, history, model.discount), 12)  # so that equal ones are equal
        ranks.append(np.lexsort((np.arange(N_CLASSES), -proba)).tolist().index(token))
    expected = {k: np.mean(np.array(ranks) < k) for k in (1, 2, 4, 20)}
    assert model.hit_rates(ids, starts, ks=(1, 2, 4, 20), order=order) == pytest.approx(expected)
    assert expected[20] == 1


def test_a_model_of_a_lower_order_is_the_same():
    ids, starts = joined(TEST)
    bigram = NGramModel(order=2).fit(*joined(TRAIN), N_CLASSES)
    trigram = NGramModel(order=3).fit(*joined(TRAIN), N_CLASSES)
    assert np.array_equal(bigram.log_proba_of_next(ids, starts), trigram.log_proba_of_next(ids, starts, order=2))
    assert bigram.hit_rates(ids, starts) == trigram.hit_rates(ids, starts, order=2)


def test_files_do_not_share_histories():
    model = NGramModel(order=2, discount=0.5).fit(np.array([0, 1, 0, 1]), [0, 2], 2)
    separate = model.log_proba_of_next(np.array([1, 1]), [0, 1])
    assert np.exp(separate).tolist() == pytest.approx([0.5, 0.5])


def test_no_tokens_to_predict():
    model = NGramModel().fit(*joined(TRAIN), N_CLASSES)
    assert model.log_proba_of_next(np.empty(0, dtype=np.int32), []).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"order": 0}, "order"), ({"discount": 0}, "discount"), ({"discount": 1.5}, "discount")],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        NGramModel(**arguments)


def test_bad_data():
    with pytest.raises(ValueError, match="at least 3 tokens, got 4"):
        NGramModel(order=3).fit(np.zeros(4, dtype=np.int32), [0, 2], 2)
    with pytest.raises(ValueError, match=r"must be below 2\*\*63"):
        NGramModel(order=3).fit(np.zeros(4, dtype=np.int32), [0], 3_000_000)
    for order in (63, 10**9, 10**18):
        with pytest.raises(ValueError, match=r"must be below 2\*\*63"):
            NGramModel(order=order).fit(np.zeros(4, dtype=np.int32), [0], 2)
    with pytest.raises(ValueError, match="a file of at least 1000000000 tokens"):
        NGramModel(order=10**9).fit(np.zeros(4, dtype=np.int32), [0], 1)
    with pytest.raises(ValueError, match="a file of at least 3 tokens, got 0 tokens in all"):
        NGramModel(order=3).fit(np.zeros(0, dtype=np.int32), [], 2)
    model = NGramModel(order=2).fit(np.zeros(4, dtype=np.int32), [0], 2)
    for call in (lambda *data: model.fit(*data, 2), model.log_proba_of_next, model.hit_rates):
        with pytest.raises(ValueError, match="ids must be below n_classes"):
            call([0, 1, 2], [0])
        with pytest.raises(ValueError, match="ids must not be negative"):
            call([0, -1], [0])
        with pytest.raises(ValueError, match="starts must begin with 0"):
            call([0, 1], [])
    with pytest.raises(ValueError, match="ids must hold a token that is counted"):
        model.hit_rates([], [])
    with pytest.raises(ValueError, match="ks must not be empty"):
        model.hit_rates([0, 1], [0], ks=())
    with pytest.raises(ValueError, match="order must be at most 2, got 3"):
        model.log_proba_of_next(np.zeros(4, dtype=np.int32), [0], order=3)
    with pytest.raises(ValueError, match="ks must be at least 1, got 0"):
        model.hit_rates(np.zeros(4, dtype=np.int32), [0], ks=(0,))
