"""Warnings that point at the caller's line."""

import sys
import warnings

SKIPPED = ("fastsoftmax", "sklearn", "joblib")  # packages: decorators and searches stand between users and estimators


def warn(message, category):
    """`warnings.warn`, as if the first caller outside of these packages had called it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in SKIPPED:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
