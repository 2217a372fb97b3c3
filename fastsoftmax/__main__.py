"""`python -m fastsoftmax`: the command `fastsoftmax`."""

import sys

from fastsoftmax.cli.main import main

sys.exit(main())
