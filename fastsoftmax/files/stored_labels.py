"""Labels in files, as arrays of numbers, text or JSON: nothing in them is ever executed."""

import json

import numpy as np

from fastsoftmax.validation import as_text_array, family

PLAIN = (str, int, float, bool, type(None))
EXACT_FLOATS = 2.0**53  # up to here each integer is a float
NUMBERS = "numbers"  # the kind of labels that are a tensor as they are
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
    return {"classes": classes}, NUMBERS


def unpack(tensors, kind):
    """The labels that `pack` turned into `tensors`; they are removed from this dict."""
    if kind == NUMBERS:
        return tensors.pop("classes")
    if kind == "objects":
        labels = [from_json(label) for label in json.loads(tensors.pop("classes.json").tobytes())]
        return np.fromiter(labels, object, len(labels))
    if kind in ("strings", "bytes"):
        text, ends = tensors.pop("classes.utf8").tobytes(), tensors.pop("classes.ends").tolist()
        labels = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        return as_text_array(labels, bytes) if kind == "bytes" else as_text_array([t.decode(*UTF8) for t in labels])
    return tensors.pop("classes").view(_date_dtype(kind.split()[1]))


def to_json(label):
    """A label, which is text, bytes, a number, a bool, a date or duration of NumPy, None or a tuple of these, for JSON.

    Tuples become lists. What JSON has no type for becomes a dict of its kind and its value.
    """
    if isinstance(label, (np.datetime64, np.timedelta64)):
        return {"date": [int(label.view(np.int64)), label.dtype.str]}
    if isinstance(label, np.generic):
        label = label.item()
    if type(label) is str and not _is_unicode(label):  # JSON would join two halves of a surrogate pair
        return {"text": label.encode(*UTF8).hex()}
    if type(label) in PLAIN:
        return label
    if type(label) is bytes:
        return {"bytes": label.hex()}
    if type(label) is tuple:
        return [to_json(part) for part in label]
    raise TypeError(
        f"labels of type {type(label).__name__} cannot be saved, got {label!r}: strings, bytes, numbers, bools, dates of "
        "NumPy, and tuples of these and None can. pickle keeps the model with labels of any type"
    )


def key_to_json(label):
    """A label that only has to equal others, for JSON: members of an enumeration of text or integers become these."""
    if isinstance(label, str):
        label = str.__str__(label)
    elif isinstance(label, bytes):
        label = bytes.__bytes__(label)
    elif isinstance(label, int) and not isinstance(label, bool):
        label = int(label)
    elif isinstance(label, np.longdouble) and not abs(label) > EXACT_FLOATS:
        label = float(label)
    return to_json(label)


def from_json(value):
    """The label that `to_json` turned into `value`."""
    if isinstance(value, list):
        return tuple(map(from_json, value))
    if not isinstance(value, dict):
        return value
    ((kind, of_kind),) = value.items()
    if kind == "date":
        number, dtype = of_kind
        return np.array([number], np.int64).view(_date_dtype(dtype))[0]
    if kind not in ("bytes", "text"):
        raise ValueError(f"a label of kind {kind}")
    encoded = bytes.fromhex(of_kind)
    return encoded if kind == "bytes" else encoded.decode(*UTF8)


def _is_unicode(text):
    """Whether a string has no halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _date_dtype(name):
    """The dtype of dates or durations of this name, as a file has it."""
    dtype = np.dtype(name)
    if dtype.kind not in "mM":
        raise ValueError(f"labels of {dtype}")
    return dtype


def pack_weights(class_weight):
    """A dict of weights by label as JSON holds it, a list of pairs; None and "balanced" stay as they are."""
    if not isinstance(class_weight, dict):
        return class_weight
    return [[key_to_json(label), float(weight)] for label, weight in class_weight.items()]


def unpack_weights(value):
    """The dict that `pack_weights` turned into the list `value`; other values stay as they are."""
    return {from_json(label): weight for label, weight in value} if isinstance(value, list) else value
