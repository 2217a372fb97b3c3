"""Tables and pictures of the cost of a row over classes, negatives and threads, and of memory over classes."""

from ..curves.record import MANY_THREADS, amdahl
from ..curves.record import speed_up as predicted
from . import style
from .document import Bullets, Cell, Heading, Paragraph, Picture, Table, small
from .measures import number

MIB = 2.0**20
TASKS = ("training", "prediction")
CLASSES, NEGATIVES, THREADS, MEMORY = (
    "cost_over_classes",
    "cost_over_negatives",
    "cost_over_threads",
    "memory_over_classes",
)


def section(curves):
    """Yield the parts of the report about what `benches.curves.measure` returns."""
    yield Heading("Cost over classes, negatives and threads")
    size = curves["problem"]
    yield Paragraph(
        f"Microseconds a row: medians of rounds in which what stands in one column takes turns, with the least and the "
        f"greatest. Rows of {size['entries_a_row']} features out of {size['n_features']:,}, low rank {size['hidden_size']}, "
        f"{size['n_negatives']:,} negatives, {size['classes_per_feature']} classes a feature on the support, batches of "
        f"{size['batch_size']} rows; predictions are the best {size['top_k']} classes. Classes are drawn by Zipf's law."
    )
    colors = _colors([*curves[CLASSES], *curves[THREADS], *curves[MEMORY]]) | _colors(curves[NEGATIVES])
    for name, part in (
        (CLASSES, _over_classes),
        (NEGATIVES, _over_negatives),
        (THREADS, _over_threads),
        (MEMORY, _memory),
    ):
        if curves[name]:
            yield from part(curves[name], colors)
    if curves["left_out"]:
        yield Heading("Points left out", 3)
        yield Bullets([f"{r['series']}, {r['x']:,} classes: {r['reason']}" for r in curves["left_out"]])


def is_ours(series):
    return not series.startswith("torch")


def by_series(records):
    """Return {series: its records by ascending x}."""
    out = {}
    for record in sorted(records, key=lambda r: r["x"]):
        out.setdefault(record["series"], []).append(record)
    return out


def of_task(records, task):
    return [r for r in records if r["task"] == task]


def pivot(caption, records, what, cell):
    """Make a table with a row for each series and a column for each x."""
    places = sorted({r["x"] for r in records})
    rows = []
    for series, own in by_series(records).items():
        found = {r["x"]: cell(r, own) for r in own}
        rows.append([series, *(found.get(x, "-") for x in places)])
    return Table(caption, ["series", *(f"{x:,} {what if x != 1 else what.rstrip('s')}" for x in places)], rows)


def _range(record):
    return small(f" ({number(record['low'])}–{number(record['high'])})")


def _over_classes(records, colors):
    yield Heading("Over classes", 3)
    yield Picture(
        CLASSES,
        "Lines: microseconds a row of training and of prediction over the number of classes, both axes logarithmic",
        "Cost of a row over the number of classes. Bands are the least and the greatest round.",
        lambda save: draw_cost(save, records, colors),
        suffix="png",
    )
    for task in TASKS:
        own = of_task(records, task)
        if own:
            caption = f"Cost of {task} over classes, microseconds a row"
            yield pivot(caption, own, "classes", lambda r, _: Cell([number(r["y"]), _range(r)], r["y"]))


def _over_negatives(records, colors):
    yield Heading("Over negatives", 3)
    yield Paragraph(
        f"Tokens of Python's standard library from the six before each, {records[0]['n_classes']:,} classes, "
        f"epochs: {records[0]['epochs']}. NLL and P@1 are of held-out rows."
    )
    yield Picture(
        NEGATIVES,
        "Lines: microseconds a row of training, and the NLL of held-out rows, over the number of negatives",
        "Cost of a training row and what quality it buys, over the number of negatives.",
        lambda save: draw_negatives(save, records, colors),
    )
    rows = [
        [
            r["series"],
            Cell(f"{r['x']:,}", r["x"]),
            Cell([number(r["y"]), _range(r)], r["y"]),
            Cell(f"{r['nll']:.4f}", r["nll"]),
            Cell(f"{r['p_at_1_percent']:.2f}", r["p_at_1_percent"]),
        ]
        for own in by_series(records).values()
        for r in own
    ]
    header = ["series", "classes in a step beside the true one", "microseconds a row", "NLL", "P@1, %"]
    yield Table("Cost and quality over negatives", header, rows)


def speed_up(record, own):
    """Return how many times as fast it is as with the fewest threads of its series."""
    return own[0]["y"] / record["y"]


