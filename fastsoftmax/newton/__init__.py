"""Softmax regression solved to its optimum: the loss, the variables in which it is minimised, and two solvers.

May import: `passes` and what lies below.
"""
