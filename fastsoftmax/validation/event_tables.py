"""Tables of events, an event a row: a user, an item, perhaps a time, and what else is known of the event."""

import numpy as np

from fastsoftmax.validation.foreign import is_table, opened
from fastsoftmax.validation.labels import check_labels
from fastsoftmax.validation.sequences import check_events

USER, ITEM, TIME = "user", "item", "time"  # the names of columns


def is_event_table(sequences):
    """Whether sequences are given as a table: of pandas, polars or pyarrow, for example, or a dict of columns."""
    return isinstance(sequences, dict) or is_table(sequences)


def check_event_table(name, table, side=(), *, timed=False):
    """The columns of a table of events.

    Parameters
    ----------
    table : what `is_event_table` says is one
    side : sequence of str, the names of further columns of labels
    timed : whether there must be times, and finite ones

    Returns
    -------
    users, items : arrays of labels
    times : array of numbers or dates; None: the table has no such column
    columns : dict of str to array of labels, those of `side`
    """
    frame = table if isinstance(table, dict) else opened(name, table)
    names = list(table) if isinstance(table, dict) else frame.columns
    values = {}
    for column in (USER, ITEM, *([TIME] if timed or TIME in names else []), *side):
        if column not in names:
            raise ValueError(f"{name} must have a column {column!r}, got {', '.join(map(repr, names[:20])) or 'none'}")
        values[column] = frame[column] if isinstance(table, dict) else frame[column].to_numpy()
    users, items, times = check_events(values[USER], values[ITEM], values.get(TIME))
    if timed and times.dtype.kind == "f" and not np.isfinite(times).all():
        at = int(np.isinf(times).argmax())
        raise ValueError(f"times must be finite, got {times[at]} at position {at}")
    return users, items, times, {column: _side_labels(column, values[column], len(users)) for column in side}


def _side_labels(column, values, n_events):
    labels = check_labels(values, name=column)[0]
    if len(labels) != n_events:
        raise ValueError(f"{column} must be as many as users, got {len(labels)} and {n_events}")
    return labels


def check_side(side):
    """The names of side columns, a tuple of str: those of a list or tuple, or a lone one."""
    names = (side,) if isinstance(side, str) else side
    if not isinstance(names, (list, tuple)) or not all(isinstance(column, str) for column in names):
        raise TypeError(f"side must be a list of the names of columns, got {side!r}")
    if len(set(names)) < len(names) or {ITEM, TIME} & set(names):
        raise ValueError(f"side must hold different names, and neither {ITEM!r} nor {TIME!r}, got {side!r}")
    return tuple(names)


def check_needs_no_table(name, side, *, timed):
    """Raise where lists and arrays of sequences lack what the features are made of."""
    what = f"side={list(side)}" if side else "half_life" if timed else None
    if what is not None:
        raise ValueError(
            f"{name} must be a table of events for {what}, which sequences of items tell nothing of: a DataFrame, or a dict "
            f"of columns {USER!r}, {ITEM!r} and others"
        )


def check_blocks_learn(min_count, *, ngrams):
    """Raise where items that occur seldom are left out of n-grams, and a stream tells only at its end which these are."""
    if ngrams > 1 and min_count > 1:
        raise ValueError(f"min_count must be 1 where n-grams are learned from a stream, got {min_count}")


def check_some_items(name, n_items):
    """Raise unless the blocks of a stream have had items."""
    if not n_items:
        raise ValueError(f"{name} must hold items, got a stream without any")


def check_has_no_stream(name, is_stream):
    """Raise where what is gone through twice can be gone through once."""
    if is_stream:
        raise TypeError(
            f"{name} must not be a stream, which ends with `fit`: call `fit`, and `transform` with a new one"
        )


def check_item_count(counts, min_count):
    """Raise unless an item occurs so often."""
    if counts.max() < min_count:
        raise ValueError(
            f"min_count must be at most {counts.max()}, the most often that an item occurs, got {min_count}"
        )
