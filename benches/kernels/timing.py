"""Times of several calls side by side: in rounds, so that what else the machine does meets them all alike."""

import time

MAX_ROUNDS, MIN_ROUNDS = 15, 3
SLOT = 0.02  # seconds: shorter calls are repeated within a round
LONG = 0.5  # seconds: of such calls the first round counts too, and slow rivals get no other
HOPELESS = 1.5  # a slow rival takes so many times the fastest one's time
PAUSE = 0.005  # for the last call's worker threads to go to sleep: a spinning one would take a core from the next call
BLAS_PAUSE = 0.15  # OpenBLAS has them spin for a tenth of a second


def _seconds(call, repeat=1):
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def interleaved(calls, budget, rivals=(), pause=PAUSE):
    """name -> seconds of each round. The calls have run once before.

    Rounds go on for about `budget` seconds in all, but there are at least MIN_ROUNDS.
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
