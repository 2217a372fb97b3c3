"""The base class of what makes features: scikit-learn's methods for parameters that the constructor checks."""

import copy

from sklearn.base import BaseEstimator


class Checked(BaseEstimator):
    """An estimator whose constructor checks its parameters, and sets all attributes to those of one that is not fitted."""

    def set_params(self, **params):
        """As in scikit-learn. If it changes a parameter, it forgets what `fit` found with the others.

        Returns
        -------
        self
        """
        changed = super(Checked, copy.copy(self)).set_params(**params)
        new = type(self)(**changed.get_params(deep=False))
        if new.get_params(deep=False) != self.get_params(deep=False):
            vars(self).update(vars(new))
        return self
