"""Watchers, which act between the steps of a training: progress, early stopping, averaging, checkpoints and others.

May import: `files`, `model`, `samplers` and what lies below.
"""
