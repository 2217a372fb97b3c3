"""Times of several calls, measured in turns, so that other work on the machine affects all of them alike."""

import time

MAX_ROUNDS, MIN_ROUNDS = 15, 3
SLOT = 0.02  # seconds; shorter calls are repeated within a round
LONG = 0.5  # seconds; of longer calls the first round counts too, and slow rivals get no other
HOPELESS = 1.5  # a rival is slow if it takes so many times as long as the fastest
PAUSE = (
    0.005  # seconds in which the last call's threads go to sleep: spinning, they would take a core from the next call
)
BLAS_PAUSE = 0.15  # seconds; threads of OpenBLAS spin for a tenth of a second


def _seconds(call, repeat=1):
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def interleaved(calls, budget, rivals=(), pause=PAUSE):
    """Return {name: seconds of each round} of calls that have run once before.

    The rounds take about `budget` seconds together, and there are at least MIN_ROUNDS.
    """
    first = {name: _seconds(call) for name, call in calls.items()}
    is_long = max(first.values()) > LONG
    fastest = min((first[name] for name in rivals), default=0.0)
    hopeless = {name for name in rivals if first[name] > max(LONG, HOPELESS * fastest)}
    seconds = {name: [s] if is_long or name in hopeless else [] for name, s in first.items()}
    repeat = {name: max(1, int(SLOT / max(s, 1e-7))) for name, s in first.items()}
    start = time.perf_counter()
    for i in range(MAX_ROUNDS):
        if i + is_long >= MIN_ROUNDS and (time.perf_counter() - start) * (i + 1) / i > budget:
            break
        for name in calls:
            if name in hopeless:
                continue
            time.sleep(pause)
            if repeat[name] > 1:
                calls[name]()
            seconds[name].append(_seconds(calls[name], repeat[name]))
    return seconds
