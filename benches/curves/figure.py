"""docs/cost_over_classes.png and .svg: training time of a row over the number of classes."""

from fastsoftmax import _threads

from . import ours, torchs

SERIES = {  # with their colours: the same for the same way of training
    ours.FULL: "tab:blue",
    ours.SAMPLED: "tab:orange",
    ours.SUPPORT: "tab:green",
    ours.LINEAR: "tab:purple",
    torchs.FULL: "tab:blue",
    torchs.SAMPLED: "tab:orange",
}


def draw(curves, folder):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for series, color in SERIES.items():
        points = [(r["x"], r["y"], r["low"], r["high"]) for r in curves["cost_over_classes"] if r["series"] == series]
        if not points:
            continue
        x, y, low, high = zip(*points, strict=True)
        style = "--" if series.startswith("torch") else "-"
        axes.loglog(x, y, marker="o", markersize=4, linestyle=style, color=color, label=series)
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    size = curves["problem"]
    axes.set(xlabel="classes", ylabel="training time of a row (µs)", ylim=(1, None))
    axes.set_title(
        f"rows of {size['entries_a_row']} features with {size['classes_per_feature']} classes each; low rank "
        f"{size['hidden_size']}, {size['n_negatives']:,} negatives; batch {size['batch_size']}, "
        f"{_threads.resolve(None)} threads",
        fontsize=7,
    )
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=7)
    for suffix in ("png", "svg"):
        figure.savefig(folder / f"cost_over_classes.{suffix}", dpi=150)
