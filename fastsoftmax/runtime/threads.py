"""The only place that resolves `n_threads`, and that limits the threads of BLAS and of other packages that use OpenMP."""

import functools
import os
import re
import threading
from contextlib import contextmanager

from fastsoftmax.runtime.warning import warn

SPIN_COUNT = "1000"


def _load_openmp():
    """Load the OpenMP runtime so that its waiting threads sleep after about a microsecond instead of a millisecond.

    By default GNU's runtime spins as long as a scheduler's time slice. If other processes compete for the CPUs, the end of
    every parallel loop then waits for threads that are not running: training takes ten times as long as on one thread.
    The variable is read when the library is loaded, so it is removed again at once.
    """
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
        from fastsoftmax.runtime import openmp
    else:
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
        try:
            from fastsoftmax.runtime import openmp
        finally:
            del os.environ["GOMP_SPINCOUNT"]
    return openmp


openmp = _load_openmp()
DEFAULT_IS_GIVEN = "OMP_NUM_THREADS" in os.environ  # the runtime reads it as it is loaded
MAX_THREADS = 1024  # more are never tried: OpenMP runtimes end the process if they cannot start them
_forked = False
_team = threading.local()  # .size: the largest number of threads that this Python thread was seen to be able to start


def _after_fork_in_child():
    global _forked
    _forked = True
    _blas_limit.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def n_cpus():
    """Number of CPUs that this thread may use now, by its affinity and by its container's quota."""
    return _n_cpus(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None)


@functools.cache
def _n_cpus(n_by_affinity):
    """`n_cpus` as long as the affinity, which costs little to ask for, is to so many CPUs: a quota is read from files."""
    from joblib import cpu_count

    return cpu_count()


def resolve(n_threads):
    """Number of OpenMP threads for a checked `n_threads`: None is the default, -1 every CPU of this process.

    The default is OMP_NUM_THREADS where that is set, or else the number of CPUs. In a process that was forked from one that
    had imported us it is 1: the threads of GNU OpenMP do not survive a fork, and the next parallel region would wait for them
    for ever. It is never above OMP_THREAD_LIMIT. Where the system does not let us start so many threads, it is as many as it
    does, with a RuntimeWarning.
    """
    if _forked or not openmp.ENABLED:
        return 1
    if n_threads is None:
        n_threads = _default()
    elif n_threads == -1:
        n_threads = n_cpus()
    n_threads = min(n_threads, openmp.thread_limit())
    return n_threads if n_threads <= getattr(_team, "size", 1) else _able_to_start(n_threads)


def _default():
    n_threads = openmp.max_threads()
    if n_threads > MAX_THREADS:
        warn(
            f"OpenMP is told to run {n_threads:,} threads (OMP_NUM_THREADS), more than {MAX_THREADS:,}: "
            f"{n_cpus()} are used, one for each CPU of this process",
            RuntimeWarning,
        )
        return n_cpus()
    return n_threads if DEFAULT_IS_GIVEN else min(n_threads, n_cpus())


def _able_to_start(n_threads):
    """`n_threads`, or fewer where the system refuses more, with a warning.

    OpenMP's runtime ends the process where it cannot start a thread. So we start as many ourselves for a moment, before the
    first region of this Python thread that has so many. Nothing can promise that they can be started a second later as well.
    """
    started = openmp.startable_threads(n_threads - 1, _stack_bytes())
    if started == n_threads - 1:
        _team.size = n_threads
        return n_threads
    able = max(1, started)  # one of the threads that we could start stays in reserve
    warn(
        f"the system lets this process start only {started} more threads (see its limits on processes and on memory): "
        f"{able} of the {n_threads} that were asked for are used",
        RuntimeWarning,
    )
    return able


@functools.cache
def _stack_bytes():
    """The size of an OpenMP thread's stack, or 0 where the environment does not say."""
    for name in ("OMP_STACKSIZE", "GOMP_STACKSIZE"):
        match = re.fullmatch(r"\s*(\d+)\s*([BKMG]?)\s*", os.environ.get(name, ""), re.IGNORECASE)
        if match:
            return int(match[1]) << {"B": 0, "K": 10, "": 10, "M": 20, "G": 30}[match[2].upper()]
    return 0


def for_work(n_threads, multiply_adds):
    """As many of `n_threads` as the work is worth: to wake a thread takes as long as some hundred thousand multiply-adds."""
    return max(1, min(n_threads, int(multiply_adds) >> 18))


class _BlasLimit:
    """One thread for NumPy's BLAS, whose number of threads is the whole process's.

    However many Python threads are within it, the first that enters makes the limit and the last that leaves lifts it: if
    each restored what it had found, BLAS could be left with one thread for ever.
    """

    def __init__(self):
        self.forget()

    def forget(self):
        """Have nobody within it."""
        self._lock, self._n_inside, self._limit = threading.Lock(), 0, None

    def __enter__(self):
        with self._lock:
            if self._n_inside == 0:
                self._limit = _blas().limit(limits=1)
            self._n_inside += 1

    def __exit__(self, *error):
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                _take_openblas()
                self._limit.restore_original_limits()
                _take_openblas()


def _take_openblas():
    """Have OpenBLAS listen to any thread: threadpoolctl has it listen to the one that set its number of threads first."""
    from threadpoolctl import OpenBLASController

    OpenBLASController.clear_controlling_thread(force=True)


@functools.cache
def _blas():
    """A controller of NumPy's BLAS, which is kept: to find the libraries of a process takes 3 ms."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


_blas_limit = _BlasLimit()


def one_blas_thread():
    """A context in which NumPy's products run on this thread alone, so that small ones wait for no other thread, and have the
    same bits whatever the number of threads. To enter and leave it takes 10 microseconds."""
    return _blas_limit


@contextmanager
def one_thread():
    """A context in which neither BLAS nor OpenMP uses more than one thread, for the work of packages already imported.

    Their sums do not depend on the number of threads then. To enter and leave it takes some milliseconds.
    """
    from threadpoolctl import threadpool_limits

    # OpenMP's number is each Python thread's own
    with _blas_limit, threadpool_limits(limits=1, user_api="openmp"):
        yield
