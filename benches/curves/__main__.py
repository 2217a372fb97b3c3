"""`python -m benches.curves`: measures all curves by themselves, writes and draws them."""

import argparse
import json
from pathlib import Path

from . import measure


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benches.curves", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller points: within a minute")
    parser.add_argument("--threads", type=int, nargs="+", help="of the curve over threads; by default 1, 2, 4 ... all")
    parser.add_argument("--output", type=Path, help="JSON")
    parser.add_argument("--figure", type=Path, metavar="FOLDER", help="where cost_over_classes.png and .svg go")
    options = parser.parse_args(arguments)
    curves = measure(options.quick, print, options.threads)
    if options.output:
        options.output.write_text(json.dumps(curves, indent=1) + "\n")
    if options.figure:
        from .figure import draw

        draw(curves, options.figure)


if __name__ == "__main__":
    main()
