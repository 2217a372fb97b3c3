"""The comparison: every system on every problem, at every amount of training, and the main one several times."""

import tempfile
from pathlib import Path

from . import runs
from .worker.systems import SYSTEMS

HOPELESS = 1.5  # a run that would take so many times the limit, by a run of less training, is not tried


def compare(problems, systems, options, known=(), on_run=lambda results: None):
    """The results: what was compared and all runs, as plain numbers.

    Parameters
    ----------
    problems : iterable of functions without arguments that make a Problem
    systems : list of str
        Names in `SYSTEMS`.
    options : dict
        "quick", "repetitions", "n_threads", "limit_seconds", "max_bytes".
    known : list of dict
        Runs of an earlier comparison, which are not run again.
    on_run : function of the results
        Called after each run, so that nothing is lost.
    """
    about = [_about(SYSTEMS[name]) for name in systems]
    results = {"options": options, "problems": [], "systems": about, "runs": []}
    done = {_key(r): r for r in known}
    with tempfile.TemporaryDirectory(prefix="fastsoftmax-bench-") as folder:
        for make in problems:
            problem = make()
            problem.save(Path(folder, problem.name))
            results["problems"].append(problem.summary())
            earlier = {}
            for system, budget, repetition in _plan(systems, options):
                key = (problem.name, system, budget, repetition)
                run = done.get(key) or _run(problem, folder, key, earlier, options)
                _note_versions(about, run)
                earlier[key] = run
                results["runs"].append(run)
                on_run(results)
    return results


def _about(system):
    return {
        "name": system.name,
        "settings": system.settings,
        "environment": system.environment,
        "versions": {},
        "one_thread": system.one_thread,
    }


def _note_versions(about, run):
    if run.get("versions"):
        next(a for a in about if a["name"] == run["system"])["versions"] = run["versions"]


def _key(run):
    return run["problem"], run["system"], run["budget"], run["repetition"]


def _plan(systems, options):
    """(system, budget, repetition) in the order of the runs: systems take turns, small budgets come first."""
    for repetition in range(options["repetitions"]):
        for name in systems:
            system = SYSTEMS[name]
            others = [b for b in system.budgets if b != system.budget]
            budgets = sorted([*others, system.budget]) if repetition == 0 and others else [system.budget]
            if options["quick"] and others:  # one point beside the main one makes a curve
                budgets = [b for b in budgets if b in (others[0], system.budget)]
            for budget in budgets:
                yield name, budget, repetition


def _run(problem, folder, key, earlier, options):
    _, system, budget, repetition = key
    outcome = _foreseen(key, earlier, options) or runs.run(
        problem,
        Path(folder, problem.name),
        system,
        budget,
        repetition,
        limits=options,
        folder=Path(folder, "run"),
    )
    is_main = budget == SYSTEMS[system].budget
    return {
        "problem": problem.name,
        "system": system,
        "budget": budget,
        "is_main": is_main,
        "repetition": repetition,
        **outcome,
    }


def _foreseen(key, earlier, options):
    """The outcome of a run that is not worth trying, by the earlier ones of the same system; None if it is."""
    problem, system, budget, _ = key
    mine = [r for (p, s, *_), r in earlier.items() if (p, s) == (problem, system)]
    same = [r for r in mine if r["budget"] == budget]
    if same and same[0]["status"] != "ok":
        return {"status": same[0]["status"], "reason": same[0]["reason"]}
    limit = options["limit_seconds"]
    for run in mine:
        if budget is None or run["budget"] >= budget:
            continue
        if run["status"] == "ok" and SYSTEMS[system].stops_early:
            continue
        if run["status"] == "ok":
            expected = run["train_seconds"] * budget / run["budget"]
            if expected > HOPELESS * limit:
                return {
                    "status": "too slow",
                    "reason": f"would take about {expected:.0f} s, by {run['budget']} of {budget}",
                }
        else:
            return {"status": run["status"], "reason": run["reason"]}
    return None
