"""How a LanguageModel is trained: what is held out, the experts one after the other, and the weights of their mixture."""

import functools

import numpy as np

from fastsoftmax.estimators.classifier import SoftmaxClassifier
from fastsoftmax.estimators.interruption import Interruptible
from fastsoftmax.language.counted import Counted
from fastsoftmax.language.history import History
from fastsoftmax.language.low_rank import LowRankExpert
from fastsoftmax.language.mixture import Mixture
from fastsoftmax.language.product import Product
from fastsoftmax.language.texts import joined
from fastsoftmax.mixing.weights import fit_weights, mixed
from fastsoftmax.optimizers import Adagrad
from fastsoftmax.runtime import threads
from fastsoftmax.runtime.progress import say
from fastsoftmax.validation import check_rng

HELD_OUT_SHARE, MOST_HELD_OUT = 0.05, 40_000  # of the tokens
N_BLOCKS = 4  # that are held out
PILOT_ROWS = 200_000  # that the kinds of history are compared on
JUDGED_ROWS = 8_000  # of the held-out ones
CHUNK_ROWS = 1 << 17  # whose features are in memory together
LEARNING_RATE, ALPHA, BATCH_SIZE = 0.1, 1e-4, 512
FEWEST_EPOCHS, MOST_EPOCHS, EPOCH_ROWS = 2, 4, 1_400_000  # as many as make up so many rows; more learn them by heart
CACHE_GAIN = 0.002  # nats a word that caches have to bring, since fitted weights always bring something
MANY_TOKENS = 200_000  # from which on the low-rank term has its full size
SIZE, SMALL_SIZE = 128, 32
HISTORY = {"n_places": 2, "window": 40, "decay": 0.95}  # more places have more weights than they can learn


