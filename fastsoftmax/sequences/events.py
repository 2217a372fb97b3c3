"""Events, each a user, an item and a time, as one sequence of items for each user."""

import itertools

import numpy as np

from fastsoftmax.validation import check_events, learn_classes


def events_to_sequences(users, items, times=None):
    """The items of each user, oldest first, in a list; the user whose last event is the oldest comes first.

    Parameters
    ----------
    users : array-like of shape (n_events,)
        Integers, strings or other hashable objects.
    items : array-like of shape (n_events,)
        The same.
    times : array-like of shape (n_events,), optional
        Numbers or dates. By default the events are in order already. Events of equal times stay in the order in which they
        are given, and so do users whose last events are of equal times.

    Returns
    -------
    list of lists
        The items are Python's own objects.

    Raises
    ------
    ValueError
        If there are not as many of each, a user or an item is missing, or a time is NaN or NaT.
    TypeError
        If users or items cannot be labels, or times are neither numbers nor dates.
    """
    return users_and_sequences(users, items, times)[1]


def users_and_sequences(users, items, times=None):
    """The users in an array, and the sequences that `events_to_sequences` returns, in the same order."""
    users, items, times = check_events(users, items, times)
    if not len(users):
        return users, []
    names, order, indptr = in_order(users, times)
    items = items[order].tolist()
    return names, [items[start:end] for start, end in itertools.pairwise(indptr.tolist())]


def in_order(users, times=None):
    """The order that lays events end to end, one user's after another's, the oldest first.

    Parameters
    ----------
    users, times : checked arrays, as for `events_to_sequences`

    Returns
    -------
    names : (n_users,) array, the users; the one whose last event is the oldest comes first
    order : (n_events,) int64, the numbers of the events
    indptr : (n_users + 1,) int64, where each user's begin in `order`, and where the last one's end
    """
    names, codes = learn_classes(users, name="users")
    order = np.argsort(codes, kind="stable") if times is None else np.lexsort((times, codes))  # both are stable
    lengths = np.bincount(codes, minlength=len(names))
    ends = np.cumsum(lengths)
    last = order[ends - 1]  # the last event of each user
    by_age = np.argsort(last) if times is None else np.lexsort((last, times[last]))
    indptr = np.append(0, np.cumsum(lengths[by_age]))
    places = np.repeat((ends - lengths)[by_age] - indptr[:-1], lengths[by_age]) + np.arange(len(order))
    return names[by_age], order[places], indptr
