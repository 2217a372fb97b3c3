"""State dicts for files: what changes in training, as nested dicts of arrays and of values that JSON can hold.

Whatever keeps something from step to step has ``state()``, which returns such a dict, and ``restore(state)``, which takes
one. The arrays that `restore` is given may be read-only, so it has to copy them.
"""

import numpy as np

BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
ARRAY = "\0array"  # key that marks the place of a tensor in JSON; no state has such a key


def generator_state(rng):
    """The state of a numpy Generator as JSON can hold it; `generator` makes one of NumPy's own kinds from it."""
    return _as_json(rng.bit_generator.state)


def restore_generator(rng, state):
    """Set a Generator to a `generator_state` of a Generator of the same kind."""
    rng.bit_generator.state = _from_json(state)


def generator(state):
    """A new Generator in this `generator_state`."""
    if state["bit_generator"] not in BIT_GENERATORS:
        raise ValueError(f"no bit generator of NumPy is called {state['bit_generator']!r}")
    rng = np.random.Generator(getattr(np.random, state["bit_generator"])())
    restore_generator(rng, state)
    return rng


def _as_json(value):
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return {"values": value.tolist(), "dtype": value.dtype.str}
    return value.item() if isinstance(value, np.generic) else value


def _from_json(value):
    if not isinstance(value, dict):
        return value
    if value.keys() == {"values", "dtype"}:
        return np.array(value["values"], value["dtype"])
    return {key: _from_json(item) for key, item in value.items()}


def split(state, prefix="state"):
    """A nested state as values that JSON can hold, and its arrays by name."""
    arrays = {}

    def walk(value, name):
        if isinstance(value, dict):
            return {key: walk(item, f"{name}.{key}") for key, item in value.items()}
        if isinstance(value, np.ndarray):
            arrays[name] = value
            return {ARRAY: name}
        return value.item() if isinstance(value, np.generic) else value

    return walk(state, prefix), arrays


def joined(values, arrays):
    """The nested state that `split` took apart into `values` and `arrays`."""
    if not isinstance(values, dict):
        return values
    if values.keys() == {ARRAY}:
        return arrays[values[ARRAY]]
    return {key: joined(item, arrays) for key, item in values.items()}
