"""Results in files: JSON with a line for each record, so that a new measurement changes its own lines alone."""

import json
import os


def load(path):
    """The results in a file; None if there is none."""
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def save(path, results):
    """Write all or nothing: a run that is stopped while it writes loses none of the earlier results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(_text(results) + "\n")
    os.replace(fresh, path)


def _text(value):
    """The elements of a list have a line each; so have the keys of a dictionary, if there are lists or dictionaries below."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
    if isinstance(value, dict) and any(isinstance(below, list | dict) for below in value.values()):
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {_text(below)}" for key, below in value.items()) + "\n}"
    return json.dumps(value)
