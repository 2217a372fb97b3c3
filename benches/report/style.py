"""The look of pictures: one ink, which a page replaces by its own, colours by family, and labels beside lines."""

import io
import re
from contextlib import contextmanager

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter
from PIL import Image

INK, PAPER = "#1c1c22", "#fffffe"  # nothing else in a picture has these colours
# These are of middle lightness, so that they can be read on light and on dark paper.
SHADES_OF_OURS = ("#1f6feb", "#0aa2c0", "#7a6ff0", "#3d7ea6", "#5aa9e6", "#a25be0")
SHADES_OF_PEERS = ("#d9822b", "#2f9e5b", "#c2487d", "#a3762f", "#7d8f2a", "#c0504d", "#8a63b8", "#6b8794")
_SETTINGS = {
    "svg.fonttype": "none",  # text stays text, not outlines
    "text.parse_math": False,
    "svg.hashsalt": "fastsoftmax",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#88888c",
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    **{name: INK for name in ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")},
}
_LEADER = {"arrowstyle": "-", "alpha": 0.5, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 3, "relpos": (0, 0.5)}


@contextmanager
def settings():
    """Give figures that are made inside this look, and close them at the end."""
    before = set(plt.get_fignums())
    with plt.rc_context(_SETTINGS):
        try:
            yield
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)


@contextmanager
def panels(save, n, width=6.4, height=3.8):
    """Make n axes side by side; at the end call `save` with their figure."""
    with settings():
        figure, axes = plt.subplots(1, n, figsize=(width * n, height), layout="constrained", squeeze=False)
        yield figure, axes[0]
        save(figure)


def svg(figure):
    """Return the figure as SVG text."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def save_png(figure, path):
    """Write the figure with a palette, which takes a third of the bytes: its colours are few."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    Image.open(file).convert("RGB").quantize(64).save(path, optimize=True)


def colors(names, is_ours):
    """Return {name: colour}. Each of ours has its own; peers have one for the package that their names begin with."""
    ours = [name for name in names if is_ours(name)]
    package = {name: re.split(r"[ ,]", name)[0] for name in names if name not in ours}
    packages = list(dict.fromkeys(package.values()))
    out = {name: SHADES_OF_OURS[i % len(SHADES_OF_OURS)] for i, name in enumerate(ours)}
    return out | {name: SHADES_OF_PEERS[packages.index(p) % len(SHADES_OF_PEERS)] for name, p in package.items()}


def plain_numbers(axis):
    """Write powers of ten as people do, and label ticks between them if the axis has hardly a decade."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    low, high = axis.get_view_interval()
    if high > 20 * low:
        axis.set_minor_formatter(NullFormatter())
    else:
        labelled = "25" if high > 5 * low else "123456789"
        axis.set_minor_formatter(FuncFormatter(lambda value, _: short(value) if f"{value:e}"[0] in labelled else ""))


def short(value):
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def label_ends(panels, ends, size=7.5):
    """Write the name of each series right of its axes, near the height of its end but apart from others, with a line to it.

    Parameters
    ----------
    panels : axes
    ends : for each axes a list of (name, x, y, color, whether it is bold), with x and y in data coordinates
    """
    figure = panels[0].figure
    figure.canvas.draw()  # lays the figure out, so that heights are known
    for axes, own in zip(panels, ends, strict=True):
        gap = 1.35 * size * figure.dpi / 72 / axes.get_window_extent().height
        places = [axes.transAxes.inverted().transform(axes.transData.transform(end[1:3])) for end in own]
        points = sorted(zip(places, own, strict=True), key=lambda point: point[0][1])
        heights = spread_apart([place[1] for place, _ in points], gap)
        for (place, (name, _, _, color, bold)), height in zip(points, heights, strict=True):
            axes.annotate(
                name,
                xy=place,
                xytext=(1.06, height),
                xycoords="axes fraction",
                textcoords="axes fraction",
                va="center",
                fontsize=size,
                color=color,
                fontweight="bold" if bold else "normal",
                arrowprops=_LEADER | {"color": color},
            )


def spread_apart(places, gap):
    """Move ascending places as little as possible (in least squares), so that they are `gap` apart."""
    groups = []  # [sum of (place - its offset in the group), number of places], which are `gap` apart
    for place in places:
        groups.append([place, 1])
        while len(groups) > 1 and _end(groups[-2], gap) + gap > _start(groups[-1], gap):
            total, n = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + n]
    return [_start(group, gap) + i * gap for group in groups for i in range(group[1])]


def _start(group, gap):
    total, n = group
    return total / n - gap * (n - 1) / 2


def _end(group, gap):
    return _start(group, gap) + gap * (group[1] - 1)
