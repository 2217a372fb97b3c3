"""Who does a command's work: this process alone, or the ranks that mpiexec has started.

With several ranks, the first one runs the command: it parses the options, reads the data and prints. Methods of its model
that need all classes are calls of all ranks, which it tells the others of. They make the call without rows of their own, and
have no other part in the command. So standard input, texts and what is printed need no care, and an error before a call is the
first rank's alone.
"""

import sys
import traceback
from functools import partial

import numpy as np

from fastsoftmax.cli.arguments import naming_options
from fastsoftmax.distributed import launch
from fastsoftmax.runtime.ranks import without_rank

TOGETHER = ("_fit", "predict_topk", "target_log_proba", "save")  # methods that all ranks call at the same time


class Alone:
    """One process, which has all classes."""

    size = 1

    def new(self, **params):
        """A SoftmaxClassifier."""
        from fastsoftmax.estimators import SoftmaxClassifier

        return SoftmaxClassifier(**params)

    def load(self, path, n_threads):
        """The classifier in a file, or in the folder of several ranks."""
        from fastsoftmax.estimators.loading import load

        return load(path).set_params(n_threads=n_threads)

    def remove(self, checkpoint):
        """Remove the checkpoint of a training, once its model is safe."""
        checkpoint.remove()

    def failed(self, error):
        """Remember the error that ends the command."""

    def warned(self, message):
        """Remember a warning."""


class Member:
    """What each rank does when the first one tells all: `new`, `load`, `method`, `set`, `number_classes`, `remove_checkpoint`.

    Parameters
    ----------
    ranks : runtime.ranks.Ranks
    """

    def __init__(self, ranks):
        self.ranks, self.classifier, self.error, self.warnings = ranks, None, None, []
        self.checkpoint = None  # of the last `_fit`
        self.default_threads = launch.default_threads(ranks)

    def new(self, params):
        from fastsoftmax.estimators import SoftmaxClassifier

        self.classifier = SoftmaxClassifier(**params, comm=self.ranks)
        self._set_threads(params["n_threads"])

    def load(self, path, n_threads):
        from fastsoftmax.estimators.loading import load

        self.classifier = load(path, comm=self.ranks)
        self._set_threads(n_threads)

    def method(self, name, args, kwargs):
        result = getattr(self.classifier, name)(*args, **kwargs)
        if name == "_fit":
            self.checkpoint = result
        return result

    def remove_checkpoint(self):
        self.checkpoint.remove()

    def set(self, name, value):
        setattr(self.classifier, name, value)

    def number_classes(self):
        self.classifier.classes_ = np.arange(len(self.classifier.classes_))

    def _set_threads(self, n_threads):
        self.classifier.set_params(n_threads=self.default_threads if n_threads is None else n_threads)
        if self.ranks.rank:  # the first one speaks for all
            self.classifier.set_params(verbose=0)

    def failed(self, error):
        self.error = error

    def warned(self, message):
        self.warnings.append(message)

    def follow(self):
        """Do what the first rank tells, until it tells of the end; return the exit status that it gives."""
        try:
            return self._follow()
        except BaseException as error:  # the first rank does not wait for this one now: it would never know
            if not isinstance(error, KeyboardInterrupt):
                traceback.print_exc()
            self.ranks.end_all(1)

    def _follow(self):
        while True:
            action, *args = self.ranks.told()
            if action == "end":
                status, *said = args
                self._say(*said)
                return status
            try:
                with self.ranks.all_or_none():
                    getattr(self, action)(*args)
            except (Exception, KeyboardInterrupt) as error:  # all have failed, and the first one will tell of the end
                self.failed(error)

    def _say(self, error, warnings):
        """Print what this rank has to say that the first one, whose error and warnings are given, has not said."""
        name = f"fastsoftmax: rank {self.ranks.rank}"
        for message in self.warnings:
            if message not in warnings:
                print(f"{name}: warning: {message}", file=sys.stderr, flush=True)
        if self.error is not None and without_rank(self.error) != error:
            print(f"{name}: error: {naming_options(str(self.error))}", file=sys.stderr, flush=True)


class Leader:
    """The first of several ranks, as a context for the command: at its end, the other ranks end with the same status."""

    def __init__(self, ranks):
        self.ranks, self.member, self.status = ranks, Member(ranks), 1
        self.failed, self.warned = self.member.failed, self.member.warned

    @property
    def size(self):
        return self.ranks.size

    def call(self, action, *args, told=None):
        """Have all ranks do what a method of Member does; `told` : the arguments for the others, where they differ."""
        self.ranks.told((action, *(told or args)))
        with self.ranks.all_or_none():
            return getattr(self.member, action)(*args)

    def new(self, **params):
        self.call("new", params)
        return Led(self)

    def load(self, path, n_threads):
        self.call("load", path, n_threads)
        return Led(self)

    def remove(self, checkpoint):
        """Have all ranks remove the files of their checkpoint."""
        self.call("remove_checkpoint")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, SystemExit):  # of a wrong option, or of --help
            self.status = error.code
        failed = error if self.member.error is None else self.member.error
        said = None if failed is None else without_rank(failed)
        self.ranks.told(("end", self.status, said, self.member.warnings))


class Led:
    """The first rank's classifier. Its methods that need all ranks are calls of all, and so are changes of its attributes."""

    def __init__(self, leader):
        vars(self)["_leader"] = leader

    def __getattr__(self, name):
        value = getattr(self._leader.member.classifier, name)
        return partial(self._together, name) if name in TOGETHER else value

    def __setattr__(self, name, value):
        self._leader.call("set", name, value)

    def number_classes(self):
        self._leader.call("number_classes")

    def _together(self, name, *args, **kwargs):
        none_of_the_rows = [a[:0] if hasattr(a, "shape") else a for a in args]
        return self._leader.call("method", name, args, kwargs, told=(name, none_of_the_rows, kwargs))


def number_classes(classifier):
    """Make codes the labels of a classifier: 0, 1, 2, ..."""
    if isinstance(classifier, Led):
        classifier.number_classes()
    else:
        classifier.classes_ = np.arange(len(classifier.classes_))
