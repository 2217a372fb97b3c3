"""The program of `fastsoftmax demo`: which token comes next?

It trains a softmax over tens of thousands of classes in about a minute.
"""

import time

import numpy as np
from scipy import sparse

from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.metrics import evaluate, perplexity
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.terms import LowRank, SparseTerm
from fastsoftmax.text.context_features import context_features
from fastsoftmax.text.corpus import read_corpus
from fastsoftmax.text.ngram_features import NGramFeatures
from fastsoftmax.text.ngram_model import NGramModel

CONTEXT = 6  # tokens that the low-rank term sees, each by its place
ORDER = 5  # of the n-grams of the sparse term
CALIBRATION_TOKENS = 20_000  # the last ones, which are kept from training
CALIBRATION_ROWS = 1000  # of these tokens, at most about so many calibrate the terms
KS = (1, 5, 20)
MAX_TEST_TOKENS = 100_000  # the model computes all classes for each; the n-gram models are tested on the same tokens
PYTHON_PROMPTS = ("for i in", "import", "if __name__ ==", "def __init__(", "except", "self.assertEqual(")
NGRAM_NAMES = {1: "unigram", 2: "interpolated bigram", 3: "interpolated trigram"}


def run(*, corpus=None, prompts=(), loss="sampled_softmax", epochs=1, n_threads=None):
    """Read a corpus, train, evaluate beside n-gram models, and complete prompts. All of it is printed as it goes.

    Parameters
    ----------
    corpus : path, optional
        A folder of text or source; by default Python's standard library.
    prompts : sequence of str
        What to complete; by default a few beginnings of Python lines, or of lines of the test files.
    loss, epochs, n_threads
        SoftmaxClassifier's `loss`, `max_iter` and `n_threads`.

    Returns
    -------
    SoftmaxClassifier
        The trained model, whose labels are positions in the corpus's vocabulary.
    """
    start = time.perf_counter()
    data = _read(corpus)
    cut = len(data.train_ids) - min(CALIBRATION_TOKENS, len(data.train_ids) // 20)
    ids, starts = data.train_ids[:cut], data.train_starts[data.train_starts < cut]
    features = _Features(data.n_classes).fit(ids, starts)
    classes = np.unique(ids)
    W, bias = features.kneser_ney(ids, starts)
    model = _classifier(loss, features.n_context, epochs, n_threads)
    X = features.transform(ids, starts)
    print(
        f"\nA sparse {ORDER}-gram term from counts (Kneser-Ney), {W.nnz:,} weights, beside a low-rank term: training that on "
        f"{X.shape[0]:,} rows of the last {CONTEXT} tokens"
    )
    try:
        model.fit(X, ids, coef_init=W[classes], intercept_init=bias[classes])
        _calibrate(model, features, data, cut)
    except KeyboardInterrupt:
        if not hasattr(model, "classes_"):
            raise
        print("\nInterrupted: no test, but what was learned so far completes")
    else:
        _compare(model, data, features)
    _complete(model, data, features, prompts or _default_prompts(data))
    print(f"\nIn all {time.perf_counter() - start:.0f} s")
    return model


def _classifier(loss, n_context, epochs, n_threads):
    """A low-rank term of the first `n_context` features, to be trained, beside a sparse term that stays as it is given."""
    return SoftmaxClassifier(
        loss=loss,
        hidden_size=LowRank(128, n_features=n_context),
        direct=SparseTerm(learning_rate=0),
        optimizer=Adagrad(alpha=1e-4),
        batch_size=512,
        max_iter=epochs,
        random_state=0,
        n_threads=n_threads,
        verbose=1,
    )


class _Features:
    """The columns of X: the last tokens by place, for the low-rank term; then the n-grams before a token, for the sparse."""

    def __init__(self, n_classes):
        self.n_classes, self.n_context = n_classes, CONTEXT * n_classes
        self.ngrams = NGramFeatures(ORDER)

    def fit(self, ids, starts):
        self.ngrams.fit(ids, starts)
        return self

    def transform(self, ids, starts):
        places = context_features(ids, starts, self.n_classes, CONTEXT)
        return sparse.hstack([places, self.ngrams.transform(ids, starts)], format="csr", dtype=np.float32)

    def kneser_ney(self, ids, starts):
        """The weights and the bias of the sparse term, for these columns."""
        W, bias = self.ngrams.kneser_ney(ids, starts, self.n_classes, min_pair_count=2)
        no_weights = sparse.csc_array((self.n_classes, self.n_context), dtype=np.float32)
        return sparse.hstack([no_weights, W], format="csr"), bias


def _calibrate(model, features, data, cut):
    """Calibrate the terms on the tokens from `cut` on, which were kept from training."""
    ids, starts = data.train_ids[cut:], data.train_starts[data.train_starts > cut] - cut
    rows = np.flatnonzero(np.isin(ids, model.classes_))
    rows = rows[:: -(-len(rows) // CALIBRATION_ROWS)]
    model.calibrate(features.transform(ids, np.append(0, starts))[rows], ids[rows])


def _read(folder):
    start = time.perf_counter()
    data = read_corpus(folder)
    n_files = len(data.train_starts) + len(data.test_starts)
    print(f"Corpus: {data.folder}")
    print(
        f"  {n_files:,} files, {data.n_bytes / 2**20:.1f} MiB, {len(data.train_ids):,} training tokens, "
        f"{len(data.test_ids):,} test tokens ({len(data.test_starts):,} files held out by a hash of their path)"
    )
    print(f"  {data.n_classes:,} classes: tokens seen at least twice; {len(data.skipped):,} files left out as not text")
    print(f"  read in {time.perf_counter() - start:.1f} s")
    return data


def _compare(model, data, features):
    """Print the test perplexity and the hit rates of the model and of n-gram models, on the same tokens."""
    X = features.transform(data.test_ids, data.test_starts)
    step = -(-len(data.test_ids) // MAX_TEST_TOKENS)
    rows = np.arange(0, len(data.test_ids), step)
    which = "all test tokens" if step == 1 else f"one test token in {step}, {len(rows):,} in all"
    print(f"\nTest ({which})")
    print(f"  {'':24}{'perplexity':>11}" + "".join(f"{f'hit@{k}':>9}" for k in KS))
    ngrams = NGramModel(3).fit(data.train_ids, data.train_starts, data.n_classes)
    for order, name in NGRAM_NAMES.items():
        log_proba = ngrams.log_proba_of_next(data.test_ids, data.test_starts, order=order)[rows]
        hits = ngrams.hit_rates(data.test_ids, data.test_starts, KS, order=order, counted=rows)
        _print_row(name, perplexity(log_proba), [hits[k] for k in KS])
    known = np.isin(data.test_ids[rows], model.classes_)
    result = evaluate(model, X[rows], data.test_ids[rows], ks=KS)
    _print_row(f"softmax ({model.loss_})", result["perplexity"], [result[f"hit@{k}"] for k in KS])
    if not known.all():
        print(f"  {np.sum(~known):,} tokens of classes without training rows count in hit@k only")


def _print_row(name, test_perplexity, hits):
    print(f"  {name:24}{test_perplexity:11.2f}" + "".join(f"{100 * hit:8.1f}%" for hit in hits), flush=True)


def _default_prompts(data):
    """Python prompts, or the first three tokens of a few lines of the test files."""
    if data.python:
        return PYTHON_PROMPTS
    tokens = [data.vocabulary[i] for i in data.test_ids[:20_000]]
    lines = [line.split()[:3] for line in " ".join(tokens).split("<newline>")]
    return [" ".join(line) for line in lines if len(line) == 3][:: max(1, len(lines) // 5)][:5]


def _complete(model, data, features, prompts):
    print("\nCompletions")
    for prompt in prompts:
        ids = np.append(data.encode("\n" + prompt), np.int32(0))  # few lines are the first of their file
        labels, log_proba = model.predict_topk(features.transform(ids, [0])[[-1]], min(5, len(model.classes_)))
        tokens = [f"{data.vocabulary[i]} {p:.0%}" for i, p in zip(labels[0], np.exp(log_proba[0]), strict=True)]
        print(f"  {prompt} -> {',  '.join(tokens)}")
