"""All kernels, measured beside their peers or as stored."""

import sys

from . import CASES, measure

BUDGET, QUICK_BUDGET = 2.5, 1.0  # seconds for all rounds of a case


def measure_all(options, stored):
    """Return the records of all families: measured if the options `family`, `problem` and `quick` choose them, else stored."""
    families = {}
    for family in CASES:
        known = stored.get("families", {}).get(family, [])
        chosen = family in (options.family or CASES)
        records = list(_records_of(family, options, known)) if chosen else known
        if records:
            families[family] = records
    print(file=sys.stderr)
    return {"families": families}


def _records_of(family, options, stored):
    stored = {r["label"]: r for r in stored}
    for case in CASES[family]():
        if options.problem in case.label and (case.quick or not options.quick):
            yield measure.measure(case, budget=QUICK_BUDGET if options.quick else BUDGET)
            print(".", end="", file=sys.stderr, flush=True)
        elif case.label in stored:
            yield stored[case.label]
