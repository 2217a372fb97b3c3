"""What happens between the steps of a training, one Watcher a file: progress, early stopping, averaging, checkpoints."""
