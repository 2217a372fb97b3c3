"""What `fastsoftmax predict` writes: a line for each row, of columns between tabs or a JSON object."""

import json
import sys

from fastsoftmax.validation import check_label_columns

_JSON = json.JSONEncoder(default=str).encode  # dates and other labels that JSON does not have become strings


class Answers:
    """Writes lines on standard output; those of a call are there when it returns.

    Parameters
    ----------
    options : of the command
        `jsonl` says whether lines are JSON objects.
    name, labels : str and list
        What errors call the labels that may be written, and all of them.

    Raises
    ------
    ValueError
        If a label would break the columns of a line that is no JSON.
    """

    def __init__(self, options, name, labels):
        self._line = _object if options.jsonl else _columns
        self._checks = not options.jsonl
        self.check(name, labels)

    def check(self, name, labels):
        """Raise where one of further labels would break the columns of a line."""
        if self._checks:
            check_label_columns(name, labels)

    def write(self, heads, labels, probabilities, n_left):
        """Write a line for each row.

        heads : dicts of what a line begins with: the number of the row's "line", or its "user"
        labels, probabilities : lists of each row's labels, the best first, and of their probabilities; its first n_left count
        """
        rows = zip(heads, labels, probabilities, n_left, strict=True)
        sys.stdout.write("".join([self._line(head, row[:n], p[:n]) for head, row, p, n in rows]))
        sys.stdout.flush()


def _columns(head, labels, probabilities):
    """The name of a user, if there is one, and each label with its probability."""
    columns = [head["user"]] if "user" in head else []
    columns += [f"{label}\t{p:.6g}" for label, p in zip(labels, probabilities, strict=True)]
    return "\t".join(columns) + "\n"


def _object(head, labels, probabilities):
    """A JSON object, whose keys docs/command.md explains."""
    numbers = ", ".join([f"{p:.6g}" for p in probabilities])
    return f'{_JSON(head)[:-1]}, "classes": {_JSON(labels)}, "probabilities": [{numbers}]}}\n'
