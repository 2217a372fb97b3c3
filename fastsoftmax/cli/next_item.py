"""The task next-item of the commands: a NextItemModel of the events in a table, a sequence of items for each user."""

import sys
import time

import numpy as np

from fastsoftmax.cli.common import DEPTHS, print_metrics
from fastsoftmax.cli.rows import say_reading, source
from fastsoftmax.runtime.progress import shown_rows
from fastsoftmax.validation import (
    check_acts_on,
    check_int,
    check_items_like,
    check_label_columns,
    check_next_item_params,
    check_other_file,
    check_writable,
)

HELP = "what comes next in the sequences of users; DATA is a table of events"
MODEL = "NextItemModel"
COLUMNS = {"user_column", "item_column", "time_column"}
OWN = COLUMNS | {"exclude_seen", "protocol"}
OPTIONS = {
    "train": COLUMNS | {"hidden_size", "epochs", "seed"},
    "predict": COLUMNS | {"k", "exclude_seen"},
    "evaluate": COLUMNS | {"k", "exclude_seen", "protocol"},
}
FORMATS = ("histories", "events")
SEVERAL_FILES = False
BLOCK = 4096  # rows predicted before their lines are written


def add_options(parser, command):
    """The options of a command that act on this task alone."""
    parser.add_argument("--user-column", metavar="NAME", help="of a table of events (default: user)")
    parser.add_argument("--item-column", metavar="NAME", help="of a table of events (default: item)")
    parser.add_argument(
        "--time-column",
        metavar="NAME",
        help="of a table of events: numbers or ISO dates (default: time; without such a column, events are in order)",
    )
    if "exclude_seen" in OPTIONS[command]:
        parser.add_argument(
            "--exclude-seen", action="store_true", help="of next items: predict none that the history has"
        )
    if "protocol" in OPTIONS[command]:
        parser.add_argument(
            "--protocol",
            choices=("every", "last"),
            help="of next items: test every item of a user but the first, or the last one alone (default: every)",
        )


def train(options):
    check_writable("output", options.output)
    check_other_file("--output", options.output, "the data file", None if options.data == "-" else options.data)
    verbose = not options.quiet
    model = new_model(
        hidden_size=options.hidden_size,
        max_iter=options.epochs,
        random_state=options.seed,
        n_threads=options.threads,
        verbose=int(verbose),
    )
    check_next_item_params(model)
    _, sequences = _read(options, verbose)
    if verbose:
        n_events, n_items = sum(map(len, sequences)), len(set().union(*sequences))
        print(f"{n_events:,} events, {len(sequences):,} users, {n_items:,} items", flush=True)
    start = time.perf_counter()
    model.fit(sequences)
    model.save(options.output)
    if verbose:
        print(f"{time.perf_counter() - start:.1f} s; wrote {options.output}")


def predict(model, options):
    """Print the best next items of each history, or of each user of a table after the user's name, and their probabilities."""
    k = min(check_int("k", options.k, minimum=1), len(model.items_))
    check_label_columns("items_", model.items_.tolist())
    users, sequences = _read_for(model, options, options.format or "histories")
    check_label_columns("users", users)
    names = [[user] for user in users] or [[]] * len(sequences)
    with shown_rows(len(sequences), "predicting", options.verbose) as show:
        for start in range(0, len(sequences), BLOCK):
            rows = slice(start, start + BLOCK)
            items, log_proba = model.predict_topk(sequences[rows], k, exclude_seen=options.exclude_seen)
            n_left = np.count_nonzero(log_proba > -np.inf, axis=1).tolist()
            lines = zip(names[rows], items.tolist(), np.exp(log_proba).tolist(), n_left, strict=True)
            for name, row, proba, n in lines:
                best = [f"{item}\t{p:.6g}" for item, p in zip(row[:n], proba[:n], strict=True)]
                print("\t".join([*name, *best]))
            show(len(items))
    sys.stdout.flush()


def evaluate(model, options):
    """Print the metrics of a model on sequences, one a line."""
    from fastsoftmax.metrics import evaluate_next_items

    _, sequences = _read_for(model, options, options.format or "events")
    measured = {"protocol": options.protocol or "every", "exclude_seen": options.exclude_seen}
    print_metrics(evaluate_next_items(model, sequences, options.k or DEPTHS, verbose=options.verbose, **measured))


def info(model):
    """Lines on what a model is."""
    yield "model", MODEL
    yield "items", f"{len(model.items_):,}"


def new_model(**params):
    from fastsoftmax.estimators.next_item import NextItemModel

    return NextItemModel(**params)


def _read(options, verbose):
    """The users of the table `options.data`, and the sequence of items of each, the oldest first."""
    from fastsoftmax.sequences.events import users_and_sequences
    from fastsoftmax.text.event_files import read_events

    given = {"user": options.user_column, "item": options.item_column, "time": options.time_column}
    file = source(options.data)
    say_reading(options.data, verbose)
    return users_and_sequences(*read_events(file, **{name: column for name, column in given.items() if column}))


def _read_for(model, options, format):
    """The users, none of a file of histories, and sequences of items of the kind that the model has."""
    if format == "events":
        users, sequences = _read(options, options.verbose)
        users = users.tolist()
    else:
        check_acts_on("a file of histories", [name for name in sorted(COLUMNS) if getattr(options, name)], ())
        users, sequences = [], _read_histories(options)
    return users, [check_items_like(model.items_, sequence) for sequence in sequences]


def _read_histories(options):
    """The items in each line of the file `options.data`, which blanks separate."""
    from fastsoftmax.text.lines import decoded, open_lines

    with open_lines(source(options.data)) as (name, lines):
        return [line.split() for line in decoded(name, lines)]
