"""What ranks may not pass: the same error is raised on all of them, and none waits for ever."""

import contextlib
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from problems import K, classifier, part, rows
from thread_ranks import ThreadRanks, run

from fastsoftmax.distributed.mpi import ranks_of
from fastsoftmax.losses import SampledSoftmax
from fastsoftmax.metrics import evaluate
from fastsoftmax.model.runner import Runner
from fastsoftmax.runtime.ranks import ONE

X, Y = rows()


def messages(size, function):
    """The message of the ValueError or TypeError that `function` raises on each rank."""

    def on(ranks):
        with pytest.raises((ValueError, TypeError)) as error:
            function(ranks)
        return str(error.value)

    return run(size, on)


def fit(ranks, X=X, y=Y, **params):
    return classifier(ranks, **{"hidden_size": 4} | params).fit(X[part(ranks)], y[part(ranks)])


def test_one_rank_with_bad_rows():
    broken = X.copy()
    broken.data[-1] = np.nan
    first, last = messages(2, lambda ranks: fit(ranks, broken))
    assert first.startswith("rank 1: X must be finite") and last.startswith("X must be finite")


class NotSent(KeyError):
    """An error that cannot be pickled, and that no message makes."""

    def __init__(self, a, b):
        super().__init__(a)
        self.b = lambda: b


@pytest.mark.parametrize(
    ("fail", "kind"),
    [
        (lambda: np.empty(1 << 58), MemoryError),  # NumPy's own kind of it
        (lambda: b"\xff".decode(), UnicodeError),
        (lambda: open("/there/is/none"), FileNotFoundError),  # noqa: SIM115
        (lambda: (_ for _ in ()).throw(NotSent("it", 1)), KeyError),
        (lambda: (_ for _ in ()).throw(ExceptionGroup("some", [ValueError("one")])), Exception),
    ],
)
def test_errors_that_no_message_makes(fail, kind):
    """Each is raised on all ranks, by its own rank as it is; ThreadRanks pickle what they exchange, as MPI does."""

    def on(ranks):
        try:
            with ranks.together():
                if ranks.rank == 1:
                    fail()
        except Exception as error:
            return error

    other, own = run(2, on)
    assert type(other) is kind and isinstance(own, kind)
    assert str(other.args[0]) == f"rank 1: {own}"


def test_no_rows_on_any_rank():
    for message in messages(2, lambda ranks: classifier(ranks).fit(X[:0], Y[:0])):
        assert "y must have a label" in message or "no rows" in message or "0 sample" in message


@pytest.mark.parametrize(
    ("params", "what"),
    [
        (lambda rank: {"hidden_size": 4 + rank}, "hidden_size"),
        (lambda rank: {"loss": ("softmax", "nce")[rank]}, "loss"),
        (lambda rank: {"batch_size": 64 + rank}, "batch_size"),
        (lambda rank: {"early_stopping": bool(rank)}, "early_stopping"),
    ],
)
def test_ranks_with_other_parameters(params, what):
    for message in messages(2, lambda ranks: fit(ranks, **params(ranks.rank))):
        assert message.startswith(what) and "rank 0 and" in message


def test_ranks_with_other_columns_or_labels():
    for message in messages(2, lambda ranks: fit(ranks, X[:, : 50 + ranks.rank])):
        assert message.startswith("the number of columns of X is 50 on rank 0 and 51 on rank 1")
    for message in messages(2, lambda ranks: fit(ranks, X if ranks.rank else X.toarray())):
        assert message.startswith("sparse X is False on rank 0 and True on rank 1")
    for message in messages(2, lambda ranks: fit(ranks, y=Y.astype(str) if ranks.rank else Y)):
        assert "labels of one kind on all ranks" in message


def test_more_ranks_than_classes():
    for message in messages(3, lambda ranks: fit(ranks, y=Y % 2)):
        assert message == "comm has 3 ranks, and y only 2 classes: each rank has to have one at least"


def test_what_needs_all_classes():
    several = [[int(k), (int(k) + 1) % K] for k in Y]

    def lists(ranks):
        own = part(ranks)
        classifier(ranks, hidden_size=4).fit(X[own], several[own.start : own.stop])

    for message in messages(2, lists):
        assert "several labels" in message
    for message in messages(2, lambda ranks: fit(ranks, objective="precision", hidden_size=None)):
        assert message.startswith("objective must be 'auto' or 'recall' with comm")
    for message in messages(2, lambda ranks: fit(ranks, loss=SampledSoftmax(sampler="multi_index"))):
        assert "multi_index" in message
    for method in ("compressed", "predictor"):
        for message in messages(2, lambda ranks, method=method: getattr(fit(ranks, max_iter=1), method)()):
            assert message.startswith(f"{method} needs the weights of all classes")
    for message in messages(2, lambda ranks: pickle.dumps(fit(ranks, max_iter=1)._model)):
        assert "cannot be pickled" in message


