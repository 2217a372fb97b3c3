"""Convex problems solved to their optima: the loss and the two solvers of softmax regression, and one-vs-all problems.

May import: `passes` and what lies below.
"""
