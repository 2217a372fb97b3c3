"""Schedules of the learning rate: each returns its factor at a progress from 0, before the first step, to 1, after the last.

Adagrad's steps become shorter by themselves, so no schedule begins with a warm-up.
"""

import math

COOLDOWN = 0.3  # share of the steps in which "trapezoidal" falls; 0.2 is slightly better for few epochs, 0.5 for many


def linear(progress):
    """The factor falls from 1 to 0 at a constant pace."""
    return 1.0 - progress


def constant(progress):
    """The factor stays at 1."""
    return 1.0


def cosine(progress):
    """The factor falls to 0 along half a cosine: slowly, then faster, then slowly again (Loshchilov and Hutter 2017)."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def trapezoidal(progress, cooldown=COOLDOWN):
    """The factor stays at 1, and falls to 0 in the last part of the steps (Haegele et al. 2024, arXiv:2405.18392)."""
    return min(1.0, (1.0 - progress) / cooldown)


SCHEDULES = {f.__name__: f for f in (linear, constant, cosine, trapezoidal)}


def make(schedule, is_sparse=False):
    """The function of this name, or the function that is given; `is_sparse` says whether it is for a sparse term.

    "auto" is "linear" for a sparse term: it learns so fast that long last steps would make it overfit the rows.
    """
    if isinstance(schedule, str) and schedule == "auto":
        return linear if is_sparse else trapezoidal
    return schedule if callable(schedule) else SCHEDULES[schedule]
