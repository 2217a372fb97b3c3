"""The task language of the commands: a LanguageModel of files with a sentence a line, whose words blanks separate."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fastsoftmax.cli.answers import Answers
from fastsoftmax.cli.arguments import integer, level
from fastsoftmax.cli.common import INTERRUPTED, print_metrics
from fastsoftmax.cli.rows import say_reading, shown_answering, shown_reading, source
from fastsoftmax.runtime.progress import say
from fastsoftmax.text.lines import in_chunks, open_arriving
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
OPTIONS = {"train": OWN | {"hidden_size", "epochs", "seed"}, "predict": {"k", "jsonl"}, "evaluate": set()}
FORMATS = ("sentences",)
SEVERAL_FILES = True
BLOCK = 64  # contexts whose next words are predicted before their lines are written
SHOWN = ("hidden_size", "context", "n_iter", "cache", "weights", "held_out_perplexity")  # of what was chosen, in words


def add_options(parser, command):
    """The options of a command that act on this task alone."""
    if command == "train":
        parser.add_argument(
            "--order",
            type=integer,
            metavar="WORDS",
            help="of --task language: words in the longest n-grams (default: 5)",
        )
        parser.add_argument(
            "--min-count",
            type=integer,
            metavar="COUNT",
            help="of --task language: words that occur less often are <unk>, any unknown word (default: 2)",
        )


def train(options):
    check_n_threads(options.threads)
    check_writable("output", options.output)
    check_reads_once(options.data)
    for path in options.data:
        check_other_file("--output", options.output, "a text", None if path == "-" else path)
    model = new_model(
        hidden_size=options.hidden_size,
        max_iter=options.epochs,
        random_state=options.seed,
        n_threads=options.threads,
        verbose=level(options),
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
    say(f"{model.n_tokens_:,} words and ends of sentences, {len(model.vocabulary_):,} different ones", level(options))
    say(f"held-out perplexity {model.chosen_['held_out_perplexity']:.2f}", level(options))
    say(f"{time.perf_counter() - start:.1f} s; wrote {options.output}", level(options))
    if options.validate is not None and status == 0:
        _print_quality(model, options.validate, level(options))
    return status


def predict(model, options):
    """Print the best next words after each line, which has the beginning of a sentence, and their probabilities."""
    k = min(check_int("k", options.k, minimum=1), len(model.vocabulary_))
    _take_bytes()
    answers = Answers(options, "vocabulary_", model.vocabulary_)
    say_reading(options.data, options.verbose)
    with (
        shown_answering(options.data, "predicting", options.verbose) as show,
        _opened(model, options.data, show) as (_, lines, waits),
    ):
        for chunk in in_chunks(lines, waits, BLOCK):
            words, log_proba = model.predict_topk([context for _, context in chunk], k)
            heads = [{"line": number} for number, _ in chunk]
            answers.write(heads, words.tolist(), np.exp(log_proba).tolist(), [k] * len(chunk))


def evaluate(model, options):
    """Print the perplexity of a file, over how many words and ends of sentences it is, and how many of these are unknown."""
    _print_quality(model, options.data, options.verbose)


def _print_quality(model, path, verbose):
    known = set(model.vocabulary_) - {"<unk>"}
    n_unknown = 0

    def counted():
        nonlocal n_unknown
        with shown_reading(path, verbose) as show, _opened(model, path, show) as (_, sentences, _):
            for words in sentences:
                n_unknown += sum(word not in known for word in words)
                yield words

    log_proba = model.log_proba(counted())
    if not len(log_proba):
        raise ValueError(f"{path}: empty file")
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
    yield from ((name.replace("_", " "), value) for name, value in chosen.items() if name not in SHOWN)
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
    _take_bytes()


def _take_bytes():
    """Have standard output take words that are no UTF-8."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="surrogateescape")


@contextmanager
def _opened(model, path, show=None):
    """Yield what open_arriving does of a file, with the words of each line in the place of the line."""
    numbers = numbers_of(model)
    with open_arriving(source(path), show) as (name, lines, waits):
        yield name, (_words(line, numbers) for line in lines), waits


def _words(line, numbers):
    return [numbers.get(word, word) for word in line.decode("utf-8", "surrogateescape").split()]
