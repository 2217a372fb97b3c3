"""What ranks may not pass: the same error is raised on all of them, and none waits for ever."""

import pickle

import numpy as np
import pytest
from problems import K, classifier, part, rows
from thread_ranks import PATIENCE, run

from fastsoftmax.distributed.mpi import ranks_of
from fastsoftmax.losses import SampledSoftmax
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


def test_patience_is_shorter_than_that_of_ci():
    assert PATIENCE <= 60
