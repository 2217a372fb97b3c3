"""`python -m fastsoftmax`: the command `fastsoftmax`."""

import sys

from fastsoftmax.cli.start import main

sys.exit(main())
