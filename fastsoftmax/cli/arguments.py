"""What options of the command hold, in the words of an error message; and the options that parameters are set by."""

import argparse
import re

# Options by the name of the parameter of the library that they set, which begins the library's messages.
_OPTIONS = {
    "max_iter": "--epochs",
    "n_threads": "--threads",
    "n_features": "--n-features",
    "max_words": "--word-ngrams",
    "min_chars": "--subwords",
    "max_chars": "--subwords",
    "n_buckets": "--buckets",
    "hidden_size": "--hidden-size",
    "learning_rate": "--learning-rate",
    "objective": "--objective",
    "batch_size": "--batch-size",
    "random_state": "--seed",
    "Adagrad.alpha": "--alpha",
    "SGD.alpha": "--alpha",
    "SampledSoftmax.n_negatives": "--negatives",
    "checkpoint": "--checkpoint",
    "Checkpoint.path": "--checkpoint",
    "Checkpoint.every": "--checkpoint-every",
    "output": "--output",
    "order": "--order",
    "min_count": "--min-count",
    "sentences": "TEXT",
    "n_tokens": "--words",
    "n": "--sample",
    "temperature": "--temperature",
    "top_k": "--top-k",
    "top_p": "--top-p",
    "prune": "--prune",
    "discount_fallback": "--discount-fallback",
    "k": "-k",
    "ks": "-k",
    "threshold": "--threshold",
    "A": "--propensity",
    "B": "--propensity",
}
_PARAMETER = re.compile(r"^[\w.]+(?= (?:must|cannot) )")


def naming_options(message):
    """A message of the library that names the option of the command in the place of the parameter that it begins with."""
    message = _PARAMETER.sub(lambda name: _OPTIONS.get(name[0], name[0]), message, count=1)
    return message.replace("--threads must be None, ", "--threads must be ")  # the option is left out instead


def _converter(words, convert, description):
    """What turns the text of an option into one of `words`, a dict, or into a number."""

    def from_text(text):
        try:
            return words[text] if text in words else convert(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {description}, got {text!r}") from None

    return from_text


integer = _converter({}, int, "a whole number")
number = _converter({}, float, "a number")
integer_or_auto = _converter({"auto": "auto"}, int, "a whole number or auto")
number_or_auto = _converter({"auto": "auto"}, float, "a number or auto")
integer_none_or_auto = _converter({"none": None, "auto": "auto"}, int, "a whole number, none or auto")

# What options count, by the word that stands in the help for their value.
UNITS = {
    "CLASSES": "classes",
    "COLUMNS": "columns of the rows",
    "COUNT": "how often something occurs",
    "D": "a discount, to be taken off a count: no unit",
    "DEPTH": "labels or items, from the best one on",
    "EPOCHS": "passes over the training rows",
    "FEATURES": "features",
    "LABELS": "labels",
    "MAX": "characters",
    "MIN": "characters",
    "PENALTY": "a factor of half the squared weights: no unit",
    "PROBABILITY": "a probability from 0 to 1",
    "RATE": "the length of a step: no unit",
    "ROWS": "rows",
    "SAMPLES": "continuations",
    "SECONDS": "seconds",
    "SEED": "a number that random numbers begin from: no unit",
    "SIZE": "numbers in the hidden layer",
    "TEMPERATURE": "what logits are divided by: no unit",
    "THREADS": "threads",
    "WORDS": "words",
    "A": "of propensities: no unit",
    "B": "of propensities: no unit",
}

QUIET, USUAL, VERBOSE = range(3)  # how much a command tells on standard error


def add_messages(parser):
    """The options `--quiet` and `--verbose`, which mean the same in every command."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--quiet", action="store_true", help="write nothing but errors and warnings on standard error (off by default)"
    )
    group.add_argument(
        "--verbose",
        action="store_true",
        help="say on standard error what is being done, and how far it is (off by default)",
    )


def level(options):
    """QUIET, USUAL or VERBOSE; also the `verbose` of what trains a model, which says all along what it does."""
    return QUIET if options.quiet else VERBOSE if options.verbose else USUAL
