"""Methods that are calls of all ranks, where there are several."""

import functools


def all_or_none(ranks_of):
    """Decorate a method, after which all ranks have succeeded or failed: where one failed alone, the others would wait for it.

    ranks_of : function of the object that returns its runtime.ranks.Ranks
    """

    def decorated(method):
        @functools.wraps(method)
        def together(self, *args, **kwargs):
            with ranks_of(self).all_or_none():
                return method(self, *args, **kwargs)

        return together

    return decorated


def _ranks_of_model(estimator):
    return estimator._fitted_model().shard.ranks


by_all_ranks = all_or_none(_ranks_of_model)  # for methods of fitted models
