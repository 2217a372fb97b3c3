"""How long the campaign is: the same examples every time, or rounds of random ones by `python -m tests.fuzz`."""

import os

from hypothesis import HealthCheck, Phase, settings

LENGTH = int(os.environ.get("FASTSOFTMAX_FUZZ", "1"))  # how many times the examples of the short run
IS_LONG = LENGTH > 1


def examples(n):
    """Settings of a test that tries `n` examples in the short run."""
    return settings(
        max_examples=n * LENGTH,
        derandomize=not IS_LONG,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        print_blob=IS_LONG,
        suppress_health_check=list(HealthCheck),
    )
