"""How long the campaign is: the same examples every time, or rounds of random ones by `python -m tests.fuzz`."""

import functools
import os

from guards import guarded_workspaces
from hypothesis import HealthCheck, Phase, settings

LENGTH = int(os.environ.get("FASTSOFTMAX_FUZZ", "1"))  # how many times the examples of the short run
IS_LONG = LENGTH > 1


def examples(n):
    """Decorates a test: it tries `n` examples in the short run, and guards the scratch memory of each."""
    chosen = settings(
        max_examples=n * LENGTH,
        derandomize=not IS_LONG,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        print_blob=IS_LONG,
        suppress_health_check=list(HealthCheck),
    )

    def decorate(test):
        test.hypothesis.inner_test = _guarded(test.hypothesis.inner_test)
        return chosen(test)

    return decorate


def _guarded(test):
    @functools.wraps(test)
    def run(*args, **kwargs):
        with guarded_workspaces():
            return test(*args, **kwargs)

    return run
