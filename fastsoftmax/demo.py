"""`fastsoftmax demo`: which token comes next? A softmax over tens of thousands of classes, trained in about a minute."""

import time

import numpy as np

from fastsoftmax import metrics
from fastsoftmax.classifier import SoftmaxClassifier
from fastsoftmax.corpus import read_corpus
from fastsoftmax.features import context_features
from fastsoftmax.ngram import NGramModel

CONTEXT = 6
KS = (1, 5, 20)
MAX_TEST_TOKENS = 100_000  # of the model, whose test is a product with all classes; the n-grams are tested on the same
PYTHON_PROMPTS = ("for i in", "import", "if __name__ ==", "def __init__(", "except", "self.assertEqual(")
NGRAM_NAMES = {1: "unigram", 2: "interpolated bigram", 3: "interpolated trigram"}


def run(*, corpus=None, prompts=(), loss="sampled_softmax", epochs=1, n_threads=None):
    """Read a corpus, train, evaluate beside n-gram models, and complete prompts; prints as it goes.

    Parameters
    ----------
    corpus : path, optional
        A folder of text or source; by default Python's standard library.
    prompts : sequence of str
        By default a few lines of Python, or the beginnings of some lines of the test files.
    loss, epochs, n_threads
        As SoftmaxClassifier's `loss`, `max_iter` and `n_threads`.

    Returns
    -------
    SoftmaxClassifier
        The trained model, whose labels are positions in the corpus's vocabulary.
    """
    start = time.perf_counter()
    data = _read(corpus)
    X = context_features(data.train_ids, data.train_starts, data.n_classes, CONTEXT)
    model = SoftmaxClassifier(
        loss=loss,
        hidden_size=128,
        direct=None,
        n_negatives=min(512, data.n_classes // 2),
        batch_size=512,
        max_iter=epochs,
        random_state=0,
        n_threads=n_threads,
        verbose=1,
    )
    print(f"\nTraining on {X.shape[0]:,} rows of the last {CONTEXT} tokens, {X.shape[1]:,} sparse features")
    try:
        model.fit(X, data.train_ids)
    except KeyboardInterrupt:
        if not hasattr(model, "classes_"):
            raise
        print("\nInterrupted: no test, but what was learned so far completes")
    else:
        _compare(model, data)
    _complete(model, data, prompts or _default_prompts(data))
    print(f"\nIn all {time.perf_counter() - start:.0f} s")
    return model


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


def _compare(model, data):
    """Test perplexity and hit rates of the model and of n-gram models, on the same tokens."""
    X = context_features(data.test_ids, data.test_starts, data.n_classes, CONTEXT)
    step = -(-len(data.test_ids) // MAX_TEST_TOKENS)
    rows = np.arange(0, len(data.test_ids), step)
    which = "all test tokens" if step == 1 else f"one test token in {step}, {len(rows):,} in all"
    print(f"\nTest ({which})")
    print(f"  {'':24}{'perplexity':>11}" + "".join(f"{f'hit@{k}':>9}" for k in KS))
    ngrams = NGramModel(3).fit(data.train_ids, data.train_starts, data.n_classes)
    for order, name in NGRAM_NAMES.items():
        log_proba = ngrams.log_proba_of_next(data.test_ids, data.test_starts, order=order)[rows]
        hits = ngrams.hit_rates(data.test_ids, data.test_starts, KS, order=order, counted=rows)
        _print_row(name, metrics.perplexity(log_proba), [hits[k] for k in KS])
    known = np.isin(data.test_ids[rows], model.classes_)
    result = metrics.evaluate(model, X[rows], data.test_ids[rows], ks=KS)
    _print_row(f"softmax ({model.loss_})", result["perplexity"], [result[f"hit@{k}"] for k in KS])
    if not known.all():
        print(f"  {np.sum(~known):,} tokens of classes without training rows count in hit@k only")


def _print_row(name, perplexity, hits):
    print(f"  {name:24}{perplexity:11.2f}" + "".join(f"{100 * hit:8.1f}%" for hit in hits), flush=True)


def _default_prompts(data):
    """Python prompts, or the first three tokens of some lines of the test files."""
    if data.python:
        return PYTHON_PROMPTS
    tokens = [data.vocabulary[i] for i in data.test_ids[:20_000]]
    lines = [line.split()[:3] for line in " ".join(tokens).split("<newline>")]
    return [" ".join(line) for line in lines if len(line) == 3][:: max(1, len(lines) // 5)][:5]


def _complete(model, data, prompts):
    print("\nCompletions")
    for prompt in prompts:
        labels, log_proba = model.predict_topk(data.prompt_features(prompt, CONTEXT), min(5, len(model.classes_)))
        tokens = [f"{data.vocabulary[i]} {p:.0%}" for i, p in zip(labels[0], np.exp(log_proba[0]), strict=True)]
        print(f"  {prompt} -> {',  '.join(tokens)}")
