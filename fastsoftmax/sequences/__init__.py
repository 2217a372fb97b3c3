"""Sequences of items, oldest first, from the events of users. May import: `validation`, `runtime`."""
