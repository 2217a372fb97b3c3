"""Methods that run in one thread at a time."""

import os
import pickle
import sys
import threading

import pytest

from fastsoftmax.runtime import exclusive as exclusive_module
from fastsoftmax.runtime.exclusive import exclusive


class Machine:
    def __init__(self):
        self.n_changes = 0

    @exclusive
    def change(self, then=None):
        """Change it."""
        self.n_changes += 1
        if then is not None:
            then()

    @exclusive
    def save(self):
        return pickle.dumps(self)


def in_another_thread(function):
    """What `function` raises in a thread of its own, or None."""
    raised = []

    def call():
        try:
            function()
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_a_second_thread_is_refused():
    machine, errors = Machine(), []
    machine.change(lambda: errors.append(in_another_thread(machine.save)))
    assert str(errors[0]) == "save cannot run while another thread is in change of the same Machine: wait for it"
    assert in_another_thread(machine.save) is None  # afterwards


def test_another_object_and_the_same_thread_are_free():
    machine, other, errors = Machine(), Machine(), []
    machine.change(lambda: errors.append(in_another_thread(other.change)))
    machine.change(lambda: machine.change(machine.save))
    assert errors == [None] and machine.n_changes == 3 and other.n_changes == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_it_free(error):
    machine = Machine()

    def fail():
        raise error

    with pytest.raises(error):
        machine.change(fail)
    assert in_another_thread(machine.change) is None


def test_an_interruption_before_the_method_begins_leaves_it_free(monkeypatch):
    class Interrupted(dict):
        def setdefault(self, key, value):
            super().setdefault(key, value)
            raise KeyboardInterrupt

    machine, running = Machine(), Interrupted()
    monkeypatch.setattr(exclusive_module, "_running", running)
    with pytest.raises(KeyboardInterrupt):
        machine.change()
    assert not running and machine.n_changes == 0


def test_names_and_docstrings_stay():
    assert Machine.change.__name__ == "change" and Machine.change.__doc__ == "Change it."


@pytest.mark.skipif(sys.platform != "linux", reason="forks with threads are safe on Linux alone")
def test_a_forked_child_does_not_wait_for_threads_that_it_lacks():
    machine, inside, leave = Machine(), threading.Event(), threading.Event()

    def stay():
        inside.set()
        leave.wait(60)

    thread = threading.Thread(target=machine.change, args=[stay])
    thread.start()
    assert inside.wait(60)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            machine.change()
            status = 0
        finally:
            os._exit(status)
    leave.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
