"""The task next-item of the commands: a NextItemModel of the events in a table, a sequence of items for each user."""

import time

import numpy as np

from fastsoftmax.cli.answers import Answers
from fastsoftmax.cli.arguments import level
from fastsoftmax.cli.common import DEPTHS, print_metrics
from fastsoftmax.cli.rows import say_reading, shown_answering, shown_reading, source
from fastsoftmax.runtime.progress import say, shown_rows
from fastsoftmax.text.lines import in_chunks, line_error, open_arriving
from fastsoftmax.validation import (
    check_acts_on,
    check_int,
    check_items_like,
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
    "predict": COLUMNS | {"k", "exclude_seen", "jsonl"},
    "evaluate": COLUMNS | {"k", "exclude_seen", "protocol"},
}
FORMATS = ("histories", "events")
SEVERAL_FILES = False
BLOCK = 4096  # rows predicted before their lines are written


def add_options(parser, command):
    """The options of a command that act on this task alone."""
    parser.add_argument("--user-column", metavar="NAME", help="of a table of events, who it was (default: user)")
    parser.add_argument("--item-column", metavar="NAME", help="of a table of events, what it was (default: item)")
    parser.add_argument(
        "--time-column",
        metavar="NAME",
        help="of a table of events, when it was: numbers or ISO dates (default: time; without such a column, events are in "
        "order)",
    )
    if "exclude_seen" in OPTIONS[command]:
        parser.add_argument(
            "--exclude-seen",
            action="store_true",
            help="of next items: predict none that the history has (off by default)",
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
    told = level(options)
    model = new_model(
        hidden_size=options.hidden_size,
        max_iter=options.epochs,
        random_state=options.seed,
        n_threads=options.threads,
        verbose=told,
    )
    check_next_item_params(model)
    _, sequences = _read(options, options.data, told)
    if told:
        n_events, n_items = sum(map(len, sequences)), len(set().union(*sequences))
        say(f"{n_events:,} events, {len(sequences):,} users, {n_items:,} items", told)
    tested = None if options.validate is None else _read(options, options.validate, told)[1]
    start = time.perf_counter()
    model.fit(sequences)
    model.save(options.output)
    say(f"{time.perf_counter() - start:.1f} s; wrote {options.output}", told)
    if tested is not None:
        _print_quality(model, tested, DEPTHS, told)


def predict(model, options):
    """Print the best next items of each history, or of each user of a table after the user's name, and their probabilities."""
    k = min(check_int("k", options.k, minimum=1), len(model.items_))
    answers = Answers(options, "items_", model.items_.tolist())
    if options.format == "events":
        _predict_events(model, options, k, answers)
        return
    _check_no_columns(options)
    say_reading(options.data, options.verbose)
    with (
        shown_answering(options.data, "predicting", options.verbose) as show,
        open_arriving(source(options.data), show) as (name, lines, waits),
    ):
        for chunk in in_chunks(_histories(model, name, lines), waits, BLOCK):
            heads = [{"line": number} for number, _ in chunk]
            _answer(model, [history for _, history in chunk], k, options, heads, answers)


def _predict_events(model, options, k, answers):
    """Print the best next items of each user of a table, after the user's name."""
    users, sequences = _read_for(model, options, "events")
    answers.check("users", users)
    with shown_rows(len(sequences), "predicting", options.verbose) as show:
        for start in range(0, len(sequences), BLOCK):
            rows = slice(start, start + BLOCK)
            _answer(model, sequences[rows], k, options, [{"user": user} for user in users[rows]], answers)
            show(len(users[rows]))


def _answer(model, histories, k, options, heads, answers):
    items, log_proba = model.predict_topk(histories, k, exclude_seen=options.exclude_seen)
    n_left = np.count_nonzero(log_proba > -np.inf, axis=1).tolist()
    answers.write(heads, items.tolist(), np.exp(log_proba).tolist(), n_left)


def evaluate(model, options):
    """Print the metrics of a model on sequences, one a line."""
    _, sequences = _read_for(model, options, options.format or "events")
    measured = {"protocol": options.protocol or "every", "exclude_seen": options.exclude_seen}
    _print_quality(model, sequences, options.k or DEPTHS, options.verbose, **measured)


def _print_quality(model, sequences, ks, verbose, **measured):
    from fastsoftmax.metrics import evaluate_next_items

    print_metrics(evaluate_next_items(model, sequences, ks, verbose=verbose, **measured))


def info(model):
    """Lines on what a model is, and what held-out sequences chose, if there were enough to choose by."""
    yield "model", MODEL
    yield "items", f"{len(model.items_):,}"
    chosen = dict(model.chosen_)
    log_likelihood = chosen.pop("log_likelihood")
    if log_likelihood is None:
        return
    for expert, weights in chosen.pop("weights").items():
        yield f"{expert} weight", _of_rare_and_frequent(weights)
    for name, value in chosen.items():
        yield (
            name.removeprefix("n_").replace("_", " "),
            ("yes" if value else "no") if isinstance(value, bool) else value,
        )
    yield "held out", f"perplexity {np.exp(-log_likelihood):.2f}"


def _of_rare_and_frequent(weights):
    """The weights of an expert, from those of histories whose last item is rare to those where it is frequent."""
    return f"{', '.join(f'{weight:.2f}' for weight in weights)} (after rare to frequent items)"


def new_model(**params):
    from fastsoftmax.estimators.next_item import NextItemModel

    return NextItemModel(**params)


def _read(options, path, verbose):
    """The users of the table in file `path`, and the sequence of items of each, the oldest first."""
    from fastsoftmax.sequences.events import users_and_sequences
    from fastsoftmax.text.event_files import read_events

    given = {"user": options.user_column, "item": options.item_column, "time": options.time_column}
    given = {name: column for name, column in given.items() if column}
    file = source(path)
    with shown_reading(path, verbose) as show:
        return users_and_sequences(*read_events(file, **given, show=show))


def _read_for(model, options, format):
    """The users, none of a file of histories, and sequences of items of the kind that the model has."""
    if format == "events":
        users, sequences = _read(options, options.data, options.verbose)
        return users.tolist(), [check_items_like(model.items_, sequence) for sequence in sequences]
    _check_no_columns(options)
    with (
        shown_reading(options.data, options.verbose) as show,
        open_arriving(source(options.data), show) as (name, lines, _),
    ):
        return [], list(_histories(model, name, lines))


def _check_no_columns(options):
    check_acts_on("a file of histories", [name for name in sorted(COLUMNS) if getattr(options, name)], ())


def _histories(model, name, lines):
    """The items in each line, which blanks separate, as the model has them."""
    from fastsoftmax.text.lines import decoded

    for number, line in enumerate(decoded(name, lines), start=1):
        try:
            items = check_items_like(model.items_, line.split())
        except ValueError as error:
            raise line_error(name, number, error) from None
        yield items
