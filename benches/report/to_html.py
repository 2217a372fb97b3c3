"""A report as an HTML page that needs no other file."""

import re
from html import escape
from importlib.resources import files

from .document import Bullets, Heading, Paragraph, Picture, Table, spans
from .style import INK, PAPER

_MANNERS = {"strong": "<strong>{}</strong>", "code": "<code>{}</code>", "small": "<small>{}</small>", "break": "<br>"}


def page(title, blocks, pictures):
    """Return the page; `pictures` are SVG texts by name."""
    here = files(__package__)
    headings = [block for block in blocks if isinstance(block, Heading)]
    anchors = {id(heading): f"part-{number}" for number, heading in enumerate(headings)}
    parts = [_render(block, anchors, pictures) for block in blocks]
    contents = [f'<li><a href="#{anchors[id(h)]}">{inline(h.text)}</a></li>' for h in headings if h.level == 2]
    return "\n".join(
        [
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{inline(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<style>\n{(here / 'page.css').read_text()}</style>\n</head>\n<body>\n<main>\n<h1>{inline(title)}</h1>",
            f'<nav aria-label="Contents"><ul>{"".join(contents)}</ul></nav>',
            *parts,
            f"</main>\n<script>\n{(here / 'page.js').read_text()}</script>\n</body>\n</html>\n",
        ]
    )


def inline(text):
    return "".join(
        escape(span) if isinstance(span, str) else _MANNERS[span.manner].format(escape(span.text))
        for span in spans(text)
    )


def _render(block, anchors, pictures):
    match block:
        case Heading():
            return f'<h{block.level} id="{anchors[id(block)]}">{inline(block.text)}</h{block.level}>'
        case Paragraph():
            return f"<p>{inline(block.text)}</p>"
        case Bullets():
            return f"<ul>{''.join(f'<li>{inline(item)}</li>' for item in block.items)}</ul>"
        case Table():
            return _table(block)
        case Picture():
            svg = inlined(pictures[block.name], block.name, block.alt)
            return f"<figure>{svg}<figcaption>{inline(block.caption)}</figcaption></figure>"
    raise TypeError(f"no part of a report: {block!r}")


def _table(table):
    header = "".join(f'<th scope="col"><button type="button">{inline(name)}</button></th>' for name in table.header)
    rows = "".join(f"<tr>{''.join(_cell(cell, i == 0) for i, cell in enumerate(row))}</tr>\n" for row in table.cells())
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{inline(table.caption)}">'
        f"<table><caption>{inline(table.caption)}</caption>\n<thead><tr>{header}</tr></thead>\n"
        f"<tbody>\n{rows}</tbody></table></div>"
    )


def _cell(cell, names_row):
    attributes = ' scope="row"' if names_row else ""
    if cell.width > 1:
        attributes += f' colspan="{cell.width}" class="message"'
    if cell.value is not None:
        value = repr(float(cell.value)).replace("inf", "Infinity")
        attributes += f' data-value="{value}"'
    tag = "th" if names_row else "td"
    return f"<{tag}{attributes}>{inline(cell.text)}</{tag}>"


def inlined(svg, name, alt):
    """Make an SVG a part of the page: give it ids of its own, a title, and the page's colours of ink and paper."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace(INK, "currentColor").replace(PAPER, "none")
    head, rest = svg.split(">", 1)
    width = 1.4 * float(
        re.search(r'viewBox="\S+ \S+ (\S+)', head)[1]
    )  # so that letters are as large as the page's small ones
    head = re.sub(r'\s(width|height|xmlns(:\w+)?|version)="[^"]*"', "", head)
    head += f' style="max-width: {width:.0f}px" role="img" aria-labelledby="{name}-alt"'
    return f'{head}><title id="{name}-alt">{escape(alt)}</title>{rest}'
