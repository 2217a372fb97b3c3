"""A softmax model: its parameters, its runners over rows, compact storage, the pairs of a sparse term, and pruning.

May import: `passes` and what lies below.
"""
