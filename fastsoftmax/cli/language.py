"""The task language of the commands: a LanguageModel of files with a sentence a line, whose words blanks separate."""

import sys
import time
from pathlib import Path

import numpy as np

from fastsoftmax.cli.arguments import integer
from fastsoftmax.cli.common import INTERRUPTED, print_metrics
from fastsoftmax.cli.rows import say_reading, source
from fastsoftmax.runtime.progress import shown_rows
from fastsoftmax.validation import (
    check_int,
    check_label_columns,
    check_n_threads,
    check_other_file,
    check_path,
    check_reads_once,
    check_writable,
)

HELP = "which word comes next; DATA are files with a sentence a line, whose words blanks separate"
MODEL = "LanguageModel"
OWN = {"order", "min_count"}
OPTIONS = {"train": OWN | {"hidden_size", "epochs", "seed"}, "predict": {"k"}, "evaluate": set()}
FORMATS = ("sentences",)
SEVERAL_FILES = True
BLOCK = 64  # contexts whose next words are predicted before their lines are written


def add_options(parser, command):
    """The options of a command that act on this task alone."""
    if command == "train":
        parser.add_argument(
            "--order", type=integer, metavar="N", help="of --task language: words in the longest n-grams (default: 5)"
        )
        parser.add_argument(
            "--min-count",
            type=integer,
            metavar="N",
            help="of --task language: words that occur less often are <unk>, any unknown word (default: 2)",
        )


def train(options):
    check_n_threads(options.threads)
    check_writable("output", options.output)
    check_reads_once(options.data)
    for path in options.data:
        check_other_file("--output", options.output, "a text", None if path == "-" else path)
    verbose = not options.quiet
    model = new_model(
        hidden_size=options.hidden_size,
        max_iter=options.epochs,
        random_state=options.seed,
        n_threads=options.threads,
        verbose=int(verbose),
        **{name: getattr(options, name) for name in sorted(OWN) if getattr(options, name) is not None},
    )
    start, status = time.perf_counter(), 0
    try:
        model.fit([source(path) if path == "-" else Path(check_path("DATA", path)) for path in options.data])
    except KeyboardInterrupt:
        if not hasattr(model, "vocabulary_"):
            raise
        print("\nInterrupted: saving what was learned so far", file=sys.stderr)
        status = INTERRUPTED
    model.save(options.output)
    if verbose:
        print(f"{model.n_tokens_:,} words and ends of sentences, {len(model.vocabulary_):,} different ones")
        print(f"held-out perplexity {model.chosen_['held_out_perplexity']:.2f}")
        print(f"{time.perf_counter() - start:.1f} s; wrote {options.output}")
    return status


def predict(model, options):
    """Print the best next words after each line, which has the beginning of a sentence, and their probabilities."""
    k = min(check_int("k", options.k, minimum=1), len(model.vocabulary_))
    write_as_read(model)
    contexts = list(_sentences(model, options))
    with shown_rows(len(contexts), "predicting", options.verbose) as show:
        for start in range(0, len(contexts), BLOCK):
            words, log_proba = model.predict_topk(contexts[start : start + BLOCK], k)
            for row, proba in zip(words.tolist(), np.exp(log_proba).tolist(), strict=True):
                print("\t".join(f"{word}\t{p:.6g}" for word, p in zip(row, proba, strict=True)))
            show(len(words))
    sys.stdout.flush()


def evaluate(model, options):
    """Print the perplexity of a file, over how many words and ends of sentences it is, and how many of these are unknown."""
    known = set(model.vocabulary_) - {"<unk>"}
    n_unknown = 0

    def counted():
        nonlocal n_unknown
        for words in _sentences(model, options):
            n_unknown += sum(word not in known for word in words)
            yield words

    log_proba = model.log_proba(counted())
    if not len(log_proba):
        raise ValueError(f"{options.data}: empty file")
    print_metrics({"perplexity": float(np.exp(-log_proba.mean())), "n_tokens": len(log_proba), "n_unknown": n_unknown})


def info(model):
    """Lines on what a model is, and what held-out sentences chose."""
    chosen = model.chosen_
    yield "model", MODEL
    yield "words", f"{len(model.vocabulary_):,}, <unk> and </s> among them"
    yield "min count", model.min_count
    yield "text", f"{model.n_tokens_:,} words and ends of sentences"
    yield "order", model.order
    yield "hidden size", "none" if chosen["hidden_size"] is None else chosen["hidden_size"]
    if chosen["hidden_size"] is not None:
        yield "context", chosen["context"]
        yield "epochs", chosen["n_iter"]
    yield "caches", "yes" if chosen["cache"] else "none"
    yield "weights", ", ".join(f"{name} {weight:.2f}" for name, weight in chosen["weights"].items())
    yield "held out", f"perplexity {chosen['held_out_perplexity']:.2f}"


def new_model(**params):
    from fastsoftmax.estimators.language_model import LanguageModel

    return LanguageModel(**params)


def numbers_of(model):
    """The words of a model that are numbers, a dict by how a text has them: "3" is 3."""
    return {str(word): word for word in model.vocabulary_ if isinstance(word, int)}


def write_as_read(model):
    """Have standard output take the model's words, of which some may be no UTF-8; ValueError where they break lines."""
    check_label_columns("vocabulary_", model.vocabulary_)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="surrogateescape")


def _sentences(model, options):
    """The words in each line of the file `options.data`."""
    from fastsoftmax.text.lines import open_lines

    file = source(options.data)
    say_reading(options.data, options.verbose)
    numbers = numbers_of(model)
    with open_lines(file) as (_, lines):
        for line in lines:
            yield [numbers.get(word, word) for word in line.decode("utf-8", "surrogateescape").split()]
