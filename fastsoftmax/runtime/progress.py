"""What tells on standard error how far long work is: bars, and lines for steps that have none."""

import sys
from contextlib import contextmanager

MANY_ROWS, MANY_BYTES = 1 << 16, 1 << 24  # steps of fewer take less than a second


def say(what, verbose, *, n_rows=MANY_ROWS, n_bytes=0):
    """Write a line about a step that may take long and shows no bar, or nothing if not `verbose`.

    n_rows, n_bytes : what the step goes through; where both are small, it takes no time, and nothing is written
    """
    if verbose and (n_rows >= MANY_ROWS or n_bytes >= MANY_BYTES):
        print(what, file=sys.stderr, flush=True)


@contextmanager
def shown_iterations(max_iter, verbose):
    """Yield a function that shows iteration, loss and largest gradient element in a bar, or nothing if not `verbose`."""
    if not verbose:
        yield lambda iteration, loss, gradient: None
        return
    from tqdm import tqdm

    with tqdm(total=max_iter, unit=" iterations") as bar:

        def show(iteration, loss, gradient):
            bar.set_postfix_str(f"loss {loss:.6f}, gradient {gradient:.1e}", refresh=False)
            bar.update(iteration - bar.n)

        yield show


@contextmanager
def shown_rows(n_rows, what, verbose, unit="rows"):
    """Yield a function that is given numbers of rows that are done, and shows them in a bar, or nothing if not `verbose`.

    Where there are several passes over the `n_rows` rows, each fills the bar anew. The `unit` may be another than rows.
    """
    if not verbose:
        yield lambda n: None
        return
    from tqdm import tqdm

    with tqdm(total=n_rows, desc=what, unit=f" {unit}", unit_scale=True, mininterval=0.2, leave=False) as bar:
        n_passes = 1

        def show(n):
            nonlocal n_passes
            if bar.n >= n_rows:
                n_passes += 1
                bar.reset()
                bar.set_description_str(f"{what}, pass {n_passes}", refresh=False)
            bar.update(n)

        yield show
