"""`fastsoftmax train`: a classifier of the rows of a data file, written to a model file."""

import sys
import time

from fastsoftmax.cli import tasks
from fastsoftmax.cli.arguments import integer, integer_none_or_auto, integer_or_auto, level, number, number_or_auto
from fastsoftmax.cli.common import (
    INTERRUPTED,
    add_threads,
    depths,
    labelled_rows,
    off_the_model,
    print_metrics,
    say_left_out,
    true_codes,
)
from fastsoftmax.cli.manual import Manual
from fastsoftmax.cli.rows import Taken, shown_reading, source
from fastsoftmax.runtime import progress
from fastsoftmax.runtime.progress import say, shown_rows
from fastsoftmax.samplers.named import NAMED, kind_of
from fastsoftmax.text.datasets import FORMATS, TEXT_FORMATS, read, targets
from fastsoftmax.validation import (
    check_acts_on_texts,
    check_buckets_option,
    check_checkpoint_options,
    check_data_of_ranks,
    check_other_file,
    check_sampling_options,
    check_validation_file,
    check_writable,
)

HELP = "train a classifier, or a model of another task, on a data file"
MANUAL = Manual(
    description="""
    By default, the model is a SoftmaxClassifier of the labels of the rows in DATA. With --task next-item it is a
    NextItemModel of a table of events, and with --task language a LanguageModel of texts; some options act on one of
    these alone, and where one that is given does not act, the command says so and ends.

    What is not given is chosen by the data. A seed gives the same model, bit for bit, for any number of threads.
    Ctrl-C ends the training early: what was learned is saved. Under mpiexec, ranks divide the classes.
    """,
    writes="""
    The model, to the file of -o, or under mpiexec to a folder. With --validate, its quality on standard output, a
    metric a line: log-loss, perplexity and rankings of a classifier, rankings of next items, the perplexity of a
    language model.

    Standard error is told what was read, what was chosen, how far the training is and how good it is, unless there is
    --quiet.
    """,
    examples=(
        ("fastsoftmax train data.svm -o model.safetensors", "a classifier of svmlight, xmc or fastText rows"),
        ("fastsoftmax train train.txt -o model.safetensors --validate test.txt", "and how good it is on other rows"),
        ("fastsoftmax train data.svm -o model.safetensors --loss sampled_softmax --epochs 5", "by sampled classes"),
        ("fastsoftmax train --task next-item events.csv -o items.fsm", "which item comes next"),
        ("fastsoftmax train --task language text.txt.gz -o lm.fsm", "which word comes next"),
        ("mpiexec -n 2 fastsoftmax train data.svm -o model/", "classes divided among two processes"),
    ),
)


