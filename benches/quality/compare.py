"""The comparison: every system on every problem, at every amount of training, several times at the main amount."""

import tempfile
from pathlib import Path

from . import runs
from .worker.problem import Problem
from .worker.systems import SYSTEMS

KEPT = ("ok", "too slow")  # not the others, which may change: what was missing may be installed by now
SAME = ("n_threads", "limit_seconds")  # runs that differ in these cannot stand in one table
HOPELESS = 1.5  # times the limit: a run that would take longer, judging by one of less training, is not tried


def compare(problems, systems, options, earlier=None, on_run=lambda results, run: None):
    """Run the comparison and return its results: what was compared, and all runs, as plain numbers.

    Parameters
    ----------
    problems : iterable of functions without arguments that make a Problem
    systems : list of str
        Names in `SYSTEMS`.
    options : dict
        "quick", "repetitions", "n_threads", "limit_seconds", "max_bytes".
    earlier : dict or None
        Results of an earlier comparison. Its runs are not repeated, unless their problem has changed since; runs of other
        problems and systems stay in the results.
    on_run : function of the results and the run
        Called after each new run, so that nothing is lost.

    Raises
    ------
    ValueError
        If `earlier` was made with other threads or limits.
    """
    earlier = earlier or {"options": options, "problems": [], "systems": [], "runs": []}
    for name in SAME:
        if earlier["options"][name] != options[name]:
            raise ValueError(f"the earlier runs have {name} = {earlier['options'][name]}, not {options[name]}")
    about = [_about(SYSTEMS[name]) for name in systems]
    results = {"options": options, "problems": [], "systems": about, "runs": []}
    known = {_key(r): r for r in earlier["runs"] if r["status"] in KEPT}
    with tempfile.TemporaryDirectory(prefix="fastsoftmax-bench-") as folder:
        folders = [_saved(make(), Path(folder, f"problem-{number}")) for number, make in enumerate(problems)]
        for problem_folder in folders:  # after all of them could be read
            problem = Problem.load(problem_folder)
            results["problems"].append(problem.summary())
            if results["problems"][-1] not in earlier["problems"]:
                known = {key: run for key, run in known.items() if run["problem"] != problem.name}
            done = {}
            for system, budget, repetition in _plan(systems, options):
                key = (problem.name, system, budget, repetition)
                run = known.pop(key, None)
                is_new = run is None
                if is_new:
                    run = _run(problem, problem_folder, Path(folder, "run"), key, done, options)
                _note_versions(about, run)
                done[key] = run
                results["runs"].append(run)
                if is_new:
                    on_run(_joined(results, earlier, known), run)
    return _joined(results, earlier, known)


def _saved(problem, folder):
    problem.save(folder)
    return folder


def _joined(results, earlier, known):
    """Add to the results what only the earlier ones have (yet)."""
    both = {}
    for part in ("problems", "systems"):
        names = {entry["name"] for entry in results[part]}
        both[part] = results[part] + [entry for entry in earlier[part] if entry["name"] not in names]
    return results | both | {"runs": results["runs"] + list(known.values())}


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
    """Yield (system, budget, repetition) in the order of the runs: systems take turns, small budgets come first."""
    for repetition in range(options["repetitions"]):
        for name in systems:
            system = SYSTEMS[name]
            others = [b for b in system.budgets if b != system.budget]
            budgets = sorted([*others, system.budget]) if repetition == 0 and others else [system.budget]
            if options["quick"] and others:  # one point beside the main one makes a curve
                budgets = [b for b in budgets if b in (others[0], system.budget)]
            for budget in budgets:
                yield name, budget, repetition


def _run(problem, problem_folder, folder, key, done, options):
    _, system, budget, repetition = key
    outcome = _foreseen(key, done, options) or runs.run(
        problem, problem_folder, system, budget, repetition, limits=options, folder=folder
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


def _foreseen(key, done, options):
    """Return the outcome of a run that is not worth trying, judging by earlier runs of its system; None if it is worth it."""
    problem, system, budget, _ = key
    mine = [r for (p, s, *_), r in done.items() if (p, s) == (problem, system)]
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
                    "reason": f"would take about {expected:.0f} s, as {run['budget']} of {budget} epochs took "
                    f"{run['train_seconds']:.3g} s",
                }
        else:
            return {"status": run["status"], "reason": run["reason"]}
    return None
