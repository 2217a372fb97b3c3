"""The picture of the kernels: how many times faster than the best peer they are, beside what the limits allow."""

import matplotlib.pyplot as plt

from ..kernels.case import OURS
from ..kernels.measure import best, limit
from . import style

FASTER, SLOWER = style.SHADES_OF_OURS[0], style.SHADES_OF_PEERS[0]

TITLES = {"rowwise": "Row-wise", "dense": "Dense head", "csr": "CSR, linear", "sampled": "Sampled step"}


def _bars(families):
    """Yield (family, label, speed-up, speed-up at the limit or None, name of the peer), for float32 and along rows."""
    for family, records in families.items():
        for r in records:
            if r["dtype"] == "float32" and "axis" not in r["shape"] and best(r):
                name, seconds = best(r)
                bound = seconds / limit(r)[1] if limit(r) else None
                shape = r["shape"].replace(",000,000", "M").replace(",000", "k").replace(" x ", "×")
                problem = r["problem"].removeprefix("CSR: ")
                yield family, f"{problem}  {shape}", seconds / r["seconds"][OURS], bound, name.split(",")[0]


def are_any(families):
    """Whether a family of the picture was measured, with a peer."""
    return any(bar[0] in TITLES for bar in _bars(families))


def draw(families, save):
    bars = list(_bars(families))
    titles = [family for family in TITLES if any(bar[0] == family for bar in bars)]
    columns = [names for names in (titles[:1], titles[1:]) if names]
    n_bars = [sum(bar[0] in names for bar in bars) + 2 * len(names) for names in columns]
    right = max(max(b[2], b[3] or 0) for b in bars) * 1.6
    with style.settings():
        figure = plt.figure(figsize=(6.2 * len(columns), 0.19 * max(n_bars) + 1.0), layout="constrained")
        outer = figure.add_gridspec(1, len(columns))
        for column, names in enumerate(columns):
            heights = [sum(bar[0] == family for bar in bars) for family in names]
            grid = outer[column].subgridspec(len(names), 1, height_ratios=heights)
            for row, family in enumerate(names):
                axes = figure.add_subplot(grid[row])
                _panel(axes, [bar for bar in bars if bar[0] == family], right)
                axes.set_title(TITLES[family])
        axes.set_xlabel("times faster than the best peer")
        _legend(figure, n_columns=2 * len(columns) - 1)
        save(figure)


def _legend(figure, n_columns):
    handles = [
        plt.Rectangle((0, 0), 1, 1, color=FASTER),
        plt.Rectangle((0, 0), 1, 1, color=SLOWER),
        plt.Line2D([], [], color=style.INK, marker="|", markersize=9, linestyle=""),
    ]
    labels = ["faster than the best peer", "slower", "what the measured limit (read, copy, GEMM) would give"]
    figure.legend(handles, labels, loc="outside lower center", ncols=n_columns, fontsize=8)


def _panel(axes, bars, right):
    places = range(len(bars))
    speedups = [bar[2] for bar in bars]
    axes.barh(places, speedups, color=[FASTER if s >= 1 else SLOWER for s in speedups], height=0.7)
    for y, (_, _, speedup, bound, peer) in zip(places, bars, strict=True):
        if bound:
            axes.plot([bound], [y], color=style.INK, marker="|", markersize=9)
        axes.annotate(
            f"{speedup:.1f}× {peer}",
            (max(speedup, bound or 0), y),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=6.5,
        )
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlim(0.4, right)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_yticks(places, [bar[1] for bar in bars], fontsize=7)
    style.plain_numbers(axes.xaxis)
    axes.grid(False)
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", length=0)