def add_options(parser):
    formats = "svmlight, extreme-classification or fastText format, plain or compressed; - is standard input"
    parser.add_argument("data", metavar="DATA", nargs="+", help=formats)
    tasks.add_task(parser)
    parser.add_argument(
        "-o", "--output", metavar="MODEL", required=True, help="the file to write; under mpiexec, the folder"
    )
    parser.add_argument(
        "--validate",
        metavar="FILE",
        help="at the end, print the quality on these rows, as evaluate does; nothing is chosen by them (default: no such "
        "rows)",
    )
    parser.add_argument("--format", choices=FORMATS, help="what DATA is written in (default: told from the first line)")
    parser.add_argument(
        "--n-features",
        type=integer,
        metavar="COLUMNS",
        help="how many there are (default: as many as occur, and of texts at most 262144, to which words are hashed if more "
        "occur)",
    )
    parser.add_argument(
        "--word-ngrams",
        type=integer,
        metavar="WORDS",
        help="of texts: columns for up to so many words in a row (default: 2)",
    )
    parser.add_argument(
        "--hash",
        action="store_true",
        help="of texts: hash words to all columns, however few words occur (off by default)",
    )
    parser.add_argument(
        "--subwords",
        type=integer,
        nargs=2,
        metavar=("MIN", "MAX"),
        help="of texts: also the runs of MIN to MAX characters of words, as fastText's minn and maxn (default: none)",
    )
    parser.add_argument(
        "--buckets",
        type=integer,
        metavar="COLUMNS",
        help="of texts: number words alone and hash all else to so many more columns, as fastText's bucket (default: all "
        "numbered)",
    )
    parser.add_argument(
        "--loss",
        choices=("auto", "softmax", "sampled_softmax"),
        default="auto",
        help="auto: sampled_softmax from 8192 classes on, else softmax, or their decoupled kinds where rows have several "
        "labels (default: %(default)s)",
    )
    parser.add_argument(
        "--objective",
        choices=("auto", "precision", "recall", "tail"),
        default="auto",
        help="what to be best at, of rows with several labels: labels at the top of the list that the row has (precision), "
        "all of a row's labels among the first (recall), rare labels at the top (tail); auto: precision, or recall where "
        "--loss or a --direct other than sparse is given (default: %(default)s)",
    )
    parser.add_argument(
        "--hidden-size",
        type=integer_none_or_auto,
        default="auto",
        metavar="SIZE|none|auto",
        help="numbers in the hidden layer of the low-rank term; auto: 128 where there is no direct term or with --objective "
        "precision or tail, else none "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--direct",
        choices=("auto", "dense", "sparse", "none"),
        default="auto",
        help="weights of features and classes; auto: dense where that takes less memory than a low-rank term of size 128, or "
        "with --hidden-size none, else none; sparse with --objective precision or tail (default: %(default)s)",
    )
    parser.add_argument(
        "--sampler", choices=tuple(NAMED), help="what draws classes for sampled_softmax (default: in_batch)"
    )
    parser.add_argument(
        "--negatives",
        type=integer,
        metavar="CLASSES",
        help="how many are drawn for a batch by a --sampler that draws (default: 1024, or one fewer than there are classes)",
    )
    parser.add_argument(
        "--optimizer", choices=("adagrad", "sgd"), default="adagrad", help="the rule of a step (default: %(default)s)"
    )
    parser.add_argument(
        "--learning-rate",
        type=number_or_auto,
        default="auto",
        metavar="RATE|auto",
        help="how far a step goes; auto: 0.1; --direct sparse alone takes no number (default: %(default)s)",
    )
    parser.add_argument(
        "--batch-size", type=integer, default=256, metavar="ROWS", help="how many make a step (default: %(default)s)"
    )
    parser.add_argument(
        "--epochs",
        type=integer_or_auto,
        default="auto",
        metavar="EPOCHS|auto",
        help="passes over the rows; auto: 3 for --direct sparse alone, else 10, or 5 with --objective precision or tail "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--alpha",
        type=number_or_auto,
        default="auto",
        metavar="PENALTY|auto",
        help="L2 penalty on the weights; auto: 3e-05 for a low-rank term that is calibrated, else 0 (default: %(default)s)",
    )
    parser.add_argument(
        "--early-stopping",
        action="store_true",
        help="hold out a tenth of the rows and stop when its loss rises (off by default)",
    )
    parser.add_argument(
        "--seed", type=integer, default=0, metavar="SEED", help="of all that is random (default: %(default)s)"
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="go on from there if killed; removed when the model is written (default: no checkpoint)",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=number,
        metavar="SECONDS",
        help="how long to wait, at least, between two checkpoints (default: 600)",
    )
    add_threads(parser)


def run(options):
    train = tasks.named(options)
    if options.validate is not None:
        check_data_of_ranks(options.validate, options.team.size)
        check_validation_file(options.validate, options.data, options.output)
    with off_the_model(options.output):
        return train(options) if train else _run(options)


def _run(options):
    from fastsoftmax.estimators.saving import FORMAT
    from fastsoftmax.files import shard_index
    from fastsoftmax.text.encoding import Encoding
    from fastsoftmax.training.options import Options

    classifier = _classifier(options)
    one_file = options.team.size == 1 and not shard_index.names_a_folder(options.output)  # several ranks write a folder
    if one_file:
        check_writable("output", options.output)
    else:
        shard_index.check_can_write("output", options.output, FORMAT)
    check_data_of_ranks(options.data, options.team.size)
    check_other_file("--output", options.output, "the data file", None if options.data == "-" else options.data)
    check_other_file("--output", options.output, "the checkpoint", options.checkpoint)
    if options.checkpoint is not None:
        check_writable("checkpoint", options.checkpoint)
    Options.of(classifier.get_params(deep=False))  # what is wrong with them is said before the data are read
    told = level(options)
    with shown_reading(options.data, told) as show:
        data = read(source(options.data), options.format, n_features=options.n_features, show=show)
    X, vectorizer = _features(data, options)
    say("collecting the labels", told, n_rows=data.n_samples)
    classes, y = targets(data.labels, data.label_starts)
    say_left_out(data, options)
    _describe_training(data, X, vectorizer, told)
    encoding = Encoding.of(data, vectorizer)
    validation = _Validation(options, classes, encoding, X.shape[1]) if options.validate is not None else None
    start, status, checkpoint = time.perf_counter(), 0, None
    try:
        checkpoint = classifier._fit(X, y, output=options.output if one_file else None)
    except KeyboardInterrupt:
        # ranks may have been interrupted in different steps
        if not hasattr(classifier, "classes_") or options.team.size > 1:
            raise
        print("\nInterrupted: saving what was learned so far", file=sys.stderr)
        status = INTERRUPTED
    if y.ndim > 1:  # of an indicator it knows the columns alone
        classifier.classes_ = classes
    classifier.encoding_ = encoding
    classifier.save(options.output)
    if checkpoint is not None:  # it stays until the model is safe
        options.team.remove(checkpoint)
    seconds = time.perf_counter() - start
    say(f"{len(classifier.classes_):,} classes, {seconds:.1f} s; wrote {options.output}", told)
    if validation is not None and status == 0:
        validation.print_metrics(classifier)
    return status


