"""What happens between the steps of a training, one Watcher a file: progress, early stopping, averaging, checkpoints.

May import: `files`, `model`, `samplers` and what lies below.
"""
