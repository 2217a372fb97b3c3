"""The slow twin of the n-gram estimator: dicts of tuples of words, straight from the definitions."""

from collections import Counter, defaultdict


class Twin:
    """An interpolated modified Kneser-Ney model of sentences, lists of words."""

    def __init__(self, sentences, order, prune, fallback=None):
        self.order = order
        sentences = [["<s>", *sentence, "</s>"] for sentence in sentences]
        self.vocabulary = {"<unk>", "</s>"}.union(*(sentence[1:] for sentence in sentences))
        self.occurrences = {n: Counter() for n in range(1, order + 1)}
        for sentence in sentences:
            for n in range(1, order + 1):
                self.occurrences[n].update(tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1))
        self.counts = {n: self._counts(n) for n in range(1, order + 1)}
        self.discounts = {n: self._discounts(n, fallback) for n in range(1, order + 1)}
        self.kept = {
            n: {ngram for ngram in counts if self.occurrences[n][ngram] > prune[n - 1]}
            for n, counts in self.counts.items()
        }
        self.after = {n: defaultdict(list) for n in range(1, order + 1)}
        for n, counts in self.counts.items():
            for ngram in counts:
                self.after[n][ngram[:-1]].append(ngram)

    def _counts(self, n):
        if n == self.order:
            counts = self.occurrences[n]
        else:
            counts = Counter(ngram[1:] for ngram in self.occurrences[n + 1])
            counts.update({g: count for g, count in self.occurrences[n].items() if g[0] == "<s>"})
        return {ngram: count for ngram, count in counts.items() if ngram != ("<s>",)}

    def _discounts(self, n, fallback):
        n1, n2, n3, n4 = (sum(count == times for count in self.counts[n].values()) for times in (1, 2, 3, 4))
        if not (n1 and n2 and n3):
            return fallback
        y = n1 / (n1 + 2 * n2)
        discounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        return discounts if min(discounts) > 0 else fallback

    def taken(self, ngram):
        """What an n-gram's count loses to shorter n-grams."""
        n, count = len(ngram), self.counts[len(ngram)][ngram]
        return self.discounts[n][min(count, 3) - 1] if ngram in self.kept[n] else count

    def backoff(self, history):
        """The weight of the shorter n-grams after a history; 1 for one after which nothing was seen."""
        n = len(history) + 1
        ngrams = self.after[n][history] if n <= self.order else []
        if not ngrams:
            return 1.0
        return sum(self.taken(g) for g in ngrams) / sum(self.counts[n][g] for g in ngrams)

    def proba(self, history, word):
        """p(word | history), of a history of any length whose words are known or <unk>."""
        history = history[-(self.order - 1) :] if self.order > 1 else ()
        shorter = self.proba(history[1:], word) if history else 1 / len(self.vocabulary)
        ngrams = self.after[len(history) + 1][history]
        if not ngrams:
            return shorter
        ngram = (*history, word)
        total = sum(self.counts[len(ngram)][g] for g in ngrams)
        own = self.counts[len(ngram)][ngram] - self.taken(ngram) if ngram in self.counts[len(ngram)] else 0.0
        return own / total + self.backoff(history) * shorter
