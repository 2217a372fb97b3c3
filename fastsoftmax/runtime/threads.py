"""The only place that resolves `n_threads`, and that limits the threads of BLAS and of other packages that use OpenMP."""

import functools
import os

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
_forked = False


def _after_fork_in_child():
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def n_cpus():
    """Number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def resolve(n_threads):
    """Number of OpenMP threads for a checked `n_threads`: None is OpenMP's default, -1 every CPU of this process.

    In a process that was forked from one that had imported us it is 1: the threads of GNU OpenMP do not survive a fork, and
    the next parallel region would wait for them for ever.
    """
    if _forked or not openmp.ENABLED:
        return 1
    if n_threads is None:
        return openmp.max_threads()
    if n_threads == -1:
        return n_cpus()
    return n_threads


def for_work(n_threads, multiply_adds):
    """As many of `n_threads` as the work is worth: to wake a thread takes as long as some hundred thousand multiply-adds."""
    return max(1, min(n_threads, int(multiply_adds) >> 18))


@functools.cache
def _blas():
    """A controller of NumPy's BLAS, which is kept: to find the libraries of a process takes 3 ms."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def one_blas_thread():
    """A context in which NumPy's products run on this thread alone, so that small ones wait for no other thread, and have the
    same bits whatever the number of threads. To enter and leave it takes 10 microseconds."""
    return _blas().limit(limits=1)


def one_thread():
    """A context in which neither BLAS nor OpenMP uses more than one thread, for the work of packages already imported.

    Their sums do not depend on the number of threads then. To enter and leave it takes some milliseconds.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)
