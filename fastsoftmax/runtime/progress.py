"""What tells on standard error how far long work is: bars, and lines for steps that have none.

Bars are for terminals and notebooks; elsewhere, as in log files, there is a line now and then and one at the end.
"""

import sys
from contextlib import contextmanager, suppress

MANY_ROWS, MANY_BYTES = 1 << 16, 1 << 24  # steps of fewer take less than a second
SECONDS = 0.2  # between two states of a bar
LOG_SECONDS = 10.0  # and of lines
COUNTED = 256  # items between two calls of what counts them


def say(what, verbose, *, n_rows=MANY_ROWS, n_bytes=0):
    """Write a line about a step that may take long and shows no bar, or nothing if not `verbose`.

    n_rows, n_bytes : what the step goes through; where both are small, it takes no time, and nothing is written
    """
    if verbose and (n_rows >= MANY_ROWS or n_bytes >= MANY_BYTES):
        Lines().write(what)


class Lines:
    """Standard error as a file of lines, which can be that of a bar. What cannot be written is left out."""

    def write(self, text):
        state = text.strip()
        if state and sys.stderr is not None:
            with suppress(OSError, ValueError):  # a full disk, a closed file: the work is worth more than its progress
                print(state, file=sys.stderr, flush=True)

    def flush(self):
        pass


def bar(**options):
    """A tqdm bar; where standard error is a log, one of `Lines`."""
    from tqdm import tqdm

    if not is_log():
        return tqdm(**{"mininterval": SECONDS} | options)
    # a `delay`, however short, leaves out the state in which nothing is done yet
    return tqdm(**options | {"file": Lines(), "mininterval": LOG_SECONDS, "delay": 1e-9, "leave": True})


def is_log():
    """Whether standard error is neither a terminal nor a notebook's, whose bars move; it may be closed, too."""
    return sys.stderr is None or (not sys.stderr.isatty() and "ipykernel" not in sys.modules)


def counted(items, show):
    """The items one by one; `show`, unless None, is called with the numbers of those that are done."""
    n_left = 0
    for item in items:
        yield item
        n_left += 1
        if show is not None and n_left == COUNTED:
            show(n_left)
            n_left = 0
    if show is not None and n_left:
        show(n_left)


@contextmanager
def shown_iterations(max_iter, verbose):
    """Yield a function that shows iteration, loss and largest gradient element in a bar, or nothing if not `verbose`."""
    if not verbose:
        yield lambda iteration, loss, gradient: None
        return
    with bar(total=max_iter, unit=" iterations") as shown:

        def show(iteration, loss, gradient):
            shown.set_postfix_str(f"loss {loss:.6f}, gradient {gradient:.1e}", refresh=False)
            shown.update(iteration - shown.n)

        yield show


@contextmanager
def shown_bytes(n_bytes, what, verbose):
    """Yield a function that is given numbers of bytes that are read, and shows them in a bar, or None if not `verbose`.

    n_bytes : how many there are; None: nobody knows
    """
    if not verbose:
        yield None
        return
    with bar(total=n_bytes, desc=what, unit="B", unit_scale=True, unit_divisor=1024, leave=False) as shown:
        yield shown.update


@contextmanager
def shown_rows(n_rows, what, verbose, unit="rows"):
    """Yield a function that is given numbers of rows that are done, and shows them in a bar, or nothing if not `verbose`.

    Where there are several passes over the `n_rows` rows, each fills the bar anew; in a log their rows are added up. The
    `unit` may be another than rows.
    """
    if not verbose:
        yield lambda n: None
        return
    with bar(total=n_rows, desc=what, unit=f" {unit}", unit_scale=True, leave=False) as shown:
        n_passes = 1

        def show(n):
            nonlocal n_passes
            if shown.n >= shown.total:
                n_passes += 1
                shown.set_description_str(f"{what}, pass {n_passes}", refresh=False)
                if shown.leave:
                    shown.total += n_rows
                else:
                    shown.reset()
            shown.update(n)

        yield show
