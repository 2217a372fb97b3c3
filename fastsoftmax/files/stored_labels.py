"""Labels in files, as arrays of numbers, text or JSON: nothing in them is ever executed."""

import json

import numpy as np

from fastsoftmax.validation import as_text_array, family

PLAIN = (str, int, float, bool, type(None))
UTF8 = ("utf-8", "surrogatepass")  # a label may be any string of Python, half a surrogate pair too


def pack(classes):
    """A dict of tensors that hold the labels, and the name of their kind."""
    kind = family(classes)
    if kind in ("strings", "bytes"):
        encoded = classes.tolist() if kind == "bytes" else [label.encode(*UTF8) for label in classes.tolist()]
        ends = np.cumsum([len(label) for label in encoded], dtype=np.int64)
        return {"classes.utf8": np.frombuffer(b"".join(encoded), np.uint8), "classes.ends": ends}, kind
    if classes.dtype.kind == "O":
        text = json.dumps([to_json(label) for label in classes], separators=(",", ":"))
        return {"classes.json": np.frombuffer(text.encode(), np.uint8)}, "objects"
    if classes.dtype.kind in "mM":
        return {"classes": classes.view(np.int64)}, f"{kind.removesuffix('s')} {classes.dtype.str}"
    return {"classes": classes}, "numbers"


def unpack(tensors, kind):
    """The labels that `pack` turned into `tensors`; they are removed from this dict."""
    if kind == "numbers":
        return tensors.pop("classes")
    if kind == "objects":
        labels = [from_json(label) for label in json.loads(tensors.pop("classes.json").tobytes())]
        return np.fromiter(labels, object, len(labels))
    if kind in ("strings", "bytes"):
        text, ends = tensors.pop("classes.utf8").tobytes(), tensors.pop("classes.ends").tolist()
        labels = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        return as_text_array(labels, bytes) if kind == "bytes" else as_text_array([t.decode(*UTF8) for t in labels])
    dtype = np.dtype(kind.split()[1])
    if dtype.kind not in "mM":
        raise ValueError(f"labels of {dtype}")
    return tensors.pop("classes").view(dtype)


def to_json(label):
    """A label, which is text, a number, a bool, None or a tuple of these, as JSON holds it: tuples become lists."""
    if isinstance(label, np.generic):
        label = label.item()
    if type(label) in PLAIN:
        return label
    if type(label) is tuple:
        return [to_json(part) for part in label]
    raise TypeError(
        f"labels of type {type(label).__name__} cannot be saved, got {label!r}: strings, numbers, bools, dates of NumPy, and "
        "tuples of strings, numbers, bools and None can. pickle keeps the model with labels of any type"
    )


def from_json(value):
    """The label that `to_json` turned into `value`."""
    return tuple(from_json(part) for part in value) if isinstance(value, list) else value


def pack_weights(class_weight):
    """A dict of weights by label as JSON holds it, a list of pairs; None and "balanced" stay as they are."""
    if not isinstance(class_weight, dict):
        return class_weight
    return [[to_json(label), float(weight)] for label, weight in class_weight.items()]


def unpack_weights(value):
    """The dict that `pack_weights` turned into the list `value`; other values stay as they are."""
    return {from_json(label): weight for label, weight in value} if isinstance(value, list) else value
