"""The long campaign, `python -m tests.fuzz --seconds 3600` in a clone: rounds of random examples in processes of their own.

It ends with the first round that fails, also where the process crashes, and prints the command that repeats this round.
"""

import argparse
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600, help="no round begins later; default: %(default)s")
    parser.add_argument(
        "--length", type=int, default=5, help="times the examples of the short run; default: %(default)s"
    )
    parser.add_argument("--seed", type=int, help="one round with this seed")
    parser.add_argument("pytest", nargs="*", help="further arguments for pytest after --, such as -k linear")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    while True:
        seed = secrets.randbelow(2**31) if options.seed is None else options.seed
        status = one_round(seed, options)
        if status:
            repeat = [f"--seed {seed} --length {options.length}", *(["--", *options.pytest] if options.pytest else [])]
            print(f"This round failed (exit status {status}). To repeat it: python -m tests.fuzz {' '.join(repeat)}")
            return 1
        if options.seed is not None or time.monotonic() > end:
            return 0


def one_round(seed, options):
    """The exit status of pytest in a process of its own; negative where a signal ended it."""
    command = [sys.executable, "-m", "pytest", str(HERE), f"--hypothesis-seed={seed}", "-x", "-q", *options.pytest]
    environment = os.environ | {"FASTSOFTMAX_FUZZ": str(max(2, options.length))}
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
