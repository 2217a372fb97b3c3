import os
import subprocess
import sys

import numpy as np
import pytest

from fastsoftmax import samplers
from fastsoftmax.runtime import openmp, threads


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
    """They are small: to wake BLAS's threads can take a hundred times as long."""
    sampler, seen = samplers.MultiIndex(30, 3), []
    sampler.follow(np.eye(30), np.zeros(30))
    compute = sampler._cell_probabilities
    monkeypatch.setattr(sampler, "_cell_probabilities", lambda h: (seen.append(numbers_of_threads()), compute(h))[1])
    sampler.draw_for(5, np.random.default_rng(0), np.arange(3), np.eye(30)[:4])
    assert 1 in seen[0].values()
