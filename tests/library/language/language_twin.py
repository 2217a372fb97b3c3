"""Texts to learn from, and a LanguageModel's distributions by their definitions, in float64, one word at a time."""

import numpy as np

from fastsoftmax.language import cache

N_WORDS = 30


def sentences(n, seed=0):
    """Sentences of a random Markov chain over words, each a str."""
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.full(N_WORDS, 0.1), size=N_WORDS)
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        word, words = rng.integers(N_WORDS), []
        for _ in range(rng.integers(2, 8)):
            words.append(f"w{word}")
            word = rng.choice(N_WORDS, p=chances[word])
        out.append(" ".join(words))
    return out


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def of_ngrams(counted, line):
    """What the n-grams add to their bias after the words of an unfinished sentence, and how many are known together."""
    X = counted.features.transform(np.append(line, 0).astype(np.int32), [0])[[-1]]
    return (X.astype(np.float64) @ counted.W.T).toarray()[0], X.nnz


def of_low_rank(expert, words):
    """What the low-rank softmax adds to its bias after `words`, those of the document or of the sentence."""
    history, row = expert.history, np.zeros(expert.history.n_columns)
    for place in range(1, min(history.n_places, len(words)) + 1):
        row[(place - 1) * history.n_classes + words[-place]] = 1
    bag = np.zeros(history.n_classes)
    weights = [history.decay**back for back in range(min(history.window, len(words)))]
    for back, weight in enumerate(weights):
        bag[words[-1 - back]] += weight / np.sqrt(np.square(weights).sum())
    if history.window:
        row[history.n_places * history.n_classes :] = bag
    hidden = row @ expert.E.astype(np.float64)
    return expert.V.astype(np.float64) @ hidden


def of_caches(document, unigrams):
    """The distributions of the caches after the words of a document, and the level."""
    rows, level, base = [], 0, unigrams
    for order in range(cache.N_ORDERS):
        for decay in (cache.DECAY, cache.NEAR_DECAY)[: 2 if order == 0 else 1]:
            counts = np.zeros(len(unigrams))
            for i in range(order, len(document)):
                if all(document[i - j] == document[len(document) - j] for j in range(1, order + 1)):
                    counts[document[i]] += decay ** (len(document) - i)
            rows.append((counts + cache.STRENGTH * base) / (counts.sum() + cache.STRENGTH))
            if decay == cache.NEAR_DECAY:
                near = rows.pop()
            elif counts.any():
                level = order + 1
        base = rows[-1]
    return np.array([*rows, near]), level


def distribution(model, document, line):
    """The distribution of a LanguageModel after the codes of a document, of which `line` are of the unfinished sentence."""
    mixture = model._mixture
    bias, level = mixture.counted.bias.astype(np.float64), 0
    ngrams, n_known = of_ngrams(mixture.counted, line)
    rows = [softmax(bias + ngrams)]
    if mixture.low_rank:
        own, factors = mixture.low_rank.bias.astype(np.float64), mixture.product.factors
        hidden = of_low_rank(mixture.low_rank, document if mixture.low_rank.history.across else line)
        rows.append(softmax(own + hidden))
        rows.append(softmax(factors[0] * hidden + factors[1] * own + factors[2] * ngrams + factors[3] * bias))
    if mixture.has_cache:
        caches, level = of_caches(document, softmax(mixture.counted.bias.astype(np.float64)))
        rows.extend(caches)
    return model.expert_weights_[level * 9 + n_known] @ np.array(rows)


def log_proba(model, documents):
    """Of documents, lists of sentences that are str, as LanguageModel.log_proba gives them."""
    codes, out = {word: code for code, word in enumerate(model.vocabulary_)}, []
    for lines in documents:
        document = []
        for text in lines:
            line = []
            for code in [*(codes.get(word, 0) for word in text.split()), 1]:
                out.append(np.log(distribution(model, document, line)[code]))
                document.append(code)
                line.append(code)
    return np.array(out)
