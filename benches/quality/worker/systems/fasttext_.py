"""fastText, supervised: its four losses, with the settings of its tutorial (fasttext.cc/docs/en/supervised-tutorial.html).

The words of a row are its features, "f" and the feature's number; their values are dropped, since fastText knows none. Each
step of softmax, hs and ns takes one label of a row with several at random; ova takes all.
"""

import heapq
from itertools import pairwise

import numpy as np
from scipy import sparse

from .base import System, columns_of, log_softmax, rectangle, scores_at

LABEL = "__label__"
# Multiply-adds of the scores alone. A step, with scores and gradients, took 1.3 ns for each on a 2-core AVX-512 machine, so
# that 1e12 take 22 minutes of one thread.
MAX_SCORES = 1e12
# Before training, each of its threads sets a tenth of the input matrix to random numbers, however many threads there are.
# With fewer than ten the rest keeps what the memory held before: zeros at best, and at worst the error "Encountered NaN".
# They share the run's CPUs.
MIN_THREADS = 10


class _FastText(System):
    environment = "fasttext"
    packages = ("fasttext",)
    budgets, budget = (5, 10, 25), 25  # epochs; the tutorial's standard range is 5 to 50, and its best model has 25
    loss, learning_rate, dim = "", 1.0, 100

    @classmethod
    def why_not(cls, problem):
        if problem["kind"] == "dense":
            return "it knows words but no values, and dense rows would all have the same words"
        return ""

    @classmethod
    def _too_many_scores(cls, problem):
        scores = float(problem["n_train"]) * problem["n_classes"] * cls.dim * cls.budget
        return f"{scores:.0e} multiply-adds of scores in {cls.budget} epochs" if scores > MAX_SCORES else ""

    def prepare(self):
        import fasttext  # noqa: F401

        train = self.problem.train
        labels = [
            " ".join(f"{LABEL}{label}" for label in train.labels[start:stop])
            for start, stop in zip(train.label_starts[:-1], train.label_starts[1:], strict=True)
        ]
        self.text = self.folder / "train.txt"
        with open(self.text, "w") as file:
            file.writelines(f"{y} {x}\n" for y, x in zip(labels, _texts(train.X), strict=True) if y)

    def fit(self):
        """Train; fastText reads its file of text and makes its dictionary here, since it takes no other data."""
        import fasttext

        self.model = fasttext.train_supervised(
            input=str(self.text), loss=self.loss, lr=self.learning_rate, dim=self.dim, epoch=self.budget, minCount=1,
            wordNgrams=1, bucket=0, thread=max(MIN_THREADS, self.n_threads), seed=self.seed, verbose=0,
        )  # fmt: skip

    def prepare_predictions(self, X):
        self.label_numbers = {label: int(label[len(LABEL) :]) for label in self.model.get_labels()}
        return _texts(X)

    def predict_topk(self, rows, k):
        labels, proba = self.model.predict(rows, k)
        # hs leaves out classes less probable than 1e-5, so that rows can differ in length.
        class_ids = rectangle([[self.label_numbers[label] for label in found] for found in labels], k)
        if not self.is_distribution:
            return class_ids, None
        best = np.array([[p[0] if len(p) else 0.0] for p in proba])
        return class_ids, np.minimum(best, 1.0)  # it adds 1e-5 to every probability

    is_distribution = False

    def save(self, path):
        self.model.save_model(str(path))

    def _hidden(self, X):
        """Return the mean of the vectors of each row's words and of the end of the line, which is a word too."""
        rows_of_words = np.full(X.shape[1], -1)
        for row, word in enumerate(self.model.get_words()):
            if word == "</s>":
                end = row
            else:
                rows_of_words[int(word[1:])] = row
        known = rows_of_words[X.indices] >= 0
        starts = np.concatenate(([0], np.cumsum(known)))[X.indptr]
        words = self.model.get_input_matrix()
        ones = np.ones(starts[-1], np.float32)
        counts = sparse.csr_matrix((ones, rows_of_words[X.indices[known]], starts), shape=(X.shape[0], len(words)))
        return (counts @ words + words[end]) / (1 + np.diff(starts))[:, None]

    def _classes(self):
        """Return the classes in the order of fastText's labels, which is by falling counts, and the counts."""
        labels, counts = self.model.get_labels(include_freq=True)
        return np.array([int(label[len(LABEL) :]) for label in labels]), counts


