"""Methods of a fitted model that are calls of all ranks where its classes are divided."""

import functools


def all_or_none(method):
    """The method, after which all ranks have succeeded or failed: where one fails alone, the others would wait for it."""

    @functools.wraps(method)
    def together(self, *args, **kwargs):
        with self._fitted_model().shard.ranks.all_or_none():
            return method(self, *args, **kwargs)

    return together
