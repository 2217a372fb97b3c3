"""Softmax regression solved to its optimum: the loss, the variables that it is solved in, and two solvers.

May import: `passes` and what lies below.
"""
