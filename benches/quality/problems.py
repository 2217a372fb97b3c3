"""The problems that systems are compared on: two that come with Python and scikit-learn, and any data files."""

from pathlib import Path

import numpy as np
from scipy import sparse

from fastsoftmax import datasets
from fastsoftmax.text.corpus import UNKNOWN, read_corpus
from fastsoftmax.text.features import TextVectorizer, context_features

from .worker.problem import Part, Problem

MAX_TEST_ROWS = 10_000  # more would take hours: some systems predict a hundred rows a second
TEST_SHARE = 0.1  # of the rows are held out where there is no file of test rows
N_TRAIN, N_TRAIN_QUICK, N_TEST_QUICK = 100_000, 40_000, 2000  # tokens
CONTEXT = 4  # so many tokens before it predict a token
DENSE_SHARE, DENSE_FEATURES = 0.2, 4096  # a problem is dense above this share of nonzeros, up to so many features


def digits():
    """Make a problem of scikit-learn's 8 x 8 images of digits, with pixels from 0 to 1."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.2, stratify=y, random_state=0)
    return Problem("digits", "scikit-learn's digits", "dense", 10, _part(X_train, y_train), _part(X_test, y_test))


def tokens(quick=False):
    """Make a problem of files of Python's standard library: which token comes next? Rare tokens are one class, "<unk>"."""
    corpus = read_corpus()
    rng = np.random.default_rng(0)
    parts = (
        _some_files(corpus.train_ids, corpus.train_starts, N_TRAIN_QUICK if quick else N_TRAIN, rng),
        _some_files(corpus.test_ids, corpus.test_starts, N_TEST_QUICK if quick else MAX_TEST_ROWS, rng),
    )
    codes, n_classes = _common_tokens(parts[0][0], corpus.vocabulary.index(UNKNOWN), len(corpus.vocabulary))
    train, test = (_part(context_features(codes[ids], starts, n_classes, CONTEXT), codes[ids]) for ids, starts in parts)
    return Problem("tokens", "tokens of Python's standard library", "tokens", n_classes, train, test)


def _some_files(ids, starts, n_tokens, rng):
    """Return the tokens of files in a random order, of which the last one is cut, and where files start."""
    files = np.split(ids, starts[1:])
    order = rng.permutation(len(files))
    lengths = np.array([len(files[i]) for i in order])
    chosen = order[: int(np.searchsorted(np.cumsum(lengths), n_tokens)) + 1]
    ids = np.concatenate([files[i] for i in chosen])[:n_tokens]
    starts = np.concatenate([[0], np.cumsum([len(files[i]) for i in chosen])[:-1]])
    return ids, starts


def _common_tokens(train_ids, unknown, n_tokens):
    """Number the tokens by falling count in the training part; those that occur there once at most are one class."""
    counts = np.bincount(train_ids, minlength=n_tokens)
    rare = counts < 2
    counts[unknown] = counts[rare].sum() + counts[unknown]
    kept = np.flatnonzero(~rare | (np.arange(n_tokens) == unknown))
    kept = kept[np.argsort(-counts[kept], kind="stable")]
    codes = np.empty(n_tokens, np.int32)
    codes[kept] = np.arange(len(kept))
    codes[rare] = codes[unknown]
    return codes, len(kept)


def from_files(train_path, test_path=None):
    """Read a problem from files in svmlight, extreme-classification or fastText format.

    Without a file of test rows, a tenth of the rows is held out.

    Raises
    ------
    ValueError, OSError
        As `datasets.read`, if the two files are of different formats, or if no row has a label.
    """
    train = datasets.read(train_path)
    if test_path is None and train.n_samples < 2:
        raise ValueError(f"{train_path} has a single row: nothing can be held out for test")
    if test_path is None:
        order = np.random.default_rng(0).permutation(train.n_samples)
        n_test = min(MAX_TEST_ROWS, int(np.ceil(TEST_SHARE * train.n_samples)))
        test, train = (_rows(train, np.sort(rows)) for rows in (order[:n_test], order[n_test:]))
        X_train, X_test = _features(train), _features(test)
    else:
        X_train = _features(train)
        test = datasets.read(test_path, train.format)
        X_test = _features(test)
        width = max(X_train.shape[1], X_test.shape[1])  # svmlight files do not say how many features there are
        X_train.resize(X_train.shape[0], width)
        X_test.resize(X_test.shape[0], width)
    classes = np.unique(train.labels)
    for part, path, rows in (("training", train_path, train), ("test", test_path or train_path, test)):
        if not len(rows.labels):
            raise ValueError(f"{path}: no {part} row has a label")
    density = X_train.nnz / max(1, np.prod(X_train.shape, dtype=float))
    is_dense = density > DENSE_SHARE and X_train.shape[1] <= DENSE_FEATURES
    name = name_of(train_path)
    return Problem(
        name=name,
        title=name,
        kind="dense" if is_dense else "sparse",
        n_classes=len(classes),
        train=_labelled(X_train, train.labels, train.label_starts, classes),
        test=_labelled(X_test, test.labels, test.label_starts, classes, MAX_TEST_ROWS),
    )


def name_of(path):
    """Name a problem after its file of training rows, or after its folder if the file is just called "train"."""
    name = Path(Path(path).name.removesuffix(".gz")).stem
    name = name.removesuffix(".train").removesuffix("_train")
    return Path(path).resolve().parent.name if name in ("", "train", "trn") else name


def _rows(data, rows):
    labels = [data.labels[data.label_starts[i] : data.label_starts[i + 1]] for i in rows]
    starts = np.concatenate([[0], np.cumsum([len(found) for found in labels])])
    X = [data.X[i] for i in rows] if isinstance(data.X, list) else data.X[rows]
    return datasets.Dataset(X, np.concatenate(labels), starts, data.format)


def _features(data):
    return TextVectorizer().transform(data.X) if isinstance(data.X, list) else data.X


def _labelled(X, labels, label_starts, classes, max_rows=None):
    """Return the rows that have labels; a label that is not in `classes` becomes -1."""
    places = np.searchsorted(classes, labels)
    known = places < len(classes)
    known[known] = classes[places[known]] == labels[known]
    codes = np.where(known, places, -1)
    n_labels = np.diff(label_starts)
    rows = np.flatnonzero(n_labels)[:max_rows]
    starts = np.concatenate([[0], np.cumsum(n_labels[rows])])
    return _part(X[rows], codes[: starts[-1]], starts)


def _part(X, labels, label_starts=None):
    X = sparse.csr_matrix(X, dtype=np.float32)
    X.sum_duplicates()
    starts = np.arange(X.shape[0] + 1) if label_starts is None else label_starts
    return Part(X, np.asarray(labels, np.int64), np.asarray(starts, np.int64))
