"""What the commands do with models that are no classifiers: each task is a module, which TASKS names.

Such a module has HELP, what `--task` says of it; MODEL, the name of the model's class; OPTIONS, for each command the names of
the options that act on it; OWN, the names of those that act on no classifier, which `add_options(parser, command)` adds;
FORMATS, what `predict` and `evaluate` read; SEVERAL_FILES, whether the data of `train` are a list of files; `train(options)`,
`predict(model, options)` and `evaluate(model, options)`; and `info(model)`, which gives lines.
"""

import itertools

from fastsoftmax.cli import language, next_item
from fastsoftmax.validation import check_acts_on, check_format_of, check_one_file, check_one_rank

TASKS = {"next-item": next_item, "language": language}
CLASSIFIER = "classifier"
FORMATS = tuple(dict.fromkeys(itertools.chain.from_iterable(task.FORMATS for task in TASKS.values())))
COMMON = {
    "model",
    "data",
    "output",
    "task",
    "threads",
    "verbose",
    "quiet",
    "team",
    "format",
    "validate",
}  # of all tasks


def add_task(parser):
    """The option of `train` that chooses a task, and the options of the tasks."""
    parser.add_argument(
        "--task",
        choices=(CLASSIFIER, *TASKS),
        default=CLASSIFIER,
        help=f"{'; '.join(f'{name}: {task.HELP}' for name, task in TASKS.items())} (default: %(default)s)",
    )
    add_options(parser, "train")


def add_options(parser, command):
    """The options of a command that act on no classifier."""
    for task in TASKS.values():
        task.add_options(parser, command)
    parser.set_defaults(default_of=parser.get_default)


def named(options):
    """The function that trains the task `options.task`, or None for a classifier; ValueError where an option does not act.

    `options.data`, a list of files, becomes its one file where the task takes no more.
    """
    what, task = f"--task {options.task}", TASKS.get(options.task)
    if task is None:
        _check_for_classifier(what, options)
    else:
        check_one_rank(what, options.team.size)
        check_acts_on(what, _given(options), COMMON - {"format"} | task.OPTIONS["train"])
    if task is None or not task.SEVERAL_FILES:
        options.data = check_one_file(what, options.data)
    return None if task is None else task.train


def of_model(model, command, options=None):
    """The function by which a command treats this model, or None for a classifier; ValueError where an option does not act."""
    task = _task_of(model)
    if options is not None and task is None:
        _check_for_classifier("a classifier", options)
    elif options is not None:
        check_acts_on(f"a {task.MODEL}", _given(options), COMMON | task.OPTIONS[command])
        check_format_of(f"a {task.MODEL}", options.format, task.FORMATS)
    return None if task is None else getattr(task, command)


def check_classifier(model, what):
    """Raise where a model is of a task, and `what` is for classifiers."""
    if _task_of(model) is not None:
        raise TypeError(f"{what} takes a classifier, got a {type(model).__name__}")


def check_language_model(model, what):
    """Raise where a model is no LanguageModel, which `what` is for."""
    if _task_of(model) is not language:
        raise TypeError(f"{what} takes a {language.MODEL}, got a {type(model).__name__}")


def _task_of(model):
    return next((task for task in TASKS.values() if type(model).__name__ == task.MODEL), None)


def _given(options):
    """The names of the options that are not at their defaults."""
    return [name for name, value in vars(options).items() if name != "team" and value != options.default_of(name)]


def _check_for_classifier(what, options):
    own = set().union(*(task.OWN for task in TASKS.values()))
    check_acts_on(what, [name for name in _given(options) if name in own], ())
    if options.format in FORMATS:
        check_format_of(what, options.format, ("the formats of rows",))
