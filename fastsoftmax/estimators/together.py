"""What estimators have that several ranks train: methods that are calls of all of them, and copies with the same ranks."""

import copy
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


class SharedCommunicator:
    """An estimator with a parameter `comm`, which its copies and clones share: what MPI calls a copy takes all ranks."""

    def __sklearn_clone__(self):
        without = object.__new__(type(self))
        vars(without).update(vars(self), comm=None)
        cloned = super(SharedCommunicator, without).__sklearn_clone__()
        cloned.comm = self.comm
        return cloned

    def __deepcopy__(self, memo):
        copied = memo[id(self)] = object.__new__(type(self))
        memo[id(self.comm)] = self.comm
        copied.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return copied
