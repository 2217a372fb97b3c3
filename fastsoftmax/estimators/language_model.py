"""LanguageModel: which word comes next, by a mixture of counted n-grams, a low-rank softmax and caches."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fastsoftmax.estimators import language_saving
from fastsoftmax.estimators.language_fitting import LanguageFitting
from fastsoftmax.language import sampling
from fastsoftmax.language.mixture import SMALLEST
from fastsoftmax.language.texts import END, Words, read_new
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.exclusive import exclusive
from fastsoftmax.validation import (
    check_bool,
    check_context,
    check_contexts,
    check_drawing,
    check_int,
    check_n_threads,
    check_option,
    check_rng,
    check_some_sentences,
    check_text,
    check_verbose,
)

__all__ = ["LanguageModel"]


class LanguageModel(BaseEstimator):
    """A model of texts: the probability of each word after those before it, in its sentence and its document.

    It is a mixture of experts, each a distribution over all words: interpolated modified Kneser-Ney n-grams; a low-rank
    softmax of the words before; both together; and caches, which say what came in the same document after the same words. The
    weights of the experts depend on how much of a context is known. What is chosen, held-out sentences choose.

    Parameters
    ----------
    order : int
        Words in the longest n-grams.
    hidden_size : int, None or "auto"
        Size of the low-rank softmax; None: there is none. "auto": 128, or 32 where the text has fewer than 200,000 words.
    context : {"auto", "document", "sentence"}
        Where the words come from that the low-rank softmax sees, the last 2 by place and a decayed bag of 40: from the
        document, or from the sentence alone. "auto": what suits the held-out sentences better. N-grams stay within sentences.
    cache : bool or "auto"
        Whether there are caches. "auto": if the held-out sentences say so, as they do unless these are in no order.
    min_count : int
        Words that occur less often in `fit` become ``<unk>``, which all unknown words are.
    loss : {"auto", "softmax", "sampled_softmax"}
        The loss of the low-rank softmax, as of SoftmaxClassifier. "auto": sampled from 8,192 words on.
    max_iter : int or "auto"
        Epochs of the low-rank softmax at most; those after which it suits the held-out sentences best are kept. "auto": 2 to
        4, the fewer the longer the text.
    random_state : int, numpy random generator or None
        A seed gives the same model for any `n_threads`.
    n_threads : int, optional
        None: OpenMP's default; -1: all CPUs of the process.
    verbose : int
        1 says on standard error what is done and what was chosen.

    Attributes
    ----------
    vocabulary_ : list of str or int
        ``<unk>``, ``</s>``, which ends sentences, and the words by falling count.
    chosen_ : dict
        What was chosen: "hidden_size", "context", "n_iter", "cache"; "weights", of the experts for all held-out words
        together; and "held_out_perplexity".
    expert_names_ : list of str
    expert_weights_ : (n_buckets, n_experts) array, the weights of the mixture
    n_tokens_ : int, words and ends of sentences in the text of `fit`

    Notes
    -----
    All perplexities count the ends of sentences, and unknown words with the probability of ``<unk>``. `fit` keeps in memory
    the codes of the text, 4 bytes a word, the counts of its n-grams, about 300 bytes a word at most, and the features of
    131,072 rows at a time; a file, or an iterable that reads as it goes, is never in memory as text.

    Examples
    --------
    >>> from fastsoftmax import LanguageModel
    >>> text = ["the cat sat on the mat", "the dog sat on the cat"] * 5
    >>> model = LanguageModel(order=3, random_state=0).fit(text)
    >>> model.complete("the dog sat", n_tokens=2)
    'on the'
    """

    def __init__(
        self,
        order=5,
        hidden_size="auto",
        context="auto",
        cache="auto",
        min_count=2,
        loss="auto",
        max_iter="auto",
        random_state=None,
        n_threads=None,
        verbose=0,
    ):
        self.order = order
        self.hidden_size = hidden_size
        self.context = context
        self.cache = cache
        self.min_count = min_count
        self.loss = loss
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    @exclusive
    def fit(self, sentences, y=None):
        """Train on a text.

        If it is interrupted (Ctrl-C), it leaves a usable model once the low-rank softmax has begun to learn, after a few short
        steps; a second Ctrl-C ends these, too, and then the model stays as it was.

        Parameters
        ----------
        sentences : path, binary file, or iterable
            A file has a sentence a line, is UTF-8, and plain or compressed (gzip, bzip2, xz); for bytes that are not UTF-8,
            words have halves of surrogate pairs (``errors="surrogateescape"``). An iterable gives sentences: each a str,
            whose words are separated by blanks, or a list of words, which are str or int. A lone str is a path. An
            empty sentence has an end all the same. Sentences that follow one another are of one document, unless the
            iterable gives documents: a str with a line break, which has a sentence a line; a list of lists of words; or a
            file. A line end at the end of a str, as the lines of a file opened as text have, is no line break. ``<unk>`` may
            be among the words, ``</s>`` not.
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        check_text("sentences", sentences)
        text, words = read_new("sentences", sentences)
        check_some_sentences("sentences", text, 2)
        words, text = Words.learn(text, words, self.min_count)
        fitting = LanguageFitting(self, text, len(words.vocabulary))
        mixture = fitting.fit()
        self._set_fitted(words, mixture, fitting.chosen, len(text.ids))
        if fitting.interrupted:
            raise KeyboardInterrupt
        return self

    def log_proba(self, sentences):
        """The natural logarithm of the probability of each word, and of each end of a sentence, after what is before it.

        sentences : as in `fit`

        Returns
        -------
        ndarray of float64, shape (n_tokens,)
            Sentence after sentence, each with its end.
        """
        check_is_fitted(self, "vocabulary_")
        check_text("sentences", sentences)
        text = self._words.of_text("sentences", sentences)
        if len(text.ids) == 0:
            return np.empty(0)
        return self._now().log_proba(text)

    def perplexity(self, sentences):
        """e to the mean of minus `log_proba`: over all words and ends of sentences. `sentences` as in `fit`."""
        return float(np.exp(-self.score(sentences)))

    def score(self, sentences, y=None):
        """The mean of `log_proba`, the higher the better. `sentences` as in `fit`."""
        log_proba = self.log_proba(sentences)
        if not len(log_proba):
            raise ValueError("sentences must have at least one sentence, got an empty text")
        return float(log_proba.mean())

    def predict_proba(self, contexts):
        """The probabilities of all words, as in `vocabulary_`, after each context: (n_contexts, n_words).

        contexts : as in `predict_topk`
        """
        check_is_fitted(self, "vocabulary_")
        mixture, contexts = self._now(), self._contexts(contexts)
        proba = np.empty((len(contexts), len(self.vocabulary_)))
        for row, context in enumerate(contexts):
            proba[row] = self._after(mixture, context)
        return proba

    def predict_topk(self, contexts, k=5):
        """The most probable words after each context, exactly.

        Parameters
        ----------
        contexts : list of str or of lists of words
            What stands before the word, from the beginning of its document. A str has a sentence a line; the last one has not
            ended. A list of words is of one sentence.
        k : int
            At most the number of words.

        Returns
        -------
        words : ndarray of object, shape (n_contexts, k)
            The most probable first.
        log_proba : ndarray of float64, shape (n_contexts, k)
        """
        check_is_fitted(self, "vocabulary_")
        k = check_int("k", k, minimum=1, maximum=len(self.vocabulary_))
        mixture, contexts = self._now(), self._contexts(contexts)
        codes, log_proba = np.empty((len(contexts), k), dtype=np.intp), np.empty((len(contexts), k))
        for row, context in enumerate(contexts):
            proba = self._after(mixture, context)
            codes[row] = sampling.best(proba, k)
            log_proba[row] = np.log(np.maximum(proba[codes[row]], SMALLEST))
        return self._labels[codes], log_proba

    def complete(self, prompt, n_tokens=20):
        """The most probable word after `prompt`, the most probable one after that, and so on to the end of the sentence.

        Parameters
        ----------
        prompt : str or list of words
            As a context of `predict_topk`.
        n_tokens : int
            At most so many words.

        Returns
        -------
        str of words between blanks, or a list of words if `prompt` is one
        """
        return self._continued(prompt, n_tokens, None, (0.0, None, None))

    def sample(self, prompt, n=1, temperature=1.0, top_k=None, top_p=None, *, n_tokens=20, random_state=None):
        """Continuations of `prompt` drawn at random, each to the end of the sentence.

        Parameters
        ----------
        prompt, n_tokens
            As in `complete`.
        n : int
            How many.
        temperature : float
            Probabilities are taken to the power of 1 / temperature. 0: the most probable word alone.
        top_k : int, optional
            Only so many of the most probable words.
        top_p : float in (0, 1], optional
            Only the fewest of the most probable words whose probabilities add up to it.
        random_state : int, numpy random generator or None

        Returns
        -------
        list of what `complete` returns
        """
        n = check_int("n", n, minimum=1)
        options = check_drawing(temperature, top_k, top_p)
        rng = check_rng("random_state", random_state)
        return [self._continued(prompt, n_tokens, rng, options) for _ in range(n)]

    def save(self, path):
        """Write the model to file `path`: safetensors with checksums, nothing executable. `fastsoftmax.load` reads it."""
        check_is_fitted(self, "vocabulary_")
        language_saving.save(self, path)

    @classmethod
    def load(cls, path):
        """The LanguageModel that `save` wrote to file `path`."""
        return language_saving.load(cls, path)

    def _check_parameters(self):
        check_int("order", self.order, minimum=1)
        if self.hidden_size is not None and not isinstance(self.hidden_size, str):
            check_int("hidden_size", self.hidden_size, minimum=1)
        elif self.hidden_size is not None:
            check_option("hidden_size", self.hidden_size, ("auto",))
        check_option("context", self.context, ("auto", "document", "sentence"))
        if isinstance(self.cache, str):
            check_option("cache", self.cache, ("auto",))
        else:
            check_bool("cache", self.cache)
        check_int("min_count", self.min_count, minimum=1)
        check_option("loss", self.loss, ("auto", "softmax", "sampled_softmax"))
        if self.max_iter != "auto":
            check_int("max_iter", self.max_iter, minimum=1)
        check_rng("random_state", self.random_state)
        check_n_threads(self.n_threads)
        check_verbose(self.verbose)

    def _set_fitted(self, words, mixture, chosen, n_tokens):
        self._words, self._mixture = words, mixture
        self._labels = np.empty(len(words.vocabulary), dtype=object)
        self._labels[:] = words.vocabulary
        self.vocabulary_, self.chosen_, self.n_tokens_ = words.vocabulary, chosen, n_tokens
        self.expert_names_, self.expert_weights_ = mixture.names, mixture.weights

    def _now(self):
        """The mixture with the present number of threads."""
        self._mixture.n_threads = threads.resolve(self.n_threads)
        return self._mixture

    def _contexts(self, contexts):
        contexts = check_contexts("contexts", contexts)
        for context in contexts:
            check_context("contexts", context)
        return contexts

    def _after(self, mixture, context):
        return mixture.of_context(*_with_line(self._words.of_context("contexts", context)))

    def _continued(self, prompt, n_tokens, rng, options):
        check_is_fitted(self, "vocabulary_")
        check_context("prompt", prompt)
        n_tokens = check_int("n_tokens", n_tokens, minimum=1)
        mixture, ids = self._now(), self._words.of_context("prompt", prompt)
        n_before = len(ids)
        while len(ids) < n_before + n_tokens:
            code = sampling.draw(mixture.of_context(*_with_line(ids)), rng, *options)
            if code == END:
                break
            ids = np.append(ids, np.int32(code))
        words = [self.vocabulary_[code] for code in ids[n_before:]]
        return " ".join(map(str, words)) if isinstance(prompt, str) else words


def _with_line(ids):
    """The codes, and how many of the last ones are of a sentence that has not ended."""
    ends = np.flatnonzero(ids == END)
    return ids, len(ids) - (int(ends[-1]) + 1 if len(ends) else 0)
