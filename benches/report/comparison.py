"""Where peers are better than the best variant of fastsoftmax, and which systems nobody beats."""

import math

from .measures import MEASURES, NLL, P_AT_1, TRAINING


def losses(outcomes):
    """Yield (measure, the best Outcome of ours, the better Outcomes of peers, best first), if there are any."""
    for measure in MEASURES:
        known = [o for o in outcomes if o.median(measure) is not None]
        ours = [o for o in known if o.is_ours]
        if not ours:
            continue
        value = measure.best(o.median(measure) for o in ours)
        best = next(o for o in ours if o.median(measure) == value)
        peers = [o for o in known if not o.is_ours and measure.better(o.median(measure), value)]
        if peers:
            yield (
                measure,
                best,
                sorted(peers, key=lambda o: o.median(measure), reverse=not measure.smaller_is_better),
            )


def loss_sentence(measure, best, peers):
    value = best.median(measure)
    told = [
        f"{peer.system} {measure.sentence(peer.median(measure))}{_factor(peer.median(measure), value)}"
        for peer in peers
    ]
    words = measure.words[0].upper() + measure.words[1:]
    return f"{words}: {', '.join(told)}; the best of fastsoftmax, {best.system}, {measure.sentence(value)}."


def _factor(a, b):
    """Write the ratio of the larger to the smaller."""
    low, high = sorted((a, b))
    if low <= 0 or math.isinf(high):
        return ""
    ratio = high / low
    return f" (a factor of {ratio:.3g})" if ratio >= 1.005 else " (by less than a hundredth)"


def losing(outcomes):
    """Return sentences that tell what fastsoftmax loses at on a problem, or why that cannot be told."""
    good = [o for o in outcomes if o.spreads]
    if not any(o.is_ours for o in good):
        return ["No variant of fastsoftmax has a result here: nothing to compare."]
    if all(o.is_ours for o in good):
        return ["No peer has a result here: nothing to compare."]
    return [loss_sentence(*loss) for loss in losses(good)] or [
        "Nothing: no peer's median is better than the best of fastsoftmax in any column."
    ]


def front(outcomes, quality_measure, cost=TRAINING):
    """Return the Outcomes, cheapest first, that no other beats by being better in one measure and as good in the other."""
    known = [o for o in outcomes if o.median(cost) is not None and o.median(quality_measure) is not None]

    def beats(a, b):
        as_good = not any(m.better(b.median(m), a.median(m)) for m in (cost, quality_measure))
        return as_good and any(m.better(a.median(m), b.median(m)) for m in (cost, quality_measure))

    return sorted((o for o in known if not any(beats(a, o) for a in known)), key=lambda o: o.median(cost))


def front_sentences(outcomes):
    for measure in (P_AT_1, NLL):
        members = [
            f"{o.system} ({TRAINING.sentence(o.median(TRAINING))}, {measure.sentence(o.median(measure))})"
            for o in front(outcomes, measure)
        ]
        yield f"Training time and {measure.words}: {', '.join(members) or 'nobody has both'}."