def test_other_queries_on_other_ranks():
    def ask(ranks):
        model = fit(ranks, max_iter=1)
        model.predict_topk(X[:3], 2 + ranks.rank)

    for message in messages(2, ask):
        assert message.startswith("k is 2 on rank 0 and 3 on rank 1")


def test_no_communicator():
    assert ranks_of(None) is ONE
    with pytest.raises(
        (TypeError, ImportError), match=r"comm must be None or a communicator of mpi4py|comm needs the package"
    ):
        classifier("world").fit(X, Y)


def test_training_goes_on_with_the_ranks_of_the_model_alone():
    def other(ranks):
        model = fit(ranks, max_iter=1)
        for method, comm in (("partial_fit", None), ("calibrate", None)):
            with pytest.raises(ValueError, match="the model so far is of 2 processes, and comm has 1"):
                getattr(model.set_params(comm=comm), method)(X, Y)
        whole = classifier(hidden_size=4, max_iter=1).fit(X, Y).set_params(comm=ranks, warm_start=True)
        for method in (whole.fit, whole.partial_fit):
            with pytest.raises(ValueError, match="the model so far is of 1 processes, and comm has 2"):
                method(X[part(ranks)], Y[part(ranks)])
        return model.set_params(comm=ranks).partial_fit(X[part(ranks)], Y[part(ranks)])

    run(2, other)


def test_streams_that_begin_with_other_classes():
    def begin(ranks):
        classifier(ranks, hidden_size=4).partial_fit(X[part(ranks)], Y[part(ranks)], n_classes=K + ranks.rank)

    for message in messages(2, begin):
        assert message == f"n_classes is {K} on rank 0 and {K + 1} on rank 1: it must be the same on all"


def test_functions_that_ask_block_by_block():
    for message in messages(2, lambda ranks: evaluate(fit(ranks, max_iter=1), X[part(ranks)], Y[part(ranks)])):
        assert message.startswith("metrics.evaluate needs the weights of all classes")


class Noisy:
    """A sampler of a user's, whose repr holds its address."""

    n_classes = K

    def draw(self, n, rng):
        return rng.integers(0, K, n), np.full(n, np.log(n / K))


def test_parameters_that_are_told_by_what_they_are():
    schedule = {"schedule": lambda progress: 1 - progress}
    pairs = classifier(direct="sparse", hidden_size=None).fit(X, Y).coef_

    def train(ranks):
        fit(ranks, loss=SampledSoftmax(sampler=Noisy(), n_negatives=5), max_iter=1, **schedule)
        model = classifier(ranks, direct="sparse", hidden_size=None)
        return model.fit(X[part(ranks)], Y[part(ranks)], coef_init=sp.coo_array(pairs)).loss_curve_

    assert len({tuple(curve) for curve in run(2, train)}) == 1

    def other(ranks):
        fit(ranks, schedule=(lambda progress: 1.0) if ranks.rank else (lambda progress: 0.5))

    for message in messages(2, other):
        assert message.startswith("schedule is ")


def test_a_generator_goes_on_from_fit_to_fit():
    rng = np.random.default_rng(3)
    alone = [classifier(hidden_size=4, random_state=rng).fit(X, Y).loss_curve_ for _ in range(2)]

    def twice(ranks):
        own = np.random.default_rng(3)
        return [fit(ranks, random_state=own).loss_curve_ for _ in range(2)]

    np.testing.assert_allclose(run(2, twice)[0], alone, rtol=1e-5)


def test_a_rank_that_fails_alone_tells_the_others(monkeypatch):
    told = []
    models = run(2, lambda ranks: fit(ranks, max_iter=1))
    monkeypatch.setattr(ThreadRanks, "all_or_none", lambda ranks: _telling(told))
    monkeypatch.setattr(Runner, "logits", _fail)
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        told.clear()
        with pytest.raises(MemoryError):
            run(2, lambda ranks, method=method: getattr(models[ranks.rank], method)(X[part(ranks)]))
        assert told


@contextlib.contextmanager
def _telling(told):
    try:
        yield
    except MemoryError as error:
        told.append(error)
        raise


def _fail(*_):
    raise MemoryError("there is no more")
