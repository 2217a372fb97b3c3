"""Checkpoints: everything that the rest of a training depends on, in a file from which a killed training resumes to the bit.

What `fit` makes from its arguments before the first step, it makes again: the initial model, the held-out rows, the learners
and the watchers. The file holds what changes from step to step, and an identity that tells whether the training is the same.
"""

import json
import time

import numpy as np
from scipy import sparse

from fastsoftmax.files import tensor_file
from fastsoftmax.files.state_dict import generator_state, joined, restore_generator, split
from fastsoftmax.runtime.ranks import ONE
from fastsoftmax.samplers.base import Sampler
from fastsoftmax.training.watchers.base import Watcher
from fastsoftmax.training.watchers.checkpoint_files import FORMAT, FORMAT_VERSION, files_of

SAMPLED_PROGRESS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)  # values of schedules at these tell them apart
# Parameters that do not matter to the result, or are compared in another way (random_state)
NO_MATTER = ("n_threads", "verbose", "checkpoint", "weights_dir", "random_state")
# Options that checkpoints of earlier versions do not name, and what training was like before there were these
SINCE = {"hidden_size__divide": "auto", "hidden_size__normalize": False}


class CheckpointWatcher(Watcher):
    """Writes the state of a training from time to time, and restores it. It is the last of the training's watchers.

    Parameters
    ----------
    path : path-like
    every : float
        The least number of seconds from the end of one checkpoint to the next one.
    identity : dict of str to values that JSON can hold
        What tells this training from others, by the user's names.
    rng : numpy Generator before its first use; it is set to the state that the training of the file began at
    seeded : whether the user gave a `random_state`
    ranks : runtime.ranks.Ranks, which write a file each after the same step, when rank 0 says so

    Raises
    ------
    ValueError
        If the file exists, but is not a checkpoint, is damaged, or is of another training, or of another number of ranks.
    """

    def __init__(self, path, every, identity, rng, *, seeded, ranks=ONE):
        self.files, self.every, self.identity, self.ranks = files_of(path, ranks), every, identity, ranks
        self.path = self.files.path
        self.start = generator_state(rng)
        identity["random_state"] = self.start if seeded else None
        self.header, self.tensors = self.files.read() or (None, None)
        self.last = time.monotonic()
        if self.header is not None:
            with ranks.together():
                self._check_same(identity, self.header["identity"])
            self.start = self.header["start"]
            restore_generator(rng, self.start)

    def _check_same(self, identity, before):
        identity = json.loads(json.dumps(identity))
        before = {name: value for name, value in SINCE.items() if name in identity} | before
        for name in dict.fromkeys([*identity, *before]):
            if name not in before:  # after the parameter that it is an option of, which is the same
                raise ValueError(
                    f"checkpoint {str(self.path)!r} is of another version of fastsoftmax, which does not know {name}: let "
                    "that version end the training, or remove the file to start anew"
                )
            if identity.get(name) != before[name]:
                was, now = _short(before.get(name)), _short(identity.get(name))
                raise ValueError(
                    f"checkpoint {str(self.path)!r} is of another training: {name} was {was}, now it is {now}. Remove the "
                    "file or name another one to start anew"
                )

    def plan_before(self, plan):
        """The plan that training began with, if there is a file: "auto" may depend on the free memory. Else `plan`."""
        return plan if self.header is None else type(plan)(*self.header["plan"])

    def resume(self, trainer, watchers, model, plan):
        """Restore everything from the file, if there is one. It is called before the first step."""
        self.watchers = [watcher for watcher in watchers if watcher.matters]  # the others may differ between runs
        self.model, self.plan = model, plan
        crc32 = {name: tensor_file.checksum(a) for name, a in model.arrays_in_c_order().items()}
        if model.scale is not None:
            crc32["scale"] = model.scale
        self.initial = {"the model that training begins at": crc32}
        if self.header is None:
            return
        with self.ranks.together():
            self._restore(trainer, model)
        self.header = self.tensors = None  # they hold memory maps of the file

    def _restore(self, trainer, model):
        self._check_same(self.initial, self.header["initial"])
        try:
            state = joined(self.header["state"], self.tensors)
            model.set_arrays(state["model"])
            trainer.restore(state["trainer"])
            for watcher, saved in zip(self.watchers, state["watchers"].values(), strict=True):
                watcher.restore(saved)
        except tensor_file.DAMAGE as error:
            message = f"checkpoint {str(self.path)!r} does not fit its training ({type(error).__name__}: {error})"
            raise ValueError(message) from error

    def after_step(self, trainer, n_rows, loss):
        if self.files.is_due(time.monotonic() - self.last >= self.every):
            self._write(trainer)

    def after_epoch(self, trainer):
        self.after_step(trainer, 0, None)

    def _write(self, trainer):
        state = {
            "model": self.model.arrays_in_c_order(),
            "trainer": trainer.state(),
            "watchers": {str(i): watcher.state() for i, watcher in enumerate(self.watchers)},
        }
        values, tensors = split(state)
        header = {"format": FORMAT, "format_version": FORMAT_VERSION, "identity": self.identity, "start": self.start}
        header |= {"initial": self.initial, "plan": list(self.plan), "state": values}
        self.files.write(tensors, header, [trainer.steps_done, trainer.epoch])
        self.last = time.monotonic()

    def remove(self):
        """Remove the file when training is done, unless somebody else has written it in the meantime."""
        self.files.remove()


