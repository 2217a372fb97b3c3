import os
import subprocess
import sys
import threading

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from fastsoftmax import linear_cross_entropy, logsumexp, samplers
from fastsoftmax.runtime import openmp, threads


def test_loading_openmp_leaves_the_environment_alone():
    program = "import os; before = dict(os.environ); import fastsoftmax; assert dict(os.environ) == before"
    for spin_count in ({}, {"GOMP_SPINCOUNT": "5"}):
        subprocess.run([sys.executable, "-c", program], env=os.environ | spin_count, check=True)


def test_resolve(monkeypatch):
    monkeypatch.setattr(openmp, "ENABLED", True)
    assert threads.resolve(3) == 3
    monkeypatch.setattr(threads, "DEFAULT_IS_GIVEN", True)
    assert threads.resolve(None) == openmp.max_threads()
    assert 1 <= threads.resolve(-1) == threads.n_cpus() <= len(os.sched_getaffinity(0))  # a container may have a quota
    monkeypatch.setattr(openmp, "ENABLED", False)
    assert threads.resolve(3) == 1


FOR_WORK = threads.for_work


@pytest.mark.parametrize(("multiply_adds", "expected"), [(0, 1), (1000, 1), (1 << 19, 2), (1 << 40, 4)])
def test_small_work_starts_no_threads(multiply_adds, expected):
    assert FOR_WORK(4, multiply_adds) == expected
    assert FOR_WORK(1, multiply_adds) == 1


def test_the_default_is_what_openmp_is_told():
    program = "from fastsoftmax.runtime import threads; print(threads.resolve(None))"
    environment = os.environ | {"OMP_NUM_THREADS": "5"}
    n_threads = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert n_threads == ("5\n" if openmp.ENABLED else "1\n")


@pytest.fixture
def several_blas_threads():
    """BLAS has one thread in most tests, and may have been loaded after the controller was made."""
    threads._blas.cache_clear()
    threads._take_openblas()
    with threadpool_limits(3, user_api="blas"):
        assert set(numbers_of_threads().values()) == {3}
        yield
    threads._take_openblas()


def numbers_of_threads():
    return {info["filepath"]: info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


@pytest.mark.parametrize("limit", [threads.one_blas_thread, threads.one_thread])
def test_blas_has_one_thread_for_a_while(several_blas_threads, limit):
    before = numbers_of_threads()
    with limit():
        within = numbers_of_threads()
        assert 1 in within.values()
        if limit is threads.one_thread:
            assert set(within.values()) == {1}
    assert numbers_of_threads() == before


def test_products_of_the_multi_index_run_on_one_thread(several_blas_threads, monkeypatch):
    """They are small: to wake BLAS's threads can take a hundred times as long."""
    sampler, seen = samplers.MultiIndex(30, 3), []
    sampler.follow(np.eye(30), np.zeros(30))
    compute = sampler._cell_probabilities
    monkeypatch.setattr(sampler, "_cell_probabilities", lambda h: (seen.append(numbers_of_threads()), compute(h))[1])
    sampler.draw_for(5, np.random.default_rng(0), np.arange(3), np.eye(30)[:4])
    assert 1 in seen[0].values()


@pytest.fixture
def new_thread(monkeypatch):
    """As in a Python thread that has run nothing in parallel yet, with OpenMP."""
    monkeypatch.setattr(openmp, "ENABLED", True)
    monkeypatch.setattr(threads, "_team", threading.local())


def test_threads_are_started_once_before_they_are_used(new_thread, monkeypatch):
    tried = []
    monkeypatch.setattr(openmp, "startable_threads", lambda n, stack_bytes: tried.append(n) or n)
    assert [threads.resolve(n) for n in (1, 3, 2, 3, 5, 5)] == [1, 3, 2, 3, 5, 5]
    assert tried == [2, 4]


@pytest.mark.parametrize(("started", "able"), [(0, 1), (1, 1), (2, 2), (6, 6)])
def test_fewer_threads_are_used_where_the_system_refuses_more(new_thread, monkeypatch, started, able):
    monkeypatch.setattr(openmp, "startable_threads", lambda n, stack_bytes: started)
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match=f"only {started} more threads .* {able} of the 8"):
            assert threads.resolve(8) == able


def test_the_threads_that_are_tried_have_the_stacks_of_openmp(monkeypatch):
    for text, n_bytes in {"2M": 2 << 20, "64": 64 << 10, " 3 g ": 3 << 30, "512b": 512, "much": 0, "": 0}.items():
        threads._stack_bytes.cache_clear()
        monkeypatch.setenv("OMP_STACKSIZE", text)
        assert threads._stack_bytes() == n_bytes
    threads._stack_bytes.cache_clear()


