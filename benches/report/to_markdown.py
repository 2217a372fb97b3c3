"""A report as Markdown, in GitHub's dialect."""

import re

from .document import Bullets, Heading, Paragraph, Picture, Table, spans

_SPECIAL = re.compile(r"([\\`*<|\[\]~]|(?<!\w)_|_(?!\w)|^[>#])")  # an underscore within a word needs no escape
_MANNERS = {"strong": "**{}**", "small": "{}", "break": "<br>"}


def markdown(title, blocks):
    return "\n\n".join([f"# {inline(title)}", *(_RENDERERS[type(block)](block) for block in blocks)]) + "\n"


def inline(text):
    return "".join(_span(span) for span in spans(text))


def _span(span):
    if isinstance(span, str):
        return _escape(span)
    if span.manner == "code":
        return f"`{_one_line(span.text).replace('|', '&#124;')}`"
    return _MANNERS[span.manner].format(_escape(span.text))


def _escape(text):
    return _SPECIAL.sub(r"\\\1", _one_line(text).replace("&", "&amp;"))


def _one_line(text):
    return re.sub(r"\s*[\r\n\v\f\x85\u2028\u2029]\s*", " ", text)


def _table(table):
    rows = [[inline(name) for name in table.header], ["---"] * len(table.header)]
    for cells in table.cells():
        rows.append([])
        for cell in cells:
            rows[-1] += [inline(cell.text), *["-"] * (cell.width - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


_RENDERERS = {
    Heading: lambda block: f"{'#' * block.level} {inline(block.text)}",
    Paragraph: lambda block: inline(block.text),
    Bullets: lambda block: "\n".join(f"- {inline(item)}" for item in block.items),
    Table: _table,
    Picture: lambda block: f"![{inline(block.alt)}]({block.file})\n\n{inline(block.caption)}",
}
