"""Times of several calls side by side: in rounds, so that what else the machine does meets them all alike."""

import time

MAX_ROUNDS, MIN_ROUNDS = 15, 3
SLOT = 0.02  # seconds: shorter calls are repeated within a round
PAUSE = 0.005  # for the last call's worker threads to go to sleep: a spinning one would take a core from the next call
HOPELESS = 3.0  # calls that take so many times the fastest peer's time take part in only MIN_ROUNDS


def _seconds(call, repeat=1):
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def interleaved(calls, budget):
    """name -> seconds of each round, about `budget` seconds in all but at least MIN_ROUNDS rounds."""
    first = {name: _seconds(call) for name, call in calls.items()}
    repeat = {name: max(1, int(SLOT / max(s, 1e-7))) for name, s in first.items()}
    fastest = sorted(first.values())[: len(first) // 2 + 1][-1]
    slot = {name: max(SLOT, first[name]) + (first[name] if repeat[name] > 1 else 0) + PAUSE for name in calls}
    hopeless = {name for name in calls if first[name] > max(0.1, HOPELESS * fastest)}
    budget -= MIN_ROUNDS * sum(slot[name] for name in hopeless)
    rounds = int(budget / sum(slot[name] for name in calls if name not in hopeless))
    seconds = {name: [] for name in calls}
    for i in range(min(MAX_ROUNDS, max(MIN_ROUNDS, rounds))):
        for name, call in calls.items():
            if name in hopeless and i >= MIN_ROUNDS:
                continue
            time.sleep(PAUSE)
            if repeat[name] > 1:
                call()
            seconds[name].append(_seconds(call, repeat[name]))
    return seconds