LIMITED = """
import os, resource, sys, numpy as np
import fastsoftmax as fs
D = np.zeros((64, 20_000), "f")
fs.logsumexp  # all code is there before the limit
if sys.argv[1] == "memory":
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (20 << 20),) * 2)
else:
    os.setuid(65534)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
print(fs.logsumexp(D, axis=1, n_threads=8)[-1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other limits")
@pytest.mark.parametrize("limit", ["memory", "processes"])
def test_limits_of_the_process_do_not_end_it(run_python, limit):
    if limit == "processes" and os.getuid() != 0:
        pytest.skip("only root can become another user")
    assert float(run_python(LIMITED, limit)) == np.float32(np.log(20_000))


def test_absurd_defaults_of_openmp():
    if not openmp.ENABLED:
        pytest.skip("built without threads")
    program = "import numpy as np, fastsoftmax as fs; print(fs.logsumexp(np.zeros((64, 20_000)), axis=1)[-1])"
    for n_threads, warns in {"1000000": True, "1024": False, "-1": False, "many": False}.items():
        environment = os.environ | {"OMP_NUM_THREADS": n_threads}
        command = [sys.executable, "-W", "always", "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert float(done.stdout) == np.log(20_000)
        assert ("OpenMP is told to run 1,000,000 threads" in done.stderr) == warns


def test_the_default_respects_the_quota_of_a_container(monkeypatch):
    monkeypatch.setattr(openmp, "ENABLED", True)
    monkeypatch.setattr(openmp, "max_threads", lambda: 64)  # the CPUs of the machine
    monkeypatch.setattr(joblib, "cpu_count", lambda: 3)  # what joblib reads of the container
    threads._n_cpus.cache_clear()
    monkeypatch.setattr(threads, "DEFAULT_IS_GIVEN", False)
    assert threads.resolve(None) == threads.resolve(-1) == 3
    monkeypatch.setattr(threads, "DEFAULT_IS_GIVEN", True)
    assert threads.resolve(None) == 64
    threads._n_cpus.cache_clear()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system knows no affinity")
def test_the_number_of_cpus_follows_the_affinity(monkeypatch):
    monkeypatch.setattr(openmp, "ENABLED", True)
    monkeypatch.setattr(threads, "DEFAULT_IS_GIVEN", False)
    before, all_cpus = os.sched_getaffinity(0), threads.resolve(-1)
    if all_cpus == 1:
        pytest.skip("there is one CPU")
    os.sched_setaffinity(0, {min(before)})
    try:
        assert threads.resolve(-1) == threads.resolve(None) == 1
    finally:
        os.sched_setaffinity(0, before)
    assert threads.resolve(-1) == all_cpus


def test_a_limit_of_blas_is_lifted_by_the_last_python_thread(several_blas_threads):
    before, entered, leave = numbers_of_threads(), threading.Event(), threading.Event()

    def stay():
        with threads.one_blas_thread():
            entered.set()
            leave.wait(60)

    other = threading.Thread(target=stay)
    with threads.one_blas_thread():
        other.start()
        assert entered.wait(60)
    assert set(numbers_of_threads().values()) == {1}
    leave.set()
    other.join()
    assert numbers_of_threads() == before


def test_many_python_threads_compute_the_same_bits():
    rng = np.random.default_rng(0)
    logits, W = rng.normal(size=(16, 20_000)), rng.normal(size=(3000, 16))
    target = np.arange(16)

    def work():
        loss, (dX, dW, _) = linear_cross_entropy(logits[:, :16], W, target, return_grad=True, n_threads=2)
        return loss, *dX.ravel(), *dW.ravel()[::100], *logsumexp(logits, axis=1, n_threads=2)

    expected, results, start = work(), [], threading.Barrier(40)

    def worker():
        start.wait()
        results.append(work())

    workers = [threading.Thread(target=worker) for _ in range(40)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    assert results == [expected] * 40


def test_the_limit_of_openmp():
    if not openmp.ENABLED:
        pytest.skip("built without threads")
    program = "from fastsoftmax.runtime import threads; print(threads.resolve(None), threads.resolve(3))"
    for limit, expected in (("1", "1 1"), ("2", "2 2"), ("1000", "4 3")):
        environment = os.environ | {"OMP_NUM_THREADS": "4", "OMP_THREAD_LIMIT": limit}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{expected}\n"


def test_no_number_of_threads():
    """OpenMP ignores what is no number of threads, and says so; so do we."""
    if not openmp.ENABLED:
        pytest.skip("built without threads")
    program = "from fastsoftmax.runtime import threads; print(threads.resolve(None) == threads.n_cpus())"
    for n_threads in ("0", "-1", "abc", "2.5", "", "0x4"):
        environment = os.environ | {"OMP_NUM_THREADS": n_threads}
        environment.pop("OMP_THREAD_LIMIT", None)
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == "True\n", n_threads
