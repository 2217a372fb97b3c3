"""What a training leaves to the next one beside the model: the random generator, the class counts, and the sampler."""

import copy
import functools

import numpy as np

import fastsoftmax.samplers as samplers
from fastsoftmax.files.state_dict import BIT_GENERATORS, generator, generator_state
from fastsoftmax.passes.candidates import KINDS
from fastsoftmax.runtime.ranks import ONE

# A sampler that draws by class counts is made anew once there are ROWS_A_CLASS new rows for each class, which make it worth
# the time, or once the number of rows has grown by SHARE.
ROWS_A_CLASS = 1 / 64
SHARE = 0.25


class TrainingState:
    """Everything that `partial_fit` continues from, beside the model.

    Attributes
    ----------
    rng : numpy Generator
    class_counts : (n_classes,) how often each class was seen in rows that count, whatever their weights, since batches are
        made of rows; of soft targets, the sums of their masses
    damping : float or None
        What Adagrad's sums of a sparse term start at; None where there is no such term.
    sampler : KeptSampler
    """

    def __init__(self, rng, class_counts, damping=None, sampler=None):
        self.rng, self.class_counts, self.damping = rng, class_counts, damping
        self.sampler = KeptSampler() if sampler is None else sampler

    def copy(self):
        """A copy that further training leaves alone; it shares what is replaced, and never changed in place."""
        kept = self.sampler
        sampler = KeptSampler(kept.given, copy.deepcopy(kept.sampler), kept.counts, kept.saved)
        return TrainingState(copy.deepcopy(self.rng), self.class_counts, self.damping, sampler)

    def count(self, counts, loss, ranks=ONE):
        """Add the class counts of further rows. The sampler of `loss` may have to be made anew because of them."""
        unseen = self.class_counts == 0
        before = self.class_counts
        self.class_counts = ranks.common(lambda: before + counts)
        if loss.is_sampled:
            self.sampler.take_counts(loss.sampler, self.class_counts, new=counts[unseen].any())

    def restart(self, class_counts):
        """Replace the class counts; the next training makes its sampler from the new ones."""
        self.class_counts, self.sampler = class_counts, KeptSampler()

    def state(self, sampler):
        """A nested dict for files; see files.state_dict.

        It holds what the kept sampler has learned, if that was made from `sampler`.
        """
        is_numpys = type(self.rng.bit_generator).__name__ in BIT_GENERATORS
        state = {"class_counts": self.class_counts, "damping": self.damping}
        state["rng"] = generator_state(self.rng) if is_numpys else None
        return state | {"sampler": self.sampler.state(sampler, self.class_counts)}

    @classmethod
    def restored(cls, state, sampler, new_rng):
        """The TrainingState of a `state`.

        sampler : the name or object that the sampler is made from
        new_rng : function that makes a generator where none was kept
        """
        rng = new_rng() if state["rng"] is None else generator(state["rng"])
        kept = KeptSampler.restored(state["sampler"], sampler, state["class_counts"])
        return cls(rng, state["class_counts"], state["damping"], kept)


def _make(loss, counts):
    """The sampler of a loss over classes of these counts."""
    # a sampler of a batch's own targets never draws an unseen class: counting it would make the other shares wrong
    drawn_by = counts if samplers.kind_of(loss.sampler).draws_targets else at_least_one(counts)
    logistic_loss = loss.name if KINDS[loss.trains_as].is_logistic else None
    return samplers.make(loss.sampler, drawn_by, logistic_loss=logistic_loss)


class KeptSampler:
    """The sampler of a training, and what it was made from.

    Attributes
    ----------
    given : the name or object that the user asked for
    sampler : fastsoftmax.samplers.Sampler made from it; None: it will be made when training begins
    counts : (n_classes,) class counts that it draws by; None: it will draw by those of the training
    saved : state that the sampler will be restored to, or None
    """

    def __init__(self, given=None, sampler=None, counts=None, saved=None):
        self.given, self.sampler, self.counts, self.saved = given, sampler, counts, saved

    def for_loss(self, loss, class_counts, ranks=ONE):
        """The sampler of `loss`; if it is the same as in earlier calls, it keeps what it has learned.

        ranks : those that draw the same negatives
        """
        if self.sampler is None or loss.sampler != self.given:
            resumes = self.sampler is None and self.saved is not None and self.given == loss.sampler
            counts = self.counts if resumes and self.counts is not None else class_counts
            is_named = isinstance(loss.sampler, str)  # a user's own may be nothing that can be sent
            sampler = ranks.common(functools.partial(_make, loss, counts)) if is_named else _make(loss, counts)
            if resumes:
                sampler.restore(self.saved)
            self.given, self.sampler, self.counts, self.saved = loss.sampler, sampler, counts, None
        return self.sampler

    def take_counts(self, given, class_counts, *, new):
        """Take note of grown class counts; `new` says whether there are rows of classes that were not seen before."""
        kind = samplers.kind_of(given)
        before = 0 if self.counts is None else self.counts.sum()
        n_new = class_counts.sum() - before
        must = new and kind.draws_targets
        if must or n_new >= min(ROWS_A_CLASS * len(class_counts), SHARE * before):
            self.renew(given)

    def renew(self, given):
        """Have the next training make the sampler anew, if it depends on the class counts and on nothing else."""
        if isinstance(given, str) and samplers.kind_of(given).depends_on_counts:
            self.sampler = self.counts = None

    def state(self, given, class_counts):
        """What the sampler has learned, and its counts; None where there is none, or where `given` has changed since."""
        if given is None or self.given != given:
            return None
        learned = self.saved if self.sampler is None else self.sampler.state()
        if learned is None:
            return None
        counts = None if self.counts is class_counts else self.counts  # the counts of fewer rows
        return {"learned": learned, "counts": counts}

    @classmethod
    def restored(cls, state, given, class_counts):
        if state is None:
            return cls()
        counts = class_counts if state["counts"] is None else state["counts"]
        return cls(given, counts=counts, saved=state["learned"])


def at_least_one(class_counts):
    """The counts, in which each zero becomes one, or the smallest other count if that is less than one."""
    return np.where(class_counts > 0, class_counts, least_count(class_counts))


def least_count(class_counts):
    """What `at_least_one` makes of a count of zero."""
    return class_counts.min(where=class_counts > 0, initial=1)