def _over_threads(records, colors):
    yield Heading("Over threads", 3)
    yield Picture(
        THREADS,
        "Lines: speed-up over the number of threads, beside the ideal one",
        "Speed-up over the number of threads; dashed, the ideal one.",
        lambda save: draw_threads(save, records, colors),
    )

    def cell(record, own):
        return Cell([f"{number(record['y'])} ({speed_up(record, own):.2f}×)", _range(record)], record["y"])

    yield pivot("Cost over threads, microseconds a row, and speed-up", records, "threads", cell)
    shares = amdahl(records)
    if shares:
        rows = [
            [series, Cell(f"{100 * share:.1f}", share), Cell(f"{predicted(share, MANY_THREADS):.1f}×")]
            for series, share in shares.items()
        ]
        header = ["series", "serial share, % of one thread's time", f"speed-up that it allows {MANY_THREADS} threads"]
        yield Table("Amdahl's law, from one thread and two", header, rows)


def _memory(records, colors):
    yield Heading("Memory over classes", 3)
    yield Picture(
        MEMORY,
        "Lines: peak memory beyond the model and the size of the model over the number of classes, both axes logarithmic",
        "Peak memory beyond the model and the rows, over the number of classes; dotted, the model's own size with the "
        "optimiser's state.",
        lambda save: draw_memory(save, records, colors),
    )

    def cell(record, own):
        model = small(f" (model {number(record['model_bytes'] / MIB)})")
        return Cell([number(record["y"] / MIB), model], record["y"])

    yield pivot("Peak memory beyond the model, and the model itself, MiB", records, "classes", cell)


# -- pictures --


def _colors(records):
    return style.colors(list(by_series(records)), is_ours)


def draw_cost(save, records, colors):
    tasks = [task for task in TASKS if of_task(records, task)]
    with style.panels(save, len(tasks)) as (_, panels):
        ends = []
        for axes, task in zip(panels, tasks, strict=True):
            own = of_task(records, task)
            ends.append(_lines(axes, own, colors, lambda r, _: r["y"]))
            for series, points in by_series(own).items():
                xs, low, high = ([r[key] for r in points] for key in ("x", "low", "high"))
                axes.fill_between(xs, low, high, color=colors[series], alpha=0.2, linewidth=0)
            _logarithmic(axes, "classes", f"{task}: µs a row")
        style.label_ends(panels, ends)


def draw_negatives(save, records, colors):
    with style.panels(save, 2) as (_, panels):
        ends = [
            _lines(panels[0], records, colors, lambda r, _: r["y"]),
            _lines(panels[1], records, colors, lambda r, _: r["nll"]),
        ]
        _logarithmic(panels[0], "classes in a step beside the true one", "training: µs a row")
        panels[1].set_xscale("log")
        style.plain_numbers(panels[1].xaxis)
        panels[1].set_xlabel("classes in a step beside the true one")
        panels[1].set_title("NLL of held-out rows, nats (less is better)")
        style.label_ends(panels, ends)


def draw_threads(save, records, colors):
    with style.panels(save, 1) as (_, panels):
        axes = panels[0]
        places = sorted({r["x"] for r in records})
        axes.plot(places, [x / places[0] for x in places], color=style.INK, linestyle="--", linewidth=1, zorder=1)
        ends = _lines(axes, records, colors, speed_up)
        axes.set_xticks(places)
        axes.set_xlabel("threads")
        axes.set_title("speed-up (dashed: ideal)")
        style.label_ends(panels, [[*ends, ("ideal", places[-1], places[-1] / places[0], style.INK, False)]])


def draw_memory(save, records, colors):
    with style.panels(save, 1, width=7) as (_, panels):
        ends = _lines(panels[0], records, colors, lambda r, _: r["y"] / MIB)
        for series, points in by_series(records).items():
            xs, sizes = [r["x"] for r in points], [r["model_bytes"] / MIB for r in points]
            panels[0].plot(xs, sizes, color=colors[series], linestyle=":", linewidth=1.2)
        _logarithmic(panels[0], "classes", "peak beyond the model, MiB (dotted: the model)")
        style.label_ends(panels, [ends])


def _lines(axes, records, colors, y):
    """Draw y(record, its series) as a line for each series; return the ends of the lines, for labels."""
    ends = []
    for series, own in by_series(records).items():
        color, values = colors[series], [y(r, own) for r in own]
        ours = is_ours(series)
        axes.plot([r["x"] for r in own], values, color=color, marker="o", linestyle="-" if ours else "--")
        ends.append((series, own[-1]["x"], values[-1], color, ours))
    return ends


def _logarithmic(axes, what, title):
    axes.set_xscale("log")
    axes.set_yscale("log")
    style.plain_numbers(axes.xaxis)
    style.plain_numbers(axes.yaxis)
    axes.set_xlabel(what)
    axes.set_title(title)
