"""NextItemModel against strong methods that need no training by steps, on the same sessions and rows.

    python -m benches.studies.next_item FILE.npz [--methods TEXT ...]

FILE.npz holds integer item codes: `train_items` and `train_indptr` of sessions, the oldest first, and test rows, the items
before (`test_items`, `test_indptr`) and the next one (`test_target`). A Markdown table is printed: the share of the rows whose
item is among the best 20, the mean reciprocal rank, the negative log-likelihood of methods that give probabilities, seconds of
fitting, rows a second in one call, and the time of calls with a row each.

Nothing is chosen on test rows. `session_methods` has the other methods, and says where their parameters come from.
"""

import argparse
import time

import numpy as np

from fastsoftmax import NextItemModel
from fastsoftmax.metrics import hit_at_k, mrr_at_k
from fastsoftmax.sequences.items import encoded

from .session_methods import K, LastItem, Popularity, Slist, VmisKnn

ALONE = 1000  # rows that have a call each


class Ours:
    """NextItemModel with all defaults."""

    def fit(self, sessions, n_items):
        self.model = NextItemModel(random_state=0).fit(sessions)

    def topk(self, rows):
        return self.model.predict_topk(rows, K)[0]

    def loss(self, rows, target):
        """The mean negative log-likelihood of the rows' own items."""
        items = self.model.items_
        codes = np.minimum(np.searchsorted(items, target), len(items) - 1)
        codes = np.where(items[codes] == target, codes, -1)
        return -np.log(self.model._mixture.proba_of(encoded(rows, items, "rows").wholes(), codes)).mean()


METHODS = {
    "popularity": Popularity,
    "last item": LastItem,
    "VMIS-kNN": VmisKnn,
    "SLIST": Slist,
    "NextItemModel": Ours,
}


def timed(function, *args):
    """What the function returns, and its seconds by the clock and of the CPUs."""
    wall, cpu = time.perf_counter(), time.process_time()
    out = function(*args)
    return out, time.perf_counter() - wall, time.process_time() - cpu


def measured(method, sessions, rows, target, n_items):
    """The cells of a method's row in the table."""
    _, fit_wall, fit_cpu = timed(method.fit, sessions, n_items)
    topk, wall, cpu = timed(method.topk, rows)
    alone = [rows[i] for i in np.linspace(0, len(rows) - 1, ALONE).astype(int)]
    micros = [timed(method.topk, [row])[1] * 1e6 for row in alone[:20] + alone][20:]  # the first ones warm it up
    quality = [f"{100 * metric(topk, target, K):.2f}" for metric in (hit_at_k, mrr_at_k)]
    loss = f"{method.loss(rows, target):.3f}" if hasattr(method, "loss") else ""
    speed = [f"{x:,.0f}" for x in (len(rows) / wall, len(rows) / cpu, *np.percentile(micros, [50, 90, 99]))]
    return [*quality, loss, f"{fit_wall:.1f}", f"{fit_cpu:.1f}", *speed]


def read(path):
    """Training sessions and test rows, lists of arrays, the items that come next in the latter, and the number of items."""
    with np.load(path) as file:
        arrays = dict(file)
    parts = [np.split(arrays[f"{part}_items"], arrays[f"{part}_indptr"][1:-1]) for part in ("train", "test")]
    n_items = 1 + max(int(arrays[name].max()) for name in ("train_items", "test_items", "test_target"))
    return *parts, arrays["test_target"], n_items


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    options = parser.parse_args()
    data = read(options.data)
    print(
        "| method | hit rate@20, % | MRR@20, % | NLL | fit, s | fit, CPU s | rows/s | rows per CPU s "
        "| a row: p50, µs | p90 | p99 |"
    )
    print("|---|" + "---:|" * 10)
    for name in options.methods:
        print("|", " | ".join([name, *measured(METHODS[name](), *data)]), "|", flush=True)


if __name__ == "__main__":
    main()
