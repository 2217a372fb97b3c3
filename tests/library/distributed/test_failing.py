"""How ranks tell each other of failures, with threads in the place of processes."""

import pickle
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastsoftmax.distributed import failing


class Sent:
    def wait(self):
        pass


class Ended(BaseException):
    pass


class ThreadComm:
    """What Failures asks of a communicator."""

    def __init__(self, rank, size, mail):
        self.rank, self.size, self.mail = rank, size, mail

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.size

    def isend(self, value, other, tag):
        self.mail[self.rank, other, tag].append(pickle.dumps(value))
        return Sent()

    def iprobe(self, source, tag):
        return bool(self.mail[source, self.rank, tag])

    def recv(self, source, tag):
        return pickle.loads(self.mail[source, self.rank, tag].popleft())

    def Abort(self, status):
        raise Ended(status)


def tell(*errors, n_times=1):
    """Have ranks fail of these errors, None: of none; what `tell` raised on each."""
    mail = defaultdict(deque)

    def on(rank):
        failures = failing.Failures(ThreadComm(rank, len(errors), mail))
        try:
            for _ in range(n_times):
                failures.tell(errors[rank])
        except Ended as ended:
            return ended

    ranks = [rank for rank, error in enumerate(errors) if error is not None]
    with ThreadPoolExecutor(len(errors)) as pool:
        return list(pool.map(on, ranks))


@pytest.fixture
def patient(monkeypatch):
    """However slow the machine is, no rank loses its patience."""
    monkeypatch.setattr(failing, "PATIENCE", 60.0)
    monkeypatch.setattr(failing, "QUIET", 60.0)


def notes(error):
    return getattr(error, "__notes__", [])


def test_each_error_says_what_others_failed_of(patient, capsys):
    """The launcher may end a rank before it has said so itself. What is told twice is noted once."""
    first, second, third = MemoryError("no more"), ValueError("rank 0: no more"), KeyError("x")
    assert tell(first, second, third, n_times=2) == [None] * 3
    assert notes(first) == notes(second) == ["fastsoftmax: rank 2 has failed too: KeyError: 'x'"]
    assert sorted(notes(third)) == [
        "fastsoftmax: rank 0 has failed too: MemoryError: no more",
        "fastsoftmax: rank 1 has failed too: ValueError: no more",
    ]
    assert capsys.readouterr() == ("", "")


def test_a_rank_that_fails_alone_says_so_before_it_ends_all(monkeypatch, capsys):
    monkeypatch.setattr(failing, "PATIENCE", 0.3)
    monkeypatch.setattr(failing, "QUIET", 0.05)
    monkeypatch.setattr(failing, "LINGER", 0.0)
    try:
        raise MemoryError("no more")
    except MemoryError as error:
        (ended,) = tell(None, error)
    assert ended.args == (1,)
    said = capsys.readouterr().err
    soon, later = (
        said.index(f"fastsoftmax: rank 1 of 2 failed, {what}") for what in ("and waits for", "which ends all: no more")
    )
    assert soon < said.index("Traceback") < said.index("MemoryError: no more\n") < later


def test_what_was_printed_has_time_to_be_read(monkeypatch):
    """Open MPI's launcher loses what a rank prints right before it ends all."""
    done = []
    monkeypatch.setattr(failing.time, "sleep", done.append)

    class Comm:
        def Abort(self, status):
            done.append(("end", status))

    failing.end_all(Comm(), 3)
    assert done == [failing.LINGER, ("end", 3)] and failing.LINGER > 0.1
