"""The help of the commands: like pages of a manual, and as a part of docs/command.md.

`python -m fastsoftmax.cli.manual docs/command.md` writes that part anew, of the parsers and of what each command tells here.
"""

import argparse
import re
import sys
import textwrap
from typing import NamedTuple

from fastsoftmax.cli.arguments import UNITS

WIDTH = 80  # columns of what stands around the options, whose lines argparse breaks
MARK = "<!-- The rest is written by `python -m fastsoftmax.cli.manual docs/command.md`. -->\n"

EXIT_STATUSES = {
    "0": "success; also where what reads the output, such as `head`, has gone before its end",
    "1": "an error in data, files or values of options: one line on standard error; what was written before it stays",
    "2": "an option that the command does not have, or that lacks its value",
    "130": "interrupted by Ctrl-C; `train` saves what it has learned, once there is something to save",
    "128 + N": "ended by signal N, such as 143 by SIGTERM",
}


class Manual(NamedTuple):
    """What the help of a command tells beside its options.

    description, writes : paragraphs, with empty lines between; what the command does, and what it writes where
    examples : pairs of a command line and what it does
    """

    description: str
    writes: str
    examples: tuple


class Parser(argparse.ArgumentParser):
    """A parser whose help, where it cannot be written, is an OSError; argparse's own lets it vanish."""

    def print_help(self, file=None):
        print(self.format_help(), end="", file=file or sys.stdout, flush=True)


def of_parser(help, manual):
    """What argparse is told of a command with this Manual, a dict."""
    examples = "\n".join(f"  {line}\n      {what}" for line, what in manual.examples)
    indent = 2 + max(map(len, EXIT_STATUSES)) + 2
    statuses = [f"  {status:{indent - 2}}{what}" for status, what in EXIT_STATUSES.items()]
    statuses = "\n".join(textwrap.fill(line, WIDTH, subsequent_indent=" " * indent) for line in statuses)
    parts = {"what it writes": _filled(manual.writes, "  "), "examples": examples, "exit status": statuses}
    return {
        "help": help,
        "description": f"{_sentence(help)}\n\n{_filled(manual.description)}",
        "epilog": "\n\n".join(f"{title}:\n{text}" for title, text in parts.items()),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def paragraphs(text):
    """The paragraphs of a text, each in one line."""
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip())]


def _filled(text, indent=""):
    layout = {"initial_indent": indent, "subsequent_indent": indent, "break_on_hyphens": False}
    return "\n\n".join(textwrap.fill(paragraph, WIDTH, **layout) for paragraph in paragraphs(text))


def _sentence(help):
    return f"{help[0].upper()}{help[1:]}."


def parsers_of(parser):
    """The parsers of the commands of a parser, by their names."""
    return next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices


def reference(parser, commands):
    """The Markdown that tells of all commands, modules by their names, whose options `parser` has."""
    out = ["", "## Exit statuses", "| status | meaning |", "|---|---|"]
    out += [f"| {status} | {what} |" for status, what in EXIT_STATUSES.items()]
    out += ["", "## What the values of options count", "| value | what it is |", "|---|---|"]
    out += [f"| {name} | {what} |" for name, what in sorted(UNITS.items())]
    for name, command in commands.items():
        manual = command.MANUAL
        out += ["", f"## fastsoftmax {name}", _sentence(command.HELP)]
        out += [line for paragraph in paragraphs(manual.description) for line in ("", paragraph)]
        out += ["", *(f"    {line}    # {what}" for line, what in manual.examples)]
        out += ["", "| argument | meaning |", "|---|---|", *_rows(parsers_of(parser)[name])]
        for i, paragraph in enumerate(paragraphs(manual.writes)):
            out += ["", paragraph if i else f"**What it writes.** {paragraph}"]
    return "\n".join(out) + "\n"


def _rows(parser):
    """A line of a table for each argument."""
    for action in parser._actions:
        if action.dest == "help":
            continue
        values = (
            action.metavar if isinstance(action.metavar, tuple) else (action.metavar or "|".join(action.choices or ()),)
        )
        value = "" if action.nargs == 0 else " ".join(values) + (" ..." if action.nargs in ("+", "*") else "")
        names = " ".join(filter(None, [", ".join(action.option_strings), value]))
        what = action.help % {"default": action.default}
        yield "| " + " | ".join(text.replace("|", "\\|") for text in (f"`{names}`", what.replace("<", "&lt;"))) + " |"


def main(arguments):
    """Write the part of a page that tells of the commands anew."""
    from fastsoftmax.cli import main

    (path,) = arguments
    with open(path, encoding="utf-8") as file:
        above, _, _ = file.read().partition(MARK)
    with open(path, "w", encoding="utf-8") as file:
        file.write(above + MARK + reference(main._parser(), main.COMMANDS))


if __name__ == "__main__":
    main(sys.argv[1:])
