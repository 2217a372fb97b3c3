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
        "machine": pairs of name and value; "quality", "curves", "kernels": what those benchmarks return, or None where they
        were not run; "asked", which may be left out: further figures that were set as goals, as triples of what was asked,
        what was measured, and whether that is enough.
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
    yield Paragraph("Written by the benchmark command, from the numbers of one machine:")
    yield Table("The machine", ["what", "value"], [list(pair) for pair in results["machine"]])
    for key, section, title in SECTIONS:
        if results[key] is None:
            yield Heading(title)
            yield Paragraph("Not measured in this run.")
        else:
            yield from section(results[key])
    yield from _not_reached(results)


def _not_reached(results):
    misses = list(kernels.misses(results["kernels"])) if results["kernels"] else []
    asked = results.get("asked") or []
    misses += [f"{what}: measured {measured}" for what, measured, met in asked if not met]
    if results["kernels"] or asked:
        yield Heading("Asked and not reached")
        yield Bullets(misses or ["Nothing."])
