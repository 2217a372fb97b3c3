"""SequenceFeatures by loops and dicts: rows as dicts of the names of columns."""

import math
from collections import Counter, defaultdict
from typing import NamedTuple


class Event(NamedTuple):
    item: str
    time: float = 0.0
    side: dict | None = None


def of_users(events):
    """The sequence of events of each user, of (user, Event) in any order; the user whose last event is oldest comes first."""
    sequences, last = defaultdict(list), {}
    for i, (user, event) in sorted(enumerate(events), key=lambda each: (each[1][1].time, each[0])):
        sequences[user].append(event)
        last[user] = (event.time, i)
    return [sequences[user] for user in sorted(sequences, key=last.__getitem__)]


class Twin:
    """What is learned of sequences of Events, and rows of others; parameters are those of SequenceFeatures."""

    def __init__(self, sequences, **params):
        self.params = params
        counts = Counter(event.item for sequence in sequences for event in sequence)
        self.items = {item for item, count in counts.items() if count >= params["min_count"]}
        self.values = {(name, e.side[name]) for sequence in sequences for e in sequence for name in params["side"]}
        self.ngrams = Counter()
        for sequence in map(self.known, sequences):
            items = [event.item for event in sequence]
            for n in range(2, params["ngrams"] + 1):
                self.ngrams.update(tuple(items[i : i + n]) for i in range(len(items) - n + 1))

    def known(self, sequence):
        return [event for event in sequence if event.item in self.items]

    def row(self, history):
        """The row of a history of known items."""
        p, values = self.params, defaultdict(float)
        recent = history[-p["max_length"] :]
        shares = defaultdict(float)
        for back, event in enumerate(reversed(recent)):
            weight = p["decay"] ** back
            if p["half_life"] is not None:
                weight *= 0.5 ** (abs(history[-1].time - event.time) / p["half_life"])
            if p["decay"]:
                values[event.item] += weight
            if p["even"]:
                values[f"{event.item}, anywhere"] += p["even"] / math.sqrt(len(recent))
            for name in p["side"]:
                if weight and (name, event.side[name]) in self.values:
                    shares[name, event.side[name]] += weight
        for name, value in shares:
            total = sum(weight for (other, _), weight in shares.items() if other == name)
            values[f"{name} {value}"] = shares[name, value] / total
        for place in range(1, min(p["places"], len(history)) + 1):
            values[f"{history[-place].item}, {place} back"] = 1.0
        for n in range(2, min(p["ngrams"], len(history)) + 1):
            ngram = tuple(event.item for event in history[-n:])
            if self.ngrams[ngram] >= max(2, p["min_count"]):
                values[" then ".join(ngram)] = 1.0
        if p["length_buckets"]:
            values[_bucket(len(history))] = 1.0
        length = math.sqrt(sum(value**2 for value in values.values())) if p["unit_length"] else 1.0
        return {name: value / length for name, value in values.items()}

    def wholes(self, sequences):
        return [self.row(self.known(sequence)) for sequence in sequences]

    def prefixes(self, sequences, reverses, n_targets, decay):
        """Rows, and a dict of the masses of items for each."""
        sequences = [self.known(sequence) for sequence in sequences]
        if reverses:
            sequences += [sequence[::-1] for sequence in sequences]
        rows, masses = [], []
        for sequence in sequences:
            for i in range(1, len(sequence)):
                rows.append(self.row(sequence[:i]))
                later = sequence[i : i + n_targets]
                total = sum(decay**j for j in range(len(later)))
                masses.append(defaultdict(float))
                for j, event in enumerate(later):
                    masses[-1][event.item] += decay**j / total
        return rows, masses


def _bucket(length):
    if length < 2:
        return "1 item" if length else "no items"
    low = 2
    while low * 2 <= length:
        low *= 2
    return f"{low} to {2 * low - 1} items"
