"""`fastsoftmax info`: what a model file holds, or what this installation is."""

import argparse
import os
import sys

from fastsoftmax.cli import tasks
from fastsoftmax.cli.manual import Manual
from fastsoftmax.runtime.progress import say

SHOWN = 8  # ranges of classes
HELP = "say what a model is; without one, what this installation is"
MANUAL = Manual(
    description="""
    Of a classifier: its classes, features, loss and terms, the sizes of its arrays, and what its rows are. Of a model
    of next items or a language model: what fitting it has chosen on held-out data. Without MODEL: the version, the
    instruction set in use, OpenMP and the threads. The environment variable FASTSOFTMAX_ISA (baseline, avx2 or
    avx512) chooses another instruction set.
    """,
    writes="A name and what it is on each line, on standard output.",
    examples=(
        ("fastsoftmax info", "what to tell in a report of a problem"),
        ("fastsoftmax info model.safetensors", "what this model is"),
        ("FASTSOFTMAX_ISA=baseline fastsoftmax info", "whether another instruction set can be had"),
    ),
)


class Version(argparse._VersionAction):
    """The option `--version`. It is an OSError if the version cannot be written; argparse lets that vanish."""

    def __call__(self, parser, namespace, values, option_string=None):
        from fastsoftmax import __version__

        print(f"fastsoftmax {__version__}", file=sys.stdout, flush=True)
        parser.exit()


def add_options(parser):
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help="a model file, or a folder of such (default: none, for the installation)",
    )


def run(options):
    if options.model is not None:
        say(f"loading {options.model}", options.verbose)
    lines = _installation() if options.model is None else _model(options.model)
    for name, value in lines:
        print(f"{name + ':':20}{value}")


def _installation():
    import platform

    from fastsoftmax import __version__
    from fastsoftmax.kernels import dispatch
    from fastsoftmax.runtime import openmp, threads

    yield "fastsoftmax", __version__
    yield "python", platform.python_version()
    yield "instruction set", f"{dispatch.selected()} (this CPU runs: {', '.join(dispatch.available())})"
    yield "OpenMP", f"version {openmp.VERSION}" if openmp.ENABLED else "none: built without threads"
    yield "threads", f"{threads.resolve(None)} by default, {threads.n_cpus()} CPUs"


def _model(path):
    from fastsoftmax.estimators.loading import load
    from fastsoftmax.estimators.regression import SoftmaxRegression
    from fastsoftmax.files import shard_index

    classifier = load(path)
    if isinstance(classifier, SoftmaxRegression):
        yield from _regression(classifier)
        return
    describe = tasks.of_model(classifier, "info")
    if describe:
        yield from describe(classifier)
        return
    if os.path.isdir(path):
        metadata, weight_map = shard_index.read(path)
        n_files = len(set(weight_map.values()))
        yield (
            "files",
            f"{n_files}, {_size(metadata['total_size'])} of tensors; classes from {_shown(metadata['starts'][:-1])}",
        )
    yield "classes", f"{len(classifier.classes_):,}"
    yield "features", f"{classifier.n_features_in_:,}"
    yield "loss", classifier.loss_
    if classifier.objective_ is not None:
        yield "objective", classifier.objective_
        yield "marginals", "calibrated" if classifier.marginals_ else "none"
    yield "direct term", classifier.direct_
    yield "hidden size", classifier.hidden_size_
    if classifier._model.scale is not None:
        yield "hidden layer", f"normalised to length {classifier._model.scale:.4g}"
    yield "epochs", classifier.n_iter_
    if classifier.storage_ is not None:
        yield "weights kept as", classifier.storage_
    yield "training loss", f"{classifier.loss_curve_[-1]:.4f}" if classifier.loss_curve_ else "none"
    yield from _weights(classifier)


def _regression(model):
    yield "regression", f"C = {model.C:g}"
    yield "classes", f"{len(model.classes_):,}"
    yield "features", f"{model.n_features_in_:,}"
    yield "iterations", int(model.n_iter_[0])
    if model.storage_ is not None:
        yield "weights kept as", model.storage_
    yield from _weights(model)


def _weights(model):
    """The arrays of a model, and what its columns are."""
    for name, a in model._model.arrays().items():
        yield name, f"{' x '.join(f'{n:,}' for n in a.shape)} {a.dtype}, {_size(a.nbytes)}"
    yield "data format", model.encoding_.format or "unknown"
    yield "rows", _input(model.encoding_)


def _shown(starts):
    """Where the ranges of classes begin; the first few of many."""
    text = ", ".join(f"{start:,}" for start in starts[:SHOWN])
    return text if len(starts) <= SHOWN else f"{text}, ..."


def _size(n_bytes):
    """A number of bytes in the largest unit that leaves it above 1."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n_bytes >= size:
            return f"{n_bytes / size:,.1f} {unit}"
    return f"{n_bytes} bytes"


def _input(encoding):
    """What the rows of a model's data are."""
    vectorizer = encoding.vectorizer
    if encoding.sequences is not None:
        return f"histories of {len(encoding.sequences.items_):,} items"
    if vectorizer is None:
        return "columns" if encoding.first_index is None else f"columns, of which the lowest is {encoding.first_index}"
    how = "hashed" if vectorizer.vocabulary_ is None else "numbered"
    case = ", in lower case" if vectorizer.lowercase else ""
    longest, buckets = vectorizer.max_chars, vectorizer.n_buckets
    subwords = f", subwords of {vectorizer.min_chars} to {longest} characters" if longest else ""
    rest = f", all else hashed to {buckets:,} columns" if buckets and vectorizer.vocabulary_ is not None else ""
    return f"texts: words, and up to {vectorizer.max_words} in a row{subwords}{case}, {how}{rest}"
