"""The command `fastsoftmax`: it begins in `start`, `main` parses and dispatches, and each subcommand is a module of its own.

Such a module offers HELP, a line, MANUAL, the rest of its help, `add_options(parser)` and `run(options)`, and main.COMMANDS
names it. What takes long to import is imported in `run`, so that `--help` answers at once. tasks.TASKS names the modules of
models that are no classifiers.
May import: all that lies below.
"""
