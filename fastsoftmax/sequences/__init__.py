"""Sequences of items, such as sessions and purchases: the rows that describe histories, and what counts say comes next.

May import: `kernels`, `validation`, `runtime`.
"""
