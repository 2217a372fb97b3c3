import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest

from fastsoftmax import SoftmaxClassifier, linear_cross_entropy, logsumexp, samplers
from fastsoftmax.runtime import openmp, threads


def problem():
    rng = np.random.default_rng(0)
    return rng.standard_normal((64, 16)), rng.standard_normal((3000, 16)), rng.integers(0, 3000, 64)


def test_loading_openmp_leaves_the_environment_alone():
    program = "import os; before = dict(os.environ); import fastsoftmax; assert dict(os.environ) == before"
    for spin_count in ({}, {"GOMP_SPINCOUNT": "5"}):
        subprocess.run([sys.executable, "-c", program], env=os.environ | spin_count, check=True)


def test_resolve(monkeypatch):
    monkeypatch.setattr(openmp, "ENABLED", True)
    assert threads.resolve(3) == 3
    assert threads.resolve(None) == openmp.max_threads()
    assert threads.resolve(-1) == threads.n_cpus() == len(os.sched_getaffinity(0))
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


def in_child(queue):
    X, W, target = problem()
    loss = linear_cross_entropy(X, W, target, n_threads=4)
    lse = logsumexp(np.zeros((8, 100_000)), axis=1, n_threads=4)
    classifier = SoftmaxClassifier(max_iter=1, n_threads=4).fit(X, target % 5)
    queue.put((loss, lse[0], classifier.predict(X).shape, threads.resolve(4)))


def test_kernels_run_in_a_forked_process():
    """The parent's threads do not survive the fork; a child that waits for them would never end."""
    expected = linear_cross_entropy(*problem(), n_threads=3)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_child, args=(queue,))
    child.start()
    try:
        assert queue.get(timeout=60) == (expected, np.log(100_000), (64,), 1)
        child.join(timeout=60)
        assert child.exitcode == 0
    finally:
        child.kill()


def numbers_of_threads():
    from threadpoolctl import threadpool_info

    return {info["filepath"]: info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


@pytest.mark.parametrize("limit", [threads.one_blas_thread, threads.one_thread])
def test_blas_has_one_thread_for_a_while(limit):
    before = numbers_of_threads()
    with limit():
        within = numbers_of_threads()
        assert 1 in within.values()
        if limit is threads.one_thread:
            assert set(within.values()) == {1}
    assert numbers_of_threads() == before


def test_products_of_the_multi_index_run_on_one_thread(monkeypatch):
    """Small ones: to wake BLAS's threads can take a hundred times as long."""
    sampler, seen = samplers.MultiIndex(30, 3), []
    sampler.follow(np.eye(30), np.zeros(30))
    compute = sampler._cell_probabilities
    monkeypatch.setattr(sampler, "_cell_probabilities", lambda h: (seen.append(numbers_of_threads()), compute(h))[1])
    sampler.draw_for(5, np.random.default_rng(0), np.arange(3), np.eye(30)[:4])
    assert 1 in seen[0].values()
