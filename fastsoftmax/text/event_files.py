"""Files of events: a line each, with columns for the user, the item and, perhaps, the time."""

import csv
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from fastsoftmax.text.lines import EmptyFileError, decoded, line_error, open_lines

TIME = "time"  # the name of a column that need not be there


class Events(NamedTuple):
    """Users and items as lists of str, and times as an array of numbers or dates; None: the file has none."""

    users: list
    items: list
    times: np.ndarray | None


def read_events(source, *, user="user", item="item", time=None, show=None):
    """The events in a file of comma or tab separated values, whose first line names the columns.

    The file may be compressed. Fields may stand in quotes, as the module csv reads them. Blank lines and other columns are
    left out.

    Parameters
    ----------
    source : path or binary file
    user, item : str
        The names of the columns.
    time : str, optional
        The column of times: numbers or dates in ISO 8601. By default "time", where there is such a column; otherwise events
        are in order.
    show : function, optional
        It is called with the numbers of bytes that are read.

    Raises
    ------
    ValueError
        If the file is empty, lacks a column, or has a line that is damaged, as the message says.
    """
    with open_lines(source, show) as (name, lines):
        texts = decoded(name, lines)
        header = next(texts, "")
        reader = csv.reader(_again(header, texts), delimiter="\t" if "\t" in header else ",", strict=True)
        try:
            columns = next(reader, [])
            places = _places(name, columns, [user, item, time])
            fields = _fields(name, reader, len(columns), places)
        except csv.Error as error:
            raise line_error(name, reader.line_num, error) from None
    users, items, *times = fields
    if not users:
        raise EmptyFileError(f"{name}: no events below the names of the columns")
    return Events(users, items, _as_times(name, times[0]) if times else None)


def _again(first, rest):
    """An iterator that was advanced, from its first element."""
    yield first
    yield from rest


def _places(name, columns, wanted):
    """The places of the wanted columns; without that of the time where none is asked for by name and none is there."""
    if not any(column.strip() for column in columns):
        raise EmptyFileError(f"{name}: empty file; its first line has to name the columns")
    if wanted[-1] is None:
        wanted = [*wanted[:-1], *([TIME] if TIME in columns else [])]
    for column in wanted:
        if columns.count(column) != 1:
            how = "more than one column" if column in columns else "no column"
            raise ValueError(f"{name} has {how} {column!r}; its columns are {', '.join(map(repr, columns[:20]))}")
    return [columns.index(column) for column in wanted]


def _fields(name, reader, n_columns, places):
    """The fields of the wanted columns, a list each; equal ones of users and items are one object."""
    out, known = [[] for _ in places], [{}, {}]
    for row in reader:
        if not row:
            continue
        if len(row) != n_columns:
            raise line_error(name, reader.line_num, f"{len(row)} columns, and the first line names {n_columns}")
        for i, place in enumerate(places):
            field = row[place]
            if not field:
                raise line_error(name, reader.line_num, f"nothing in column {place + 1}")
            out[i].append(known[i].setdefault(field, field) if i < 2 else field)
    return out


def _as_times(name, texts):
    """Integers, numbers or dates, whichever all of the texts are."""
    for convert in (_integers, _numbers, _dates):
        try:
            return convert(texts)
        except (ValueError, OverflowError):
            continue
    bad = next((text for text in texts if not _is_time(text)), None)
    what = f"got {bad!r}" if bad is not None else f"and all of one kind, got {texts[0]!r} and others"
    raise ValueError(f"{name}: times must be numbers or dates such as 2024-05-31T12:00:00, {what}")


def _integers(texts):
    return np.fromiter(map(int, texts), np.int64, len(texts))


def _numbers(texts):
    numbers = np.fromiter(map(float, texts), np.float64, len(texts))
    if np.isnan(numbers).any():
        raise ValueError("no number")
    return numbers


def _dates(texts):
    """Dates to the microsecond in UTC, which those without a time zone are in already."""
    return np.array([_in_utc(datetime.fromisoformat(text)) for text in texts], "M8[us]")


def _in_utc(date):
    return date if date.tzinfo is None else date.astimezone(UTC).replace(tzinfo=None)


def _is_time(text):
    for convert in (_numbers, _dates):
        try:
            convert([text])
            return True
        except (ValueError, OverflowError):
            continue
    return False
