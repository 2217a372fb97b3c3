"""The public class of back-off n-gram models."""

import os

import numpy as np

from fastsoftmax.ngrams import arpa
from fastsoftmax.ngrams.counts import count_ngrams
from fastsoftmax.ngrams.ranking import Ranking
from fastsoftmax.ngrams.sentences import (
    BEGIN,
    SPECIAL,
    KnownCodes,
    LearnedCodes,
    decode,
    encode,
    encode_sentence,
    ends_of_context,
)
from fastsoftmax.ngrams.smoothing import discounts_of, estimate_tables
from fastsoftmax.ngrams.tables import log10_proba
from fastsoftmax.runtime.progress import say
from fastsoftmax.validation import (
    as_path,
    check_bool,
    check_contexts,
    check_discount_fallback,
    check_has_sentences,
    check_int,
    check_n_tokens,
    check_prune,
    check_verbose,
    check_writable,
)


class NGramLanguageModel:
    """Back-off n-gram model of sentences, as in ARPA files; made by `estimate` or `load_arpa`.

    All probabilities are log10, as in the files.

    Attributes
    ----------
    order : int
        Words in the longest n-grams.
    vocabulary : list of str
        ``<unk>``, which stands for all words that the model does not know, ``<s>`` and ``</s>``, which begin and end
        sentences, and then the words of the text in the order of their first occurrence. ``<s>`` is never predicted.
    n_ngrams : tuple of int
        Number of n-grams of each length.
    discounts : ndarray of float64, shape (order, 3), or None for a model from a file
        What was taken off the counts of n-grams counted once, twice, and more often, unigrams first.

    Notes
    -----
    Let h' be the history h without its oldest word. The estimate of the word w after h is::

        p(w | h) = (c(hw) - D(c(hw))) / c(h)  +  gamma(h) p(w | h'),    gamma(h) = sum over w of D(c(hw)) / c(h)

    The counts c of the longest n-grams, and of those that begin with ``<s>``, are how often they occur; those of others are
    how many different words come before them. Each length has three discounts D, by Chen and Goodman's formula from all its
    n-grams. Unigrams are interpolated with the uniform distribution over the vocabulary, ``<unk>`` included and ``<s>`` not.
    An n-gram that is pruned leaves its whole count to gamma. These are the conventions of KenLM's lmplz.

    References
    ----------
    Chen and Goodman (1999), An empirical study of smoothing techniques for language modeling, doi:10.1006/csla.1999.0128.
    Heafield, Pouzyrevsky, Clark and Koehn (2013), Scalable modified Kneser-Ney language model estimation,
    https://aclanthology.org/P13-2121.
    """

    def __init__(self, tables, words, discounts=None):
        self._tables, self._words = tables, words
        self.discounts = discounts
        self.vocabulary = decode(words)
        self._codes = KnownCodes(words)
        self._ranking = None

    @property
    def order(self):
        return len(self._tables)

    @property
    def n_ngrams(self):
        return tuple(len(table.log10_proba) for table in self._tables)

    @classmethod
    def estimate(cls, sentences, order=5, *, prune=0, discount_fallback=None, verbose=False):
        """Estimate a model by interpolated modified Kneser-Ney.

        Parameters
        ----------
        sentences : path, binary file, or iterable
            A file has a sentence a line, is UTF-8, and plain or compressed (gzip, bzip2, xz); an empty line is a sentence
            without words. An iterable gives sentences, each a str, whose words are separated by blanks of ASCII, or a list of
            words; and files, as path-like objects or open. A lone str is a path.
        order : int
        prune : int or sequence of int
            N-grams that occur so often or less are left out: of each length, from the unigrams on, for which it must be 0; the
            last number holds for all longer n-grams. (0, 0, 1) leaves out what occurs once and has three words or more. One
            int holds for all but the unigrams.
        discount_fallback : array_like of float, shape (3,), optional
            The discounts of a length that has too few n-grams to estimate them, such as (0.5, 1, 1.5). By default that is an
            error.
        verbose : bool
            Whether to say on standard error what is being done.

        Returns
        -------
        NGramLanguageModel

        Raises
        ------
        ValueError
            If the text has no words, has ``<s>``, ``</s>`` or ``<unk>`` as a word, or is too small for discounts.

        Notes
        -----
        It takes about 260 bytes of memory a word of the text, for order 5.
        """
        order = check_int("order", order, minimum=1)
        prune = check_prune(prune, order)
        fallback = check_discount_fallback(discount_fallback)
        check_verbose(verbose)
        say("reading the text", verbose)
        codes = LearnedCodes()
        ids = encode(sentences, codes)
        check_has_sentences(ids)
        check_n_tokens(len(ids))
        words = [*SPECIAL, *codes]
        say(f"counting the n-grams of {len(ids):,} words and ends of sentences", verbose, n_rows=len(ids))
        orders = count_ngrams(ids, len(words), order)
        say("estimating probabilities", verbose, n_rows=len(ids))
        discounts = discounts_of(orders, fallback)
        return cls(estimate_tables(orders, discounts, prune), words, discounts)

    @classmethod
    def load_arpa(cls, path, *, verbose=False):
        """Read a model from an ARPA file, plain or compressed (gzip, bzip2, xz).

        Where the file has no ``<unk>``, words that the model does not know have probability 0.

        Raises
        ------
        ValueError
            If the file is damaged; the message names the line.
        """
        check_verbose(verbose)
        return cls(*arpa.read(as_path("path", path), verbose))

    def save_arpa(self, path, *, verbose=False):
        """Write the model to an ARPA file, compressed by gzip where the path ends in ``.gz``."""
        path = os.fspath(as_path("path", path))
        check_verbose(verbose)
        check_writable("path", path)
        arpa.write(path, self._tables, self._words, verbose)

    def score(self, sentence, *, bos=True, eos=True):
        """The log10 of the probability of a sentence: the sum of `word_scores`."""
        return float(self.word_scores(sentence, bos=bos, eos=eos).sum())

    def word_scores(self, sentence, *, bos=True, eos=True):
        """The log10 of the probability of each word after those before it.

        Parameters
        ----------
        sentence : str or list of str
            Words that the model does not know are ``<unk>``.
        bos : bool
            Whether the words begin a sentence.
        eos : bool
            Whether the sentence ends with them; then the last number is that of ``</s>``.

        Returns
        -------
        ndarray of float64, shape (n_words,) or (n_words + 1,)
        """
        bos, eos = check_bool("bos", bos), check_bool("eos", eos)
        ids = encode_sentence(sentence, self._codes)[not bos : None if eos else -1]
        if not len(ids):
            return np.empty(0)
        scores = log10_proba(self._tables, ids, np.arange(len(ids)) == 0)
        return scores[1:] if bos else scores

    def perplexity(self, sentences, *, verbose=False):
        """10 to the mean of minus log10 p, over all words of the sentences and their ends.

        Words that the model does not know count, with the probability of ``<unk>``.

        sentences : as in `estimate`
        """
        check_verbose(verbose)
        say("reading the text", verbose)
        ids = encode(sentences, self._codes)
        check_has_sentences(ids, ends_count=True)
        say(f"scoring {len(ids):,} words and ends of sentences", verbose, n_rows=len(ids))
        is_begin = ids == BEGIN
        return float(10 ** -log10_proba(self._tables, ids, is_begin)[~is_begin].mean())

    def next_words(self, contexts, k=10, *, bos=True):
        """The most probable words after each context, exactly.

        Parameters
        ----------
        contexts : list of str or of lists of str
            What stands before the word. The last ``order - 1`` words count.
        k : int
            At most the size of the vocabulary without ``<s>``. ``</s>``, the end of the sentence, and ``<unk>``, any word that
            the model does not know, are among the words.
        bos : bool
            Whether contexts begin sentences.

        Returns
        -------
        words : ndarray of object (str), shape (n_contexts, k)
            The most probable one first.
        log10_proba : ndarray of float64, shape (n_contexts, k)

        Notes
        -----
        The first call sorts the n-grams by probability, which takes about as long as estimating a model.
        """
        contexts = check_contexts("contexts", contexts)
        k = check_int("k", k, minimum=1, maximum=len(self._words) - 1)
        bos = check_bool("bos", bos)
        ids, starts = ends_of_context(contexts, self._codes, self.order - 1, bos)
        if self._ranking is None:
            self._ranking = Ranking(self._tables)
        words, scores = self._ranking.best(ids, starts, k)
        return np.array(self.vocabulary, dtype=object)[words], scores
