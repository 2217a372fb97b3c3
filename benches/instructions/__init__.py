"""Instruction counts of the hot kernels against those on record. They are the same however busy the machine is."""

import argparse
import sys
from pathlib import Path

from . import compare, measure

RECORD = Path(__file__).with_name("counts.json")
FAILED, CANNOT_COUNT = 1, 2


def main(arguments=None):
    """Run the command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "check" and not options.counts.exists():
            raise measure.CannotCount(f"there is no record {options.counts}")
        measure.check_tools()
        made_with = measure.made_with()
        counts = {isa: measure.count(isa, options.dumps) for isa in measure.ISAS}
    except measure.CannotCount as error:
        print(f"instructions: {error}", file=sys.stderr)
        return CANNOT_COUNT
    if options.command == "record":
        compare.save(options.counts, counts, made_with)
        print(f"written: {options.counts}")
        return 0
    recorded, recorded_with = compare.load(options.counts)
    lines = compare.lines(recorded, counts)
    print(compare.report(lines, recorded_with, made_with))
    return FAILED if any(line.fails for line in lines) else 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="fastsoftmax bench instructions", description=__doc__, epilog=f"Exit status {FAILED}: more instructions than "
        f"on record, or other kernels; {CANNOT_COUNT}: they cannot be counted here. It needs valgrind and a C compiler.",
    )  # fmt: skip
    parser.add_argument("command", choices=("check", "record"), help="compare with the record, or write it")
    parser.add_argument("--counts", type=Path, default=RECORD, metavar="FILE", help="the record (default: %(default)s)")
    parser.add_argument(
        "--dumps",
        type=Path,
        metavar="FOLDER",
        help="where to keep callgrind's files, for callgrind_annotate (default: they are not kept)",
    )
    return parser
