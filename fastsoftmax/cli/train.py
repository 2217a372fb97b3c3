"""`fastsoftmax train`: a classifier of the rows of a data file, written to a model file."""

import argparse
import os
import sys
import time

from fastsoftmax.cli.common import INTERRUPTED
from fastsoftmax.text.datasets import FORMATS, TEXT_FORMATS, read, targets
from fastsoftmax.validation import check_other_file, check_writable

HELP = "train a classifier on a data file"


def add_options(parser):
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.add_argument(
        "data", metavar="DATA", help="svmlight, extreme-classification or fastText format, plain or gzip"
    )
    parser.add_argument("-o", "--output", metavar="MODEL", required=True)
    parser.add_argument("--format", choices=FORMATS, help="default: told from the first line")
    parser.add_argument("--n-features", type=int, help="columns of sparse data; default: as many as occur")
    parser.add_argument("--loss", choices=("auto", "softmax", "sampled_softmax"), default="auto")
    parser.add_argument("--hidden-size", type=_none_or_int, default="auto", metavar="N|none|auto")
    parser.add_argument("--direct", choices=("auto", "dense", "sparse", "none"), default="auto")
    parser.add_argument("--negatives", type=int, metavar="N", help="classes drawn a batch")
    parser.add_argument("--optimizer", choices=("adagrad", "sgd"), default="adagrad")
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument(
        "--epochs",
        type=_auto_or_int,
        default="auto",
        metavar="N|auto",
        help="auto: 3 for --direct sparse alone, else 10",
    )
    parser.add_argument("--alpha", type=_auto_or_float, default="auto", metavar="X|auto", help="L2 penalty")
    parser.add_argument("--early-stopping", action="store_true", help="hold out a tenth and stop when its loss rises")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--checkpoint", metavar="FILE", help="go on from there if killed; removed when the model is written"
    )
    parser.add_argument("--checkpoint-every", type=float, default=600, metavar="SECONDS")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quiet", action="store_true")


def _auto_or_float(text):
    return text if text == "auto" else float(text)


def _auto_or_int(text):
    return text if text == "auto" else int(text)


def _none_or_int(text):
    return {"none": None, "auto": "auto"}[text] if text in ("none", "auto") else int(text)


def run(options):
    from fastsoftmax.estimators.saving import save

    check_writable("output", options.output)
    if os.path.exists(options.output) and os.path.samefile(options.output, options.data):
        raise ValueError(f"output is the data file, {options.data}: it would be overwritten")
    check_other_file("output", options.output, "the checkpoint", options.checkpoint)
    data = read(options.data, options.format, n_features=options.n_features)
    X, vectorizer = _features(data)
    classes, y = targets(data.labels, data.label_starts)
    classifier = _classifier(options)
    if data.n_unlabelled:
        print(f"{data.n_unlabelled:,} rows without a label are left out", file=sys.stderr)
    if not options.quiet:
        _describe_training(data, X)
    start, status, checkpoint = time.perf_counter(), 0, None
    try:
        checkpoint = classifier._fit(X, y)
    except KeyboardInterrupt:
        if not hasattr(classifier, "classes_"):
            raise
        print("\nInterrupted: saving what was learned so far", file=sys.stderr)
        status = INTERRUPTED
    classifier.classes_ = classes  # of an indicator it knows the columns alone
    save(classifier, options.output, {"format": data.format, "vectorizer": vectorizer and vectorizer.to_dict()})
    if checkpoint is not None:  # it stays until the model is safe
        checkpoint.remove()
    if not options.quiet:
        seconds = time.perf_counter() - start
        print(f"{len(classifier.classes_):,} classes, {seconds:.1f} s; wrote {options.output}")
    return status


def _classifier(options):
    """The SoftmaxClassifier that the options describe."""
    from fastsoftmax.estimators import Checkpoint, SoftmaxClassifier
    from fastsoftmax.losses import SampledSoftmax
    from fastsoftmax.optimizers import OPTIMIZERS

    loss = options.loss
    if loss == "sampled_softmax":
        loss = SampledSoftmax(n_negatives="auto" if options.negatives is None else options.negatives)
    return SoftmaxClassifier(
        loss=loss,
        hidden_size=options.hidden_size,
        direct=None if options.direct == "none" else options.direct,
        optimizer=OPTIMIZERS[options.optimizer](alpha=options.alpha),
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        max_iter=options.epochs,
        early_stopping=options.early_stopping,
        random_state=options.seed,
        checkpoint=options.checkpoint and Checkpoint(options.checkpoint, every=options.checkpoint_every),
        n_threads=options.threads,
        verbose=0 if options.quiet else 1,
    )


def _features(data):
    """The rows as CSR, and the vectorizer that made them of texts; None where the file holds features."""
    if data.format not in TEXT_FORMATS:
        return data.X, None
    from fastsoftmax.text.text_vectorizer import TextVectorizer

    vectorizer = TextVectorizer()
    return vectorizer.transform(data.X), vectorizer


def _describe_training(data, X):
    print(f"{data.n_samples:,} rows, {X.shape[1]:,} features, {data.format} format")
    if len(data.labels) > data.n_samples - data.n_unlabelled:
        print(f"several labels a row: {len(data.labels):,} (row, label) pairs; each visit of a row draws one")
