"""Bytes and flops on paper: what each way of training and predicting costs, checked against what was measured.

- `sizes`    the numbers that formulas take: classes K, features D, hidden size d, entries a row, batch, ...
- `memory`   bytes of each component: parameters, optimiser's state, samplers, working memory, compressed forms, files
- `work`     flops, bytes moved and look-ups of each phase of a batch
- `machine`  a machine's rates, measured or assumed, and the time of a phase: the slowest of what it needs
- `cluster`  classes sharded over machines: memory, time and network traffic. The library runs on one machine; this is paper.
- `check`    predicted over measured, point by point, for the results of `benches.curves`
- `tables`, `command`  all of it as Markdown: `python -m benches.cost_model [--curves curves.json] [--classes 1e8 ...]`

docs/cost_model.md has the formulas in one place.
"""

from . import check, cluster, machine, memory, sizes, tables, work
from .command import main

__all__ = ["check", "cluster", "machine", "main", "memory", "sizes", "tables", "work"]
