"""The command `fastsoftmax`: demo, train, predict, evaluate, compress, info, bench."""

import argparse
import os
import sys
import time

import numpy as np

from fastsoftmax.model.compact import STORAGES
from fastsoftmax.text.datasets import FORMATS

INTERRUPTED = 130  # exit status of a shell command ended by Ctrl-C


def main(arguments=None):
    """Run the command line `arguments` (default: sys.argv). Returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if arguments[:1] == ["bench"]:
            from fastsoftmax.benches.__main__ import main as bench

            return bench(arguments[1:], prog="fastsoftmax bench") or 0
        options = _parser().parse_args(arguments)
        return options.run(options) or 0
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, MemoryError, OSError, FloatingPointError) as error:
        print(f"fastsoftmax: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nfastsoftmax: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser():
    parser = argparse.ArgumentParser(prog="fastsoftmax", description="Softmax over very many classes on CPUs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="train a next-token model on Python's own standard library")
    demo.add_argument(
        "--complete", metavar="TEXT", action="append", default=[], help="a prompt to complete; repeatable"
    )
    demo.add_argument("--corpus", metavar="DIR", help="a folder of text or source to train on instead")
    demo.add_argument("--loss", choices=("sampled_softmax", "softmax"), default="sampled_softmax")
    demo.add_argument("--epochs", type=int, default=1)
    demo.add_argument("--threads", type=int)
    demo.set_defaults(run=_demo)

    train = commands.add_parser(
        "train", formatter_class=argparse.ArgumentDefaultsHelpFormatter, help="train a classifier on a data file"
    )
    train.add_argument(
        "data", metavar="DATA", help="svmlight, extreme-classification or fastText format, plain or gzip"
    )
    train.add_argument("-o", "--output", metavar="MODEL", required=True)
    train.add_argument("--format", choices=FORMATS, help="default: told from the first line")
    train.add_argument("--n-features", type=int, help="columns of sparse data; default: as many as occur")
    train.add_argument("--loss", choices=("auto", "softmax", "sampled_softmax"), default="auto")
    train.add_argument("--hidden-size", type=_none_or_int, default="auto", metavar="N|none|auto")
    train.add_argument("--direct", choices=("auto", "dense", "sparse", "none"), default="auto")
    train.add_argument("--negatives", type=int, default=1024, metavar="N", help="classes drawn a batch")
    train.add_argument("--optimizer", choices=("adagrad", "sgd"), default="adagrad")
    train.add_argument("--learning-rate", type=float, default=0.1)
    train.add_argument("--batch-size", type=int, default=256)
    train.add_argument("--epochs", type=int, default=10)
    train.add_argument("--alpha", type=_auto_or_float, default="auto", metavar="X|auto", help="L2 penalty")
    train.add_argument("--early-stopping", action="store_true", help="hold out a tenth and stop when its loss rises")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument(
        "--checkpoint", metavar="FILE", help="go on from there if killed; removed when the model is written"
    )
    train.add_argument("--checkpoint-every", type=float, default=600, metavar="SECONDS")
    train.add_argument("--threads", type=int)
    train.add_argument("--quiet", action="store_true")
    train.set_defaults(run=_train)

    predict = commands.add_parser("predict", help="write the best labels of each row, and their probabilities")
    predict.add_argument("model", metavar="MODEL")
    predict.add_argument("data", metavar="DATA", nargs="?", default="-", help="a file, or - for standard input")
    predict.add_argument("-k", type=int, default=5, help="labels a row, at most all")
    predict.add_argument("--threshold", type=float, metavar="P", help="leave out labels of a lower probability")
    predict.add_argument("--format", choices=FORMATS, help="default: as the model was trained on")
    predict.add_argument("--threads", type=int)
    predict.set_defaults(run=_predict)

    evaluate = commands.add_parser("evaluate", help="log-loss, perplexity and ranking metrics on a data file")
    evaluate.add_argument("model", metavar="MODEL")
    evaluate.add_argument("data", metavar="DATA")
    evaluate.add_argument("-k", type=int, nargs="+", default=[1, 3, 5, 20])
    evaluate.add_argument("--format", choices=FORMATS, help="default: as the model was trained on")
    evaluate.add_argument("--threads", type=int)
    evaluate.set_defaults(run=_evaluate)

    compress = commands.add_parser("compress", help="write a smaller model, for predictions alone, and what it costs")
    compress.add_argument("model", metavar="MODEL")
    compress.add_argument("-o", "--output", metavar="MODEL", required=True)
    compress.add_argument("--storage", choices=STORAGES, default="bfloat16", help="of the weights; default: bfloat16")
    compress.add_argument("--data", metavar="DATA", help="rows to compare both models on")
    compress.add_argument("-k", type=int, nargs="+", default=[1, 3, 5, 20])
    compress.add_argument("--format", choices=FORMATS, help="default: as the model was trained on")
    compress.add_argument("--threads", type=int)
    compress.set_defaults(run=_compress)

    info = commands.add_parser("info", help="what a model is; without one, what this installation is")
    info.add_argument("model", metavar="MODEL", nargs="?")
    info.set_defaults(run=_info)

    # The benchmarks are no part of the library and have a parser of their own, which `main` hands the rest to.
    commands.add_parser("bench", add_help=False, help="compare with other systems, time the kernels: see bench --help")
    return parser


def _auto_or_float(text):
    return text if text == "auto" else float(text)


def _none_or_int(text):
    return {"none": None, "auto": "auto"}[text] if text in ("none", "auto") else int(text)


def _demo(options):
    from fastsoftmax.cli import demo

    demo.run(
        corpus=options.corpus,
        prompts=options.complete,
        loss=options.loss,
        epochs=options.epochs,
        n_threads=options.threads,
    )


def _train(options):
    import fastsoftmax.validation as v
    from fastsoftmax.estimators.classifier import SoftmaxClassifier
    from fastsoftmax.files import model_file
    from fastsoftmax.text import datasets

    v.check_writable("output", options.output)
    if os.path.exists(options.output) and os.path.samefile(options.output, options.data):
        raise ValueError(f"output is the data file, {options.data}: it would be overwritten")
    v.check_other_file("output", options.output, "the checkpoint", options.checkpoint)
    data, vectorizer = datasets.read(options.data, options.format, n_features=options.n_features), None
    X = data.X
    if data.format == "fasttext":
        from fastsoftmax.text.features import TextVectorizer

        vectorizer = TextVectorizer()
        X = vectorizer.transform(X)
    classes, y = datasets.targets(data.labels, data.label_starts)
    classifier = SoftmaxClassifier(
        loss=options.loss,
        hidden_size=options.hidden_size,
        direct=None if options.direct == "none" else options.direct,
        n_negatives=options.negatives,
        optimizer=options.optimizer,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        max_iter=options.epochs,
        alpha=options.alpha,
        early_stopping=options.early_stopping,
        random_state=options.seed,
        checkpoint=options.checkpoint,
        checkpoint_every=options.checkpoint_every,
        n_threads=options.threads,
        verbose=0 if options.quiet else 1,
    )
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
    classifier.classes_ = classes  # of an indicator it knows the columns
    extra = {"format": data.format, "vectorizer": vectorizer and vectorizer.to_dict()}
    model_file.save(classifier, options.output, extra)
    if checkpoint is not None:  # there until the model is safe
        checkpoint.remove()
    if not options.quiet:
        seconds = time.perf_counter() - start
        print(f"{len(classifier.classes_):,} classes, {seconds:.1f} s; wrote {options.output}")
    return status


def _describe_training(data, X):
    print(f"{data.n_samples:,} rows, {X.shape[1]:,} features, {data.format} format")
    if len(data.labels) > data.n_samples - data.n_unlabelled:
        print(f"several labels a row: {len(data.labels):,} (row, label) pairs; each visit of a row draws one")


def _load(options):
    """The model, and the rows of the data file as it takes them."""
    from fastsoftmax.files import model_file
    from fastsoftmax.text import datasets

    classifier, extra = model_file.load_with_extra(options.model)
    classifier.set_params(n_threads=options.threads)
    extra = extra or {}
    source = sys.stdin.buffer if options.data == "-" else options.data
    format = options.format or extra.get("format")
    vectorizer = extra.get("vectorizer")
    if (format == "fasttext") != (vectorizer is not None) and format is not None:
        raise ValueError(f"{options.model} was trained on {extra.get('format')} data and cannot read {format} data")
    data = datasets.read(source, format, n_features=None if vectorizer else classifier.n_features_in_)
    if vectorizer is None:
        return classifier, data, data.X
    from fastsoftmax.text.features import TextVectorizer

    return classifier, data, TextVectorizer.from_dict(vectorizer).transform(data.X)


def _predict(options):
    classifier, _, X = _load(options)
    k = min(options.k, len(classifier.classes_))
    block = 4096
    for start in range(0, X.shape[0], block):
        labels, log_proba = classifier.predict_topk(X[start : start + block], k, threshold=options.threshold)
        n_left = np.count_nonzero(log_proba > -np.inf, axis=1) if options.threshold else np.full(len(labels), k)
        for row_labels, row_proba, n in zip(labels.tolist(), np.exp(log_proba).tolist(), n_left, strict=True):
            print("\t".join(f"{label}\t{p:.6g}" for label, p in zip(row_labels[:n], row_proba[:n], strict=True)))
    sys.stdout.flush()


def _evaluate(options):
    import fastsoftmax.metrics as metrics

    classifier, data, X = _load(options)
    result = metrics.evaluate(classifier, *_labelled(classifier, data, X, options.data), ks=options.k)
    for name, value in result.items():
        print(f"{name}\t{value:.6g}" if isinstance(value, float) else f"{name}\t{value}")


def _labelled(classifier, data, X, path):
    """The rows with labels and these as an indicator, in codes, which become the labels of the classifier too."""
    labelled = np.flatnonzero(np.diff(data.label_starts))
    if data.n_unlabelled:
        print(f"{data.n_unlabelled:,} rows without a label are left out", file=sys.stderr)
    if not len(labelled):
        raise ValueError(f"{path}: none of the {data.n_samples:,} rows has a label")
    y = _true_codes(data, classifier.classes_)[labelled]
    classifier.classes_ = np.arange(len(classifier.classes_))
    return X[labelled], y


def _true_codes(data, classes):
    """The labels of each row as an indicator of class codes; labels that the model does not know have columns beyond."""
    from scipy.sparse import csr_matrix

    known = np.isin(data.labels, classes)
    codes = np.searchsorted(classes, data.labels)
    unknown, codes_beyond = np.unique(data.labels[~known], return_inverse=True)
    codes[~known] = len(classes) + codes_beyond
    ones = np.ones(len(codes), bool)
    return csr_matrix((ones, codes, data.label_starts), shape=(data.n_samples, len(classes) + len(unknown)))


def _compress(options):
    import fastsoftmax.metrics as metrics
    import fastsoftmax.validation as v
    from fastsoftmax.files import model_file

    v.check_writable("output", options.output)
    if os.path.exists(options.output) and os.path.samefile(options.output, options.model):
        raise ValueError(f"output is the model itself, {options.model}: it could not be trained any more")
    classifier, extra = model_file.load_with_extra(options.model)
    compact = classifier.compressed(options.storage)
    model_file.save(compact, options.output, extra)
    sizes = [os.path.getsize(path) for path in (options.model, options.output)]
    print(f"bytes\t{sizes[0]}\t{sizes[1]}")
    if options.data is None:
        return
    classifier, data, X = _load(options)
    X, y = _labelled(classifier, data, X, options.data)
    compact.classes_ = classifier.classes_
    compact.set_params(n_threads=options.threads)
    result = metrics.compare(classifier, compact, X, y, ks=options.k)
    for name in result["change"]:
        before, after = (result[which][name] for which in ("model", "other"))
        print(f"{name}\t{before:.6g}\t{after:.6g}\t{result['change'][name]:+.3g}")
    print(f"same_best\t{result['same_best']:.6g}")


def _info(options):
    if options.model is None:
        lines = _installation()
    else:
        lines = _model(options.model)
    for name, value in lines:
        print(f"{name + ':':20}{value}")


def _installation():
    import platform

    import fastsoftmax
    from fastsoftmax.kernels import dispatch
    from fastsoftmax.runtime import openmp, threads

    yield "fastsoftmax", fastsoftmax.__version__
    yield "python", platform.python_version()
    yield "instruction set", f"{dispatch.selected()} (this CPU runs: {', '.join(dispatch.available())})"
    yield "OpenMP", f"version {openmp.VERSION}" if openmp.ENABLED else "none: built without threads"
    yield "threads", f"{threads.resolve(None)} by default, {threads.n_cpus()} CPUs"


def _model(path):
    from fastsoftmax.files import model_file

    classifier, extra = model_file.load_with_extra(path)
    yield "classes", f"{len(classifier.classes_):,}"
    yield "features", f"{classifier.n_features_in_:,}"
    yield "loss", classifier.loss_
    yield "direct term", classifier.direct_
    yield "hidden size", classifier.hidden_size_
    yield "epochs", classifier.n_iter_
    if classifier.storage_ is not None:
        yield "weights kept as", classifier.storage_
    yield "training loss", f"{classifier.loss_curve_[-1]:.4f}" if classifier.loss_curve_ else "none"
    for name, a in classifier._model.arrays().items():
        yield name, f"{' x '.join(f'{n:,}' for n in a.shape)} {a.dtype}, {a.nbytes / 2**20:,.1f} MiB"
    yield "data format", (extra or {}).get("format", "unknown")