class Softmax(_FastText):
    name = "fastText softmax"
    loss = "softmax"
    is_distribution = True
    settings = "loss softmax, lr 1.0, dim 100, epoch 25, wordNgrams 1, minCount 1, 10 threads at least; values dropped"

    @classmethod
    def why_not(cls, problem):
        return super().why_not(problem) or cls._too_many_scores(problem)

    def target_log_proba(self, X, class_ids):
        """Multiply its matrices in float64, because `predict` adds 1e-5 to each probability."""
        hidden, output = self._hidden(X).astype(np.float64), self.model.get_output_matrix().astype(np.float64)
        return scores_at(lambda h: log_softmax(h @ output.T), hidden, class_ids, self._classes()[0])


class HierarchicalSoftmax(_FastText):
    name = "fastText hs"
    loss, learning_rate = (
        "hs",
        0.5,
    )  # of the range that the tutorial names, 0.1 to 1: at 19,424 classes P@1 0.17, at 1.0 0.09
    is_distribution = True
    settings = "loss hs, lr 0.5, dim 100, epoch 25, wordNgrams 1, minCount 1, 10 threads at least; values dropped"

    def target_log_proba(self, X, class_ids):
        """Multiply along the class's path in the Huffman tree, because `predict` leaves out classes below 1e-5."""
        classes, counts = self._classes()
        hidden, output = self._hidden(X).astype(np.float64), self.model.get_output_matrix().astype(np.float64)
        parents, is_right = _huffman_tree(counts)
        root = len(parents) - 1
        out, nodes = np.zeros(len(class_ids)), columns_of(classes)[class_ids]
        while np.any(nodes != root):
            rows = np.flatnonzero(nodes != root)
            at = nodes[rows]
            scores = np.einsum("ij,ij->i", hidden[rows], output[parents[at] - len(counts)])
            out[rows] -= np.logaddexp(0.0, np.where(is_right[at], -scores, scores))
            nodes[rows] = parents[at]
        return out


class NegativeSampling(_FastText):
    name = "fastText ns"
    loss = "ns"
    settings = (
        "loss ns, neg 5, lr 1.0, dim 100, epoch 25, wordNgrams 1, minCount 1, 10 threads at least; values dropped"
    )


class OneVersusAll(_FastText):
    name = "fastText ova"
    # "It is a good idea to decrease the learning rate", says the tutorial, which takes 0.5 and 50 dimensions. Both 0.5 and
    # 0.25 ended in the error "Encountered NaN"; 0.1 is the default.
    loss, learning_rate, dim = "ova", 0.1, 50
    settings = (
        "loss one-vs-all, lr 0.1, dim 50, epoch 25, wordNgrams 1, minCount 1, 10 threads at least; values dropped"
    )

    @classmethod
    def why_not(cls, problem):
        return super().why_not(problem) or cls._too_many_scores(problem)


def _texts(X):
    words = [f"f{feature}" for feature in range(X.shape[1])]
    ids, starts = X.indices.tolist(), X.indptr.tolist()
    return [" ".join([words[i] for i in ids[a:b]]) for a, b in pairwise(starts)]


def _huffman_tree(counts):
    """Return the parent of each node and whether it is the right child.

    Leaves come first, by falling counts, and the root last. fastText joins the two nodes of the least counts; of equal counts
    it takes inner nodes before leaves, and later leaves first.
    """
    n = len(counts)
    parents, is_right = np.full(2 * n - 1, -1), np.zeros(2 * n - 1, bool)
    heap = [(int(count), 1, n - 1 - leaf, leaf) for leaf, count in enumerate(counts)]
    heapq.heapify(heap)
    for node in range(n, 2 * n - 1):
        left, right = heapq.heappop(heap), heapq.heappop(heap)
        parents[[left[-1], right[-1]]] = node
        is_right[right[-1]] = True
        heapq.heappush(heap, (left[0] + right[0], 0, node, node))
    return parents, is_right


SYSTEMS = (Softmax, HierarchicalSoftmax, NegativeSampling, OneVersusAll)