class LanguageFitting(Interruptible):
    """Trains the experts on a Text of `n_classes` words and finds the weights of their mixture on what it holds out."""

    def __init__(self, model, text, n_classes):
        self.model, self.n_classes, self.n_threads = model, n_classes, threads.resolve(model.n_threads)
        self.rng = check_rng("random_state", model.random_state)
        self.text = text
        self.train, self.held_out = held_out(text)
        # Words that only the held-out text has would be <unk> in texts to come: they say nothing about the experts.
        self.is_known = np.bincount(self.train.ids, minlength=n_classes)[self.held_out.ids] > 0
        known = np.flatnonzero(self.is_known)
        n_judged = min(JUDGED_ROWS, len(known))
        self.judged = known[np.arange(n_judged) * len(known) // max(n_judged, 1)]
        self.chosen = {}

    def fit(self):
        """The Mixture."""
        verbose, n = self.model.verbose, len(self.train.ids)
        self._tell(f"{n:,} tokens to train on, {len(self.held_out.ids):,} held out, {self.n_classes:,} words", n)
        counted = Counted.fit(self.train, self.n_classes, self.model.order)
        log_proba, _ = counted.log_proba(self.held_out, self.n_threads)
        low_rank = self._low_rank(log_proba)
        mixture = self.despite_ctrl_c(lambda: self._weighted(counted, low_rank))
        say("counting n-grams of the whole text", verbose, n_rows=n)
        try:
            mixture.count_anew(Counted.fit(self.text, self.n_classes, self.model.order))
        except KeyboardInterrupt:  # all but the held-out sentences are counted
            self.interrupted = True
        return mixture

    def _weighted(self, counted, low_rank):
        """The Mixture with the caches and the weights that suit the held-out text best."""
        product = low_rank and Product(counted, low_rank).fit(self.held_out, np.flatnonzero(self.is_known))
        mixture = Mixture(counted, product, False, self.n_threads)
        caches = {"auto": (False, True), True: (True,), False: (False,)}[self.model.cache]
        found = {}
        for has_cache in caches:
            mixture.has_cache = has_cache
            proba, buckets = mixture.fit_weights(self.held_out, self.is_known)
            found[has_cache] = np.log(mixed(proba, mixture.weights, buckets)).mean(), mixture.weights, proba
        has_cache = max(found, key=lambda which: found[which][0] - CACHE_GAIN * which)
        mixture.has_cache, (loss, mixture.weights, proba) = has_cache, found[has_cache]
        self.chosen |= {"cache": has_cache, "held_out_perplexity": float(np.exp(-loss))}
        self._tell_weights(mixture, proba)
        return mixture

    def _low_rank(self, of_ngrams):
        """The low-rank expert, or None."""
        size = self.model.hidden_size
        if size is None:
            self.chosen |= {"hidden_size": None, "context": None}
            return None
        if size == "auto":
            size = SIZE if len(self.train.ids) >= MANY_TOKENS else SMALL_SIZE
        context, pilot = self.model.context, None
        if context == "auto":
            context, pilot = self._better_context(size, of_ngrams)
        self.chosen |= {"hidden_size": size, "context": context}
        if pilot is not None:
            self.chosen["n_iter"] = 1
            return pilot
        n_epochs = self.model.max_iter
        if n_epochs == "auto":
            n_epochs = int(np.clip(round(EPOCH_ROWS / len(self.train.ids)), FEWEST_EPOCHS, MOST_EPOCHS))
        rows = np.arange(len(self.train.ids))
        expert, self.chosen["n_iter"] = self._trained(self._history(context), size, n_epochs, rows)
        return expert

    def _better_context(self, size, of_ngrams):
        """Whether contexts within sentences or documents suit the held-out text better, after an epoch of some rows.

        Returns
        -------
        context : str
        expert : LowRankExpert of this context, which stays as it is, since Ctrl-C has come meanwhile; or None
        """
        n = len(self.train.ids)
        rows = np.arange(max(n - PILOT_ROWS, 0), n)
        perplexity, experts = {}, {}
        for context in ("sentence", "document"):
            if self.interrupted:
                break
            try:
                expert, _ = self._trained(self._history(context), size, 1, rows)
            except KeyboardInterrupt:
                if not experts:
                    raise
                self.interrupted = True
                break
            experts[context] = expert
            log_proba = np.column_stack([of_ngrams[self.judged], self._judge_despite_ctrl_c(expert)])
            proba = np.exp(log_proba)
            perplexity[context] = float(np.exp(-np.log(mixed(proba, fit_weights(proba))).mean()))
        told = ", ".join(f"{perplexity[context]:.1f} within a {context}" for context in perplexity)
        self._tell(f"context: after a short training, the held-out perplexity is {told}", n)
        best = min(perplexity, key=perplexity.get)
        return best, experts[best] if self.interrupted else None

    def _history(self, context):
        return History(self.n_classes, **HISTORY, across=context == "document")

    def _trained(self, history, size, n_epochs, rows):
        """The LowRankExpert of the epoch that suits the held-out text best, and the number of epochs until then."""
        classifier, positions, best = self._classifier(size), history.positions(self.train), None
        for epoch in range(n_epochs):
            try:
                self._epoch(classifier, history, positions, rows, epoch, n_epochs)
            except KeyboardInterrupt:
                if not hasattr(classifier, "classes_"):
                    raise
                self.interrupted = True
            arrays = classifier.embedding_, classifier.hidden_coef_, classifier.intercept_
            expert = LowRankExpert(history, *(np.array(a) for a in arrays))
            loss = -self._judge_despite_ctrl_c(expert).mean()
            self._tell(f"low rank, epoch {epoch + 1} of {n_epochs}: held-out perplexity {np.exp(loss):.1f}", len(rows))
            if best is None or loss < best[0]:
                best = loss, expert, epoch + 1
            if self.interrupted:
                break
        return best[1:]

    def _epoch(self, classifier, history, positions, rows, epoch, n_epochs):
        """Train on these rows once, in an order of their own, chunk by chunk."""
        ids, n_chunks = self.train.ids, -(-len(rows) // CHUNK_ROWS)
        for number, chunk in enumerate(np.array_split(self.rng.permutation(rows), n_chunks)):
            progress = (epoch + number / n_chunks) / n_epochs
            classifier.set_params(learning_rate=LEARNING_RATE * (1.0 - progress))
            X = history.rows(ids, positions, chunk)
            first = {}
            if not hasattr(classifier, "classes_"):
                first = {"n_classes": self.n_classes, "class_counts": np.bincount(ids, minlength=self.n_classes)}
            classifier.partial_fit(X, ids[chunk], **first)

    def _judge(self, expert):
        """The log-probabilities of the judged rows of the held-out text."""
        return expert.log_proba(self.held_out, self.n_threads, self.judged)

    def _judge_despite_ctrl_c(self, expert):
        return self.despite_ctrl_c(functools.partial(self._judge, expert))

    def _classifier(self, size):
        return SoftmaxClassifier(
            loss=self.model.loss,
            hidden_size=size,
            direct=None,
            optimizer=Adagrad(alpha=ALPHA),
            batch_size=BATCH_SIZE,
            random_state=self.rng,
            n_threads=self.n_threads,
            calibration_fraction=0,
        )

    def _tell(self, what, n_rows):
        say(what, self.model.verbose, n_rows=max(n_rows, 1 << 16))

    def _tell_weights(self, mixture, proba):
        weights = fit_weights(proba)[0]
        self.chosen["weights"] = dict(zip(mixture.names, weights.tolist(), strict=True))
        told = ", ".join(f"{name} {weight:.2f}" for name, weight in self.chosen["weights"].items())
        names = ("hidden_size", "context", "n_iter", "cache")
        chosen = ", ".join(f"{name}={self.chosen[name]}" for name in names if name in self.chosen)
        self._tell(f"chosen by held-out text: {chosen}; weights in all: {told}", len(proba))
        self._tell(f"held-out perplexity of the mixture: {self.chosen['held_out_perplexity']:.2f}", len(proba))


def held_out(text):
    """A Text without a few blocks of sentences or documents, and these blocks.

    Blocks begin and end where documents do if there are many, since a document tells about itself.
    """
    n = len(text.ids)
    n_held_out = min(int(HELD_OUT_SHARE * n), MOST_HELD_OUT)
    bounds = text.documents if len(text.documents) >= 10 * N_BLOCKS else text.lines
    bounds = np.append(bounds, n)
    n_blocks = max(1, min(N_BLOCKS, (len(bounds) - 1) // 4))
    train, out, done = [], [], 0
    for block in range(1, n_blocks + 1):
        end = int(bounds[np.searchsorted(bounds, n * block // n_blocks, side="right") - 1])
        if end <= done:  # one sentence, or document, is longer than a block
            continue
        first = int(np.searchsorted(bounds, max(end - n_held_out // n_blocks, done + 1)))
        first = min(int(bounds[first]), int(bounds[np.searchsorted(bounds, end) - 1]))
        if first > done:
            train.append(text.part(done, first))
        if end > first:
            out.append(text.part(first, end))
        done = end
    return joined(train), joined(out)
