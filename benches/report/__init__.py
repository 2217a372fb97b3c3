"""Results as pictures, an HTML page and Markdown, which are all made of the same parts so that they cannot disagree."""

from functools import partial
from pathlib import Path

from . import bounds, curves, kernels, quality, style, to_html, to_markdown
from .document import Bullets, Heading, Paragraph, Picture, Table

TITLE = "Benchmarks: results"
SECTIONS = (  # key of the results, section, its title if it was not measured
    ("quality", quality.section, "Quality and cost of whole systems"),
    ("curves", curves.section, "Cost over classes, negatives and threads"),
    ("kernels", kernels.section, "Kernels"),
)


def write(results, folder):
    """Write report.html, RESULTS.md and pictures/ of results to `folder`.

    Parameters
    ----------
    results : dict of plain numbers, as JSON holds them
        "quality", "curves", "kernels": what those benchmarks return, with a "machine", pairs of name and value, or None
        where they were not run.
    folder : path
    """
    folder = Path(folder)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    blocks, pictures = list(parts(results)), {}
    for block in blocks:
        if isinstance(block, Picture):
            block.draw(partial(_save, block, folder / block.file, pictures))
    (folder / "RESULTS.md").write_text(to_markdown.markdown(TITLE, blocks), encoding="utf-8")
    (folder / "report.html").write_text(to_html.page(TITLE, blocks, pictures), encoding="utf-8")


def _save(picture, path, pictures, figure):
    """Write the picture's file, and add its SVG text to `pictures`, for the HTML page."""
    pictures[picture.name] = text = style.svg(figure)
    if picture.suffix == "svg":
        path.write_text(text, encoding="utf-8")
    else:
        style.save_png(figure, path)


def parts(results):
    """Yield the blocks of the report."""
    yield Paragraph("Written by the benchmark command from the numbers in results/.")
    yield _machines(results)
    for key, section, title in SECTIONS:
        if results[key] is None:
            yield Heading(title)
            yield Paragraph("Not measured in this run.")
        else:
            yield from section(results[key])
    yield from _not_reached(results)


def _machines(results):
    """Make a table with a column for each part, since they may have been measured on different days or machines."""
    machines = {key: dict(results[key]["machine"]) for key, _, _ in SECTIONS if results[key] is not None}
    names = dict.fromkeys(name for machine in machines.values() for name in machine)
    rows = [[name, *(machine.get(name, "-") for machine in machines.values())] for name in names]
    return Table("The machine when each part was measured", ["what", *machines], rows)


def _not_reached(results):
    if results["kernels"]:
        yield Heading("What bounds kernels that miss their goals")
        yield Bullets(list(bounds.BOUNDS))
        yield Heading("Asked of kernels and not reached")
        yield Bullets(list(kernels.misses(results["kernels"])) or ["Nothing."])
