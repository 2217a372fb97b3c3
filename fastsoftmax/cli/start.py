"""Where the command `fastsoftmax` begins: it imports the rest in a place where what fails there is an error in one line.

An instruction set in `FASTSOFTMAX_ISA` that there is not, for example, fails as the kernels are imported.
"""

import sys


def main(arguments=None):
    """Run the command line `arguments` (default: sys.argv). Returns the exit status."""
    try:
        from fastsoftmax.cli import main as command
    except ImportError as error:
        print(f"fastsoftmax: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nfastsoftmax: interrupted", file=sys.stderr)
        return 130
    return command.main(arguments)
