"""The parts of a report, text, tables and pictures, as plain data from which all of its forms are made.

Text is a string or a list of strings and spans. Strings come from anywhere (names, reasons of failures), so that whoever
renders them escapes them and writes the end of a line as a space.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Span:
    """Text that is "strong", "code" or "small"; the manner "break" ends a line."""

    manner: str
    text: str = ""


BREAK = Span("break")


def strong(text):
    return Span("strong", text)


def small(text):
    return Span("small", text)


def prose(text):
    """Turn our own sentences, with code between backticks, into text."""
    parts = text.split("`")
    return [Span("code", part) if i % 2 else part for i, part in enumerate(parts) if part]


def spans(text):
    return [text] if isinstance(text, str | Span) else list(text)


@dataclass(frozen=True)
class Cell:
    """A cell of a table, `width` columns wide; tables are sorted by `value`, or by the text if that is None."""

    text: object
    value: float | None = None
    width: int = 1


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: object


@dataclass(frozen=True)
class Bullets:
    items: list


@dataclass(frozen=True)
class Table:
    """Rows of cells, of which the first names the row. What is not a Cell is the text of one."""

    caption: str
    header: list
    rows: list = field(default_factory=list)

    def cells(self):
        """Yield rows of Cells that are as wide as the header."""
        for row in self.rows:
            cells = [cell if isinstance(cell, Cell) else Cell(cell) for cell in row]
            if sum(cell.width for cell in cells) != len(self.header):
                raise ValueError(f"{self.caption}: a row does not fit the header: {row}")
            yield cells


@dataclass(frozen=True)
class Picture:
    """A file in the report's folder of pictures. `draw(save)` makes a figure and hands it to the function `save`.

    The file is an SVG, unless the README shows it: PyPI renders no SVG.
    """

    name: str
    alt: str
    caption: str
    draw: object
    suffix: str = "svg"

    @property
    def file(self):
        """The path below the report's folder."""
        return f"pictures/{self.name}.{self.suffix}"
