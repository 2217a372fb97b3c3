"""``python -m benches``: the table of all benchmarks, benches/RESULTS.md, and its figure."""

import argparse
import json
import sys
from pathlib import Path

from . import CASES, measure, report

HERE = Path(__file__).parent


def records_of(family, options, stored):
    """The family's records: measured as the options say, or else as stored."""
    stored = {r["label"]: r for r in stored}
    for case in CASES[family]():
        if options.problem in case.label and (case.quick or not options.quick):
            yield measure.measure(case, budget=1.0 if options.quick else 2.5)
            print(".", end="", file=sys.stderr, flush=True)
        elif case.label in stored:
            yield stored[case.label]


def main():
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("--family", choices=list(CASES), action="append", help="measure these only (may be repeated)")
    parser.add_argument("--problem", default="", help="measure problems whose name, shape and dtype contain this text")
    parser.add_argument("--quick", action="store_true", help="fewer shapes and rounds")
    parser.add_argument("--output", type=Path, help="write the table there, and its numbers beside it as JSON")
    parser.add_argument(
        "--figure", action="store_true", help="draw docs/speedups.png and .svg from benches/results.json"
    )
    options = parser.parse_args()
    if options.figure:
        from . import figure

        figure.draw(json.loads((HERE / "results.json").read_text()), HERE.parent / "docs")
        return
    results = {"machine": report.machine(), "families": {}}
    stored = options.output and options.output.with_name(options.output.stem.lower() + ".json")
    if stored and stored.exists():  # of what is not measured now
        results["families"] = json.loads(stored.read_text())["families"]
    for family in options.family or CASES:
        results["families"][family] = list(records_of(family, options, results["families"].get(family, [])))
    print(file=sys.stderr)
    results["families"] = {name: results["families"][name] for name in CASES if results["families"].get(name)}
    text = report.markdown(results)
    print(text)
    if options.output:
        options.output.write_text(text)
        stored.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