class _Validation:
    """The rows of --validate: they are read before the training, so that nobody finds out after it that they are damaged."""

    def __init__(self, options, classes, encoding, n_features):
        self.path, self.verbose = options.validate, level(options)
        self.data, self.X = Taken(encoding, n_features, options.output, verbose=options.verbose).read(self.path)
        say_left_out(self.data, options)
        true_codes([(self.path, self.data)], classes)  # an error where none of the labels is a class

    def print_metrics(self, classifier):
        """Print what `fastsoftmax evaluate` does. The labels of the classifier become codes."""
        from fastsoftmax.metrics import evaluate

        X, y, _ = labelled_rows(classifier, self.data, self.X, self.path)
        print_metrics(evaluate(classifier, X, y, ks=depths(None, y), verbose=self.verbose))


def _classifier(options):
    """The SoftmaxClassifier that the options describe; ValueError for an option that cannot act."""
    from fastsoftmax.optimizers import OPTIMIZERS

    return options.team.new(
        loss=_loss(options),
        objective=options.objective,
        hidden_size=options.hidden_size,
        direct=None if options.direct == "none" else options.direct,
        optimizer=OPTIMIZERS[options.optimizer](alpha=options.alpha),
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        max_iter=options.epochs,
        early_stopping=options.early_stopping,
        random_state=options.seed,
        checkpoint=_checkpoint(options),
        n_threads=options.threads,
        verbose=level(options),
    )


def _loss(options):
    """The loss: a name, or an object if its sampler or its number of negatives is given."""
    from fastsoftmax.losses import SampledSoftmax

    given = {"sampler": options.sampler, "n_negatives": options.negatives}
    given = {name: value for name, value in given.items() if value is not None}
    loss = SampledSoftmax(**given)
    draws = kind_of(loss.sampler).uses_n_negatives
    check_sampling_options(options.loss, options.sampler, options.negatives, draws)
    return loss if given else options.loss


def _checkpoint(options):
    from fastsoftmax.estimators import Checkpoint

    check_checkpoint_options(options.checkpoint, options.checkpoint_every)
    if options.checkpoint is None or options.checkpoint_every is None:
        return options.checkpoint
    return Checkpoint(options.checkpoint, every=options.checkpoint_every)


def _features(data, options):
    """The rows as CSR, and the vectorizer that made them of texts; None where the file holds features."""
    if data.format not in TEXT_FORMATS:
        check_acts_on_texts(_given_for_texts(options), data.format)
        return data.X, None
    from fastsoftmax.text.text_vectorizer import TextVectorizer

    check_buckets_option(options.buckets, options.hash)
    shortest, longest = options.subwords or (None, None)
    given = {"n_features": options.n_features, "max_words": options.word_ngrams, "n_buckets": options.buckets}
    given |= {"min_chars": shortest, "max_chars": longest}
    vectorizer = TextVectorizer(**{name: value for name, value in given.items() if value is not None})
    verbose = level(options) and data.n_samples >= progress.MANY_ROWS
    if not options.hash:
        with shown_rows(data.n_samples, "numbering the words", verbose, "texts") as show:
            vectorizer.fit(data.X, show=show)
    with shown_rows(data.n_samples, "finding the words", verbose, "texts") as show:
        return vectorizer.transform(data.X, show=show), vectorizer


def _given_for_texts(options):
    """Which of the options for texts are given, by name."""
    values = {"--word-ngrams": options.word_ngrams, "--subwords": options.subwords, "--buckets": options.buckets}
    return {name: value is not None for name, value in values.items()} | {"--hash": options.hash}


def _describe_training(data, X, vectorizer, told):
    how = "" if vectorizer is None else " (hashed words)" if vectorizer.vocabulary_ is None else " (numbered words)"
    say(f"{data.n_samples:,} rows, {X.shape[1]:,} features{how}, {data.format} format", told)
    if len(data.labels) > data.n_samples - data.n_unlabelled:
        say(f"several labels a row: {len(data.labels):,} (row, label) pairs", told)
