import numpy as np

from fastsoftmax.model.model import Model


def test_the_first_array_that_is_not_finite():
    model = Model(W=np.full((2, 3), 1e308), bias=np.zeros(2), state={"W": np.zeros((2, 3)), "bias": np.zeros(2)})
    assert model.first_non_finite() is None  # although the sum overflows
    model.state["W"][1, 2] = np.nan
    assert model.first_non_finite() == "state.W" and model.first_non_finite(with_state=False) is None
    model.bias[1] = -np.inf
    assert model.first_non_finite() == model.first_non_finite(with_state=False) == "bias"
