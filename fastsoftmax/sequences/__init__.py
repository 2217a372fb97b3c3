"""Sequences of items, such as sessions and purchases: the rows that describe histories, and what counts say comes next.

`sources` reads what users give, `learning` finds the items, `histories` is the home of prefixes, and `kinds` makes columns.
May import: `kernels`, `validation`, `runtime`.
"""
