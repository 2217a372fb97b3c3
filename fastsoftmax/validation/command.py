"""Options of the command that could not act, and files that do not go together."""

import os

from fastsoftmax.validation.labels import family
from fastsoftmax.validation.resources import check_other_file
from fastsoftmax.validation.scalars import check_path


def check_acts_on_texts(options, format):
    """Raise where an option for texts is given for data of another format; `options` says of each by name whether it is."""
    for name, given in options.items():
        if given:
            raise ValueError(f"{name} is for texts, and these are {format} data")


def check_buckets_option(buckets, hashes):
    """Raise where `--buckets`, for what is not numbered, could not act."""
    if hashes and buckets is not None:
        raise ValueError(f"--buckets {buckets} does not act with --hash, which hashes words too: see --n-features")


def check_acts_on(what, options, acting):
    """Raise where one of `options`, the names of those that are given, is none of those that act on `what`."""
    for name in options:
        if name not in acting:
            dashes = "-" if len(name) == 1 else "--"
            raise ValueError(f"{dashes}{name.replace('_', '-')} does not act on {what}")


def check_has_method(model, method, option):
    """Raise where a model lacks the method that an option calls."""
    if not hasattr(model, method):
        raise ValueError(f"{option} does not act on a {type(model).__name__}, which has no {method}")


def check_needs(needed, options):
    """Raise where one of `options`, values by name, is given, since option `needed` is not; None: it is not given."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name} needs {needed}, got {name} {value} alone")


def check_one_file(what, files):
    """The one file of a list; ValueError where there are more."""
    if len(files) > 1:
        raise ValueError(f"{what} takes one data file, got {len(files)}: {', '.join(files)}")
    return files[0]


def check_reads_once(files):
    """Raise where standard input is more than one of these files."""
    if files.count("-") > 1:
        raise ValueError(f"DATA cannot be standard input {files.count('-')} times: it can be read once")


def check_format_of(what, format, formats):
    """Raise where `--format` names another one than what `what` is given."""
    if format is not None and format not in formats:
        raise ValueError(f"--format {format} is not for {what}, which is given {' or '.join(formats)}")


def check_one_rank(what, n_ranks):
    """Raise where several ranks are to do what one process does."""
    if n_ranks > 1:
        raise ValueError(f"{what} is for one process, and there are {n_ranks} ranks")


def check_sampling_options(loss, sampler, negatives, draws):
    """Raise where `--sampler` or `--negatives` could not act; `draws` : whether the sampler, or its default, draws classes."""
    if loss != "sampled_softmax" and (sampler is not None or negatives is not None):
        given = "--negatives" if sampler is None else "--sampler"
        raise ValueError(f"{given} needs --loss sampled_softmax, got --loss {loss}")
    if negatives is not None and not draws:
        raise ValueError(
            "--negatives needs a --sampler that draws, such as unigram: in_batch takes the classes of a batch's other rows, "
            f"got {negatives}"
        )


def check_checkpoint_options(checkpoint, every):
    """Raise where `--checkpoint-every` could not act."""
    if checkpoint is None and every is not None:
        raise ValueError("--checkpoint-every needs --checkpoint")


def check_propensity_options(training, parameters):
    """Raise where `--propensity` could not act."""
    if training is None and parameters is not None:
        raise ValueError("--propensity needs --train-data, whose labels are counted")


def check_data_of_ranks(path, n_ranks):
    """Raise where several ranks are to read standard input, whose end some launchers never tell."""
    if path == "-" and n_ranks > 1:
        raise ValueError(f"DATA cannot be standard input where there are {n_ranks} ranks: name a file")


def check_same_kind(paths, labels):
    """Raise unless the labels of all these files are of one kind."""
    (first, kind), *others = zip(paths, map(family, labels), strict=True)
    for path, other in others:
        if other != kind:
            raise ValueError(f"{path}: its labels are {other}, but those of {first} are {kind}")


def check_shtab():
    """The package shtab, imported; ImportError with what installs it."""
    try:
        import shtab
    except ImportError as error:
        raise ImportError('completion needs the package shtab: pip install "fastsoftmax[completion]"') from error
    return shtab


def check_validation_file(path, data, output):
    """Raise where `--validate` names no file that can be read beside the data, a path or several, or the output."""
    check_path("--validate", path)
    check_reads_once([path, *([data] if isinstance(data, str) else data)])
    if path != "-":
        os.stat(path)  # that there is none is said before the training, and not after
        check_other_file("--output", output, "the validation file", path)
