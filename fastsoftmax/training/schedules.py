"""How the learning rate changes over training: a factor for each progress from 0, before the first step, to 1, after the last.

Adagrad's steps become shorter by themselves, so no schedule begins with a warm-up.
"""

import math

COOLDOWN = 0.3  # share of the steps in which "trapezoidal" falls; 0.2 suits few epochs, 0.5 many, by little


def linear(progress):
    """It falls from 1 to 0."""
    return 1.0 - progress


def constant(progress):
    """It stays."""
    return 1.0


def cosine(progress):
    """Slowly at first, then faster, then slowly down to 0 (Loshchilov and Hutter 2017)."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def trapezoidal(progress, cooldown=COOLDOWN):
    """It stays, and in the last part of the steps falls to 0 (Haegele et al. 2024, arXiv:2405.18392)."""
    return min(1.0, (1.0 - progress) / cooldown)


SCHEDULES = {f.__name__: f for f in (linear, constant, cosine, trapezoidal)}


def make(schedule, is_sparse=False):
    """The function of this name, or the one that is given; `is_sparse`: for a sparse term.

    "auto" is "linear" for that, which learns fast: its last steps, too long, would learn the rows by heart.
    """
    if isinstance(schedule, str) and schedule == "auto":
        return linear if is_sparse else trapezoidal
    return schedule if callable(schedule) else SCHEDULES[schedule]
