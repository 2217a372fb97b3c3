"""The program of `fastsoftmax demo`: which token comes next?

It trains a LanguageModel over tens of thousands of classes in a few minutes.
"""

import time

import numpy as np

from fastsoftmax.estimators.language_model import LanguageModel
from fastsoftmax.language.texts import END, SPECIAL
from fastsoftmax.metrics import perplexity
from fastsoftmax.text.corpus import read_corpus
from fastsoftmax.text.ngram_model import NGramModel

KS = (1, 5, 20)
MAX_TEST_TOKENS = 100_000  # the model computes all classes for each; the n-gram models are tested on the same tokens
MAX_HIT_TOKENS = 2_000  # of these, the model orders all classes for at most so many
NEAR = 2_000  # tokens before such a one that the model is given
PYTHON_PROMPTS = ("for i in", "import", "if __name__ ==", "def __init__(", "except", "self.assertEqual(")
NGRAM_NAMES = {1: "unigram", 2: "interpolated bigram", 3: "interpolated trigram"}


def run(*, corpus=None, prompts=(), loss="sampled_softmax", epochs=1, n_threads=None, verbose=1):
    """Read a corpus, train, evaluate beside n-gram models, and complete prompts. All of it is printed as it goes.

    Parameters
    ----------
    corpus : path, optional
        A folder of text or source; by default Python's standard library.
    prompts : sequence of str
        What to complete; by default a few beginnings of Python lines, or of lines of the test files.
    loss, epochs, n_threads, verbose
        LanguageModel's `loss`, `max_iter`, `n_threads` and `verbose`.

    Returns
    -------
    LanguageModel
        The trained model, to which a file is one sentence.
    """
    start = time.perf_counter()
    data = _read(corpus)
    model = LanguageModel(
        loss=loss,
        context="document",
        min_count=1,
        max_iter=epochs,
        random_state=0,
        n_threads=n_threads,
        verbose=verbose,
    )
    print(
        f"\nTraining a mixture of n-grams, a low-rank softmax and caches on {len(data.train_ids):,} tokens", flush=True
    )
    try:
        model.fit(_documents(data, data.train_ids, data.train_starts))
    except KeyboardInterrupt:
        if not hasattr(model, "vocabulary_"):
            raise
        print("\nInterrupted: no test, but what was learned so far completes")
    else:
        print("\nWeights of the mixture, over all contexts of the tokens held out: " + _shares(model))
        _compare(model, data)
    _complete(model, data, prompts or _default_prompts(data))
    print(f"\nIn all {time.perf_counter() - start:.0f} s")
    return model


def _documents(data, ids, starts):
    """Each file as a document of one sentence."""
    for file in np.split(ids, np.asarray(starts)[1:]):
        yield [[data.vocabulary[i] for i in file]]


def _shares(model):
    return ", ".join(f"{name} {share:.0%}" for name, share in model.chosen_["weights"].items())


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
    """Print the test perplexity and the hit rates of the model and of n-gram models, on the same tokens."""
    step = -(-len(data.test_ids) // MAX_TEST_TOKENS)
    rows = np.arange(0, len(data.test_ids), step)
    which = "all test tokens" if step == 1 else f"one test token in {step}, {len(rows):,} in all"
    print(f"\nTest ({which})")
    print(f"  {'':24}{'perplexity':>11}" + "".join(f"{f'hit@{k}':>9}" for k in KS))
    ngrams = NGramModel(3).fit(data.train_ids, data.train_starts, data.n_classes)
    perplexities = {}
    for order, name in NGRAM_NAMES.items():
        log_proba = ngrams.log_proba_of_next(data.test_ids, data.test_starts, order=order)[rows]
        hits = ngrams.hit_rates(data.test_ids, data.test_starts, KS, order=order, counted=rows)
        perplexities[order] = perplexity(log_proba)
        _print_row(name, perplexities[order], [hits[k] for k in KS])
    log_proba = _log_proba(model, data)[rows]
    hit_rows = rows[:: -(-len(rows) // MAX_HIT_TOKENS)]
    _print_row(f"softmax ({model.loss})", perplexity(log_proba), _hit_rates(model, data, hit_rows))
    if len(hit_rows) < len(rows):
        print(f"  its hit rates are those of {len(hit_rows):,} of these tokens")
    print(f"  ratio of perplexities to the {NGRAM_NAMES[3]}: {perplexity(log_proba) / perplexities[3]:.3f}")


def _log_proba(model, data):
    """The log-probability of each test token; the end of a file, which the model predicts too, does not count."""
    log_proba = model.log_proba(_documents(data, data.test_ids, data.test_starts))
    ends = np.append(data.test_starts[1:], len(data.test_ids)) + np.arange(len(data.test_starts))
    return np.delete(log_proba, ends)


def _hit_rates(model, data, rows):
    """The share of these test tokens that are among the model's best k, for each of KS."""
    firsts = data.test_starts[np.searchsorted(data.test_starts, rows, side="right") - 1]
    contexts = (data.test_ids[max(first, row - NEAR) : row] for first, row in zip(firsts, rows, strict=True))
    n_best = min(max(KS) + 1, len(model.vocabulary_))  # one more, since the end of a file is no token
    hits = np.zeros(len(KS))
    for row, context in zip(rows, contexts, strict=True):
        words = model.predict_topk([[data.vocabulary[i] for i in context]], n_best)[0][0]
        words = [word for word in words if word != SPECIAL[END]]
        hits += [data.vocabulary[data.test_ids[row]] in words[:k] for k in KS]
    return hits / len(rows)


def _print_row(name, test_perplexity, hits):
    print(f"  {name:24}{test_perplexity:11.2f}" + "".join(f"{100 * hit:8.1f}%" for hit in hits), flush=True)


def _default_prompts(data):
    """Python prompts, or the first three tokens of a few lines of the test files."""
    if data.python:
        return PYTHON_PROMPTS
    tokens = [data.vocabulary[i] for i in data.test_ids[:20_000]]
    lines = [line.split()[:3] for line in " ".join(tokens).split("<newline>")]
    return [" ".join(line) for line in lines if len(line) == 3][:: max(1, len(lines) // 5)][:5]


def _complete(model, data, prompts):
    print("\nCompletions")
    for prompt in prompts:
        context = [data.vocabulary[i] for i in data.encode("\n" + prompt)]  # few lines are the first of their file
        words, log_proba = model.predict_topk([context], min(5, len(model.vocabulary_)))
        tokens = [f"{word} {p:.0%}" for word, p in zip(words[0], np.exp(log_proba[0]), strict=True)]
        print(f"  {prompt} -> {',  '.join(tokens)}")
