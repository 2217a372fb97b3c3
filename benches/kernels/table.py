"""All kernels, measured beside their peers or as stored."""

import sys

from . import CASES, measure, problems

BUDGET, QUICK_BUDGET = 2.5, 1.0  # seconds for all rounds of a case


def measure_all(options, stored, save):
    """Measure what the options `family`, `problem` and `quick` choose; all else is as stored.

    Parameters
    ----------
    stored : dict of family to records
    save : function of all records, as a dict of family to records
        Called after each case, so that a run that is stopped loses none of its results.
    """
    families = {family: stored[family] for family in CASES if family in stored}
    for family in options.family or CASES:
        for case in CASES[family]():
            if options.problem in case.label and (case.quick or not options.quick):
                record = measure.measure(case, budget=QUICK_BUDGET if options.quick else BUDGET)
                families[family] = _with(record, families.get(family, []), CASES[family]())
                save({name: families[name] for name in CASES if name in families})
                print(".", end="", file=sys.stderr, flush=True)
        problems.forget()
    print(file=sys.stderr)


def _with(record, records, cases):
    """The records and this one, in the order of the cases; those of cases that no longer exist are left out."""
    by_label = {r["label"]: r for r in [*records, record]}
    return [by_label[case.label] for case in cases if case.label in by_label]