def identity(params, X, target, weight, classes, valid=None):
    """What tells one training from others, as a dict: parameters, and the sizes and checksums of the data.

    params : the options of the classifier as a flat dict, as Options.flat returns them
    """
    return describe_params(params, NO_MATTER) | {
        "X": describe(X),
        "y": [describe(classes), describe(target.support())],
        "sample_weight": describe(weight),
        "X_val, y_val, sample_weight_val": valid and describe([valid[0], valid[1].support(), valid[2]]),
    }


def describe_params(params, but):
    """What JSON can hold of the parameters of a classifier, and tells them from others; those named in `but` are left out."""
    params = {name: value for name, value in sorted(params.items()) if name.partition("__")[0] not in but}
    if callable(params["schedule"]):  # two lambdas have the same name
        params["schedule"] = [params["schedule"], *(float(params["schedule"](t)) for t in SAMPLED_PROGRESS)]
    return {name: describe(value) for name, value in params.items()}


def describe(value):
    """`value` if JSON can hold it, else something that JSON can hold and that tells it from other values."""
    if isinstance(value, np.generic):
        return describe(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return repr(value)  # nan is not equal to itself
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return {"shape": list(value.shape), "dtype": value.dtype.str, "crc32": tensor_file.checksum(value)}
    if isinstance(value, np.ndarray):
        text = json.dumps([describe(a) for a in value.tolist()])
        return {"shape": list(value.shape), "crc32": tensor_file.checksum(np.frombuffer(text.encode(), np.uint8))}
    if sparse.issparse(value):
        parts = {name: describe(getattr(value, name)) for name in ("data", "indices", "indptr") if hasattr(value, name)}
        return {"format": value.format, "shape": list(value.shape)} | parts
    if isinstance(value, Sampler):
        return {"sampler": repr(value), "probabilities": describe(np.asarray(value.probabilities()))}
    if isinstance(value, dict):
        return [[describe(k), describe(a)] for k, a in value.items()]
    if isinstance(value, (list, tuple)):
        return [describe(a) for a in value]
    if isinstance(value, type) or callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    if isinstance(value, np.dtype):
        return value.name
    kind = type(value).__qualname__
    if hasattr(value, "draw"):  # a user's sampler, of which the file holds what it has learned
        return kind
    return [kind, *([name, describe(a)] for name, a in sorted(getattr(value, "__dict__", {}).items()))]


def _short(value):
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:100]}..."
