"""How pictures look: one ink, which a page replaces by its own, colours by family, labels beside the lines."""

import io
import re
from contextlib import contextmanager

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter
from PIL import Image

INK, PAPER = "#1c1c22", "#fffffe"  # nothing else in a picture has these colours
# Of middle lightness, to be read on light and on dark paper.
SHADES_OF_OURS = ("#1f6feb", "#0aa2c0", "#7a6ff0", "#3d7ea6", "#5aa9e6", "#a25be0")
SHADES_OF_PEERS = ("#d9822b", "#2f9e5b", "#c2487d", "#a3762f", "#7d8f2a", "#c0504d", "#8a63b8", "#6b8794")
_SETTINGS = {
    "svg.fonttype": "none",  # text stays text
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
    """Figures made within look as above, and are closed at the end."""
    before = set(plt.get_fignums())
    with plt.rc_context(_SETTINGS):
        try:
            yield
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)


@contextmanager
def panels(save, n, width=6.4, height=3.8):
    """So many axes side by side, of a figure that `save` is called with at the end."""
    with settings():
        figure, axes = plt.subplots(1, n, figsize=(width * n, height), layout="constrained", squeeze=False)
        yield figure, axes[0]
        save(figure)


def svg(figure):
    """The figure as text."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def save_png(figure, path):
    """With a palette: its few colours take a third of the bytes that way."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    Image.open(file).convert("RGB").quantize(64).save(path, optimize=True)


def colors(names, is_ours):
    """name -> colour: ours each of its own, peers by the package that their names begin with."""
    ours = [name for name in names if is_ours(name)]
    package = {name: re.split(r"[ ,]", name)[0] for name in names if name not in ours}
    packages = list(dict.fromkeys(package.values()))
    out = {name: SHADES_OF_OURS[i % len(SHADES_OF_OURS)] for i, name in enumerate(ours)}
    return out | {name: SHADES_OF_PEERS[packages.index(p) % len(SHADES_OF_PEERS)] for name, p in package.items()}


def plain_numbers(axis):
    """Powers of ten as people write them; labels between them where there is hardly a decade, the fewer decades the more."""
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
    """Writes each series' name right of its axes at the height of its end, apart from the others, with a thin line to it.

    Parameters
    ----------
    panels : axes
    ends : of each axes a list of (name, x, y, color, whether it is bold); x and y in data coordinates
    """
    figure = panels[0].figure
    figure.canvas.draw()  # lays the figure out: heights are known
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
    """Ascending places moved as little as needs be (least squares) to be `gap` apart."""
    groups = []  # [sum of (place - its offset in the group), number]: a group's places touch one another
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
