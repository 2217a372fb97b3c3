"""Results as pictures, one HTML page and Markdown, all from the same parts, so that they cannot disagree."""

from pathlib import Path

from . import curves, kernels, quality, to_html, to_markdown
from .document import Bullets, Heading, Paragraph, Picture, Table

TITLE = "Benchmarks: results"
SECTIONS = (  # key of the results, section, what it is called where it was not measured
    ("quality", quality.section, "Quality and cost of whole systems"),
    ("curves", curves.section, "Cost over classes, negatives and threads"),
    ("kernels", kernels.section, "Kernels"),
)


def write(results, folder):
    """Writes report.html, RESULTS.md and pictures/ (.svg and .png) of results to `folder`.

    Parameters
    ----------
    results : dict of plain numbers, as JSON holds them
        "quality", "curves", "kernels": what those benchmarks return, with a "machine", pairs of name and value, or None
        where they were not run.
    folder : path
    """
    folder = Path(folder)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    blocks = list(parts(results))
    for block in blocks:
        if isinstance(block, Picture):
            block.draw(folder / block.file)
    (folder / "RESULTS.md").write_text(to_markdown.markdown(TITLE, blocks), encoding="utf-8")
    (folder / "report.html").write_text(to_html.page(TITLE, blocks, folder), encoding="utf-8")


def parts(results):
    """The blocks of the report."""
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
    """A column for each part: one may have been measured on another day, or machine, than the others."""
    machines = {key: dict(results[key]["machine"]) for key, _, _ in SECTIONS if results[key] is not None}
    names = dict.fromkeys(name for machine in machines.values() for name in machine)
    rows = [[name, *(machine.get(name, "-") for machine in machines.values())] for name in names]
    return Table("The machine when each part was measured", ["what", *machines], rows)


def _not_reached(results):
    if results["kernels"]:
        yield Heading("Asked of kernels and not reached")
        yield Bullets(list(kernels.misses(results["kernels"])) or ["Nothing."])
