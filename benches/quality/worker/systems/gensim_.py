"""gensim's Word2Vec (CBOW) as a model of the next token: what `predict_output_word` gives for the tokens before it.

It was not made for that. It is meant to make vectors of words, and trains on sentences with the words on both sides as
context, whatever their places.
"""

from itertools import pairwise

import numpy as np

from .base import System, best_classes, columns_of, log_softmax, scores_at

WINDOW = 4
SIZE = 128
MAX_SENTENCE = 10_000  # words; gensim silently drops what exceeds it


class _Word2Vec(System):
    environment = "gensim"
    packages = ("gensim",)
    budgets, budget = (5, 10, 20), 10  # epochs; gensim's default is 5
    negative = hs = 0

    @classmethod
    def why_not(cls, problem):
        return "" if problem["kind"] == "tokens" else "for running text only"

    def prepare(self):
        """Make sentences of the rows' labels in turn; a row without a token before it starts a new sentence."""
        import gensim.models  # noqa: F401

        train = self.problem.train
        words = [str(label) for label in train.labels.tolist()]
        starts = np.unique(np.concatenate(([0], np.flatnonzero(np.diff(train.X.indptr) == 0), [len(words)]))).tolist()
        self.sentences = [
            words[start : min(start + MAX_SENTENCE, b)]
            for a, b in pairwise(starts)
            for start in range(a, b, MAX_SENTENCE)
        ]

    def fit(self):
        from gensim.models import Word2Vec

        self.model = Word2Vec(
            self.sentences, vector_size=SIZE, window=WINDOW, min_count=1, sample=0, sg=0, hs=self.hs, negative=self.negative,
            epochs=self.budget, workers=self.n_threads, seed=self.seed + 1,
        )  # fmt: skip
        self.classes = np.array([int(word) for word in self.model.wv.index_to_key])

    def _hidden(self, X):
        """Return the mean of the vectors of the tokens before, whatever their places."""
        n_classes, ones = self.problem.n_classes, np.ones(X.nnz, np.float32)
        tokens = type(X)((ones, X.indices % n_classes, X.indptr), shape=(X.shape[0], n_classes))
        return tokens @ self.model.wv.vectors[columns_of(self.classes)] / np.maximum(1, np.diff(X.indptr))[:, None]

    def _log_proba(self, hidden):
        raise NotImplementedError

    def predict_topk(self, rows, k):
        class_ids, log_proba = best_classes(self._log_proba, self._hidden(rows), k, self.classes)
        return class_ids, np.exp(log_proba)

    def target_log_proba(self, X, class_ids):
        return scores_at(self._log_proba, self._hidden(X), class_ids, self.classes)

    def save(self, path):
        path.mkdir()
        self.model.save(str(path / "word2vec"))


class Negative(_Word2Vec):
    name = "gensim word2vec negative"
    negative = 5
    settings = (
        "CBOW, window 4 (both sides in training), 128 dimensions, negative 5, min_count 1, no subsampling; the next token by "
        "the product of predict_output_word (softmax over mean of the left context's vectors), in NumPy by batch"
    )

    def _log_proba(self, hidden):
        return log_softmax(hidden @ self.model.syn1neg.T)


class Hierarchical(_Word2Vec):
    name = "gensim word2vec hs"
    hs = 1
    settings = (
        "CBOW, window 4 (both sides in training), 128 dimensions, hs, min_count 1, no subsampling; the next token by the "
        "product over the paths of its Huffman tree, in NumPy (predict_output_word knows negative sampling only)"
    )

    def prepare_predictions(self, X):
        """Make two sparse matrices of the paths of all classes: inner nodes where the code is 0, and where it is 1."""
        from scipy import sparse

        wv = self.model.wv
        points = [wv.get_vecattr(i, "point") for i in range(len(wv))]
        codes = np.concatenate([wv.get_vecattr(i, "code") for i in range(len(wv))])
        columns = np.repeat(np.arange(len(wv)), [len(p) for p in points])
        nodes = np.concatenate(points).astype(np.int64)
        shape = (len(self.model.syn1), len(wv))
        self.paths = [
            sparse.csr_matrix(
                (np.ones(np.sum(codes == c), np.float32), (columns[codes == c], nodes[codes == c])), shape[::-1]
            )
            for c in (0, 1)
        ]
        return X

    def _log_proba(self, hidden):
        """Use P(code 0) = sigmoid(score) at each inner node, as gensim's `score_cbow_pair` does."""
        scores = (hidden @ self.model.syn1.T).T
        negative_log = np.logaddexp(0.0, -scores)
        zeros, ones = self.paths
        return -(zeros @ negative_log + ones @ (negative_log + scores)).T


SYSTEMS = (Negative, Hierarchical)
