"""Bytes of each component, by name. The tests compare them with the arrays and the files of real models."""

from fastsoftmax.kernels import panels as panels_kernel
from fastsoftmax.passes import tiles
from fastsoftmax.passes.pairs import PAIRED_FROM
from fastsoftmax.runtime.workspaces import WORKING_MEMORY

SAMPLER_BYTES = {"uniform": 0, "log_uniform": 0, "unigram": 24, "in_batch": 8, "learned_unigram": 32}  # a class
STORAGE_BYTES = {"bfloat16": 2, "float16": 2, "int8": 1}  # a weight
DIRECT = (None, "dense", "sparse")


def total(parts):
    return sum(parts.values())


def _n_weights(s, direct, low_rank):
    """Of each array of weights, and its rows."""
    if direct not in DIRECT:
        raise ValueError(f"direct must be one of {DIRECT}, got {direct!r}")
    out = {}
    if direct == "dense":
        out["W"] = s.n_classes * s.n_features, s.n_features
    elif direct == "sparse":
        out["W"] = s.n_pairs, s.n_features
    if low_rank:
        out["E"] = s.n_features * s.hidden_size, s.n_features
        out["V"] = s.n_classes * s.hidden_size, s.n_classes
    return out


def _pattern(s, direct):
    """Of a sparse W: a class id a pair, and where each feature's begin (int32, or int64 from 2^31 pairs on)."""
    if direct != "sparse":
        return {}
    return {"pattern": 4 * s.n_pairs + (8 if s.n_pairs >= 2**31 else 4) * (s.n_features + 1)}


def weights(s, direct=None, low_rank=True):
    """K bias, K D or P or none direct, (D + K) d low rank."""
    parts = {"bias": s.itemsize * s.n_classes} | _pattern(s, direct)
    return parts | {name: s.itemsize * n for name, (n, _) in _n_weights(s, direct, low_rank).items()}


def state(s, direct=None, low_rank=True, optimizer="adagrad"):
    """Adagrad's sums: one a row of E and V, one an element of W and bias. SGD has none."""
    if optimizer not in ("adagrad", "sgd"):
        raise ValueError(f"optimizer must be 'adagrad' or 'sgd', got {optimizer!r}")
    if optimizer == "sgd":
        return {}
    parts = {"state.bias": s.itemsize * s.n_classes}
    for name, (n, n_rows) in _n_weights(s, direct, low_rank).items():
        parts[f"state.{name}"] = s.itemsize * (n if name == "W" else n_rows)
    return parts


def model(s, direct=None, low_rank=True, optimizer="adagrad"):
    return weights(s, direct, low_rank) | state(s, direct, low_rank, optimizer)


def compressed(s, storage, direct=None, low_rank=True):
    """For predictions alone: no state; int8 has a scale a row (a class of V, a feature of E and W)."""
    if storage not in STORAGE_BYTES:
        raise ValueError(f"storage must be one of {tuple(STORAGE_BYTES)}, got {storage!r}")
    parts = {"bias": s.itemsize * s.n_classes} | _pattern(s, direct)
    for name, (n, n_rows) in _n_weights(s, direct, low_rank).items():
        parts[name] = STORAGE_BYTES[storage] * n
        if storage == "int8":
            parts[f"{name}.scale"] = s.itemsize * n_rows
    return parts


def vector(s, storage="float32"):
    """Of a feature's row of E or a class's of V: `hidden_size` weights, for int8 a scale."""
    if storage == "float32":
        return s.itemsize * s.hidden_size
    one = compressed(s._replace(n_features=0, n_classes=1), storage)
    return one["V"] + one.get("V.scale", 0)


def model_file(s, direct=None, low_rank=True, optimizer="adagrad", label_bytes=8):
    """Beside the model the labels and the classes' counts; a header of some KB is not counted."""
    parts = model(s, direct, low_rank, optimizer)
    return parts | {"labels": label_bytes * s.n_classes, "class counts": 8 * s.n_classes}


def checkpoint(s, n_rows=0, direct=None, low_rank=True, optimizer="adagrad"):
    """The model, and a running normaliser (float64) of each training row where sampled softmax has them."""
    return model(s, direct, low_rank, optimizer) | {"running normalisers": 8 * n_rows}


def sampler(name, n_classes):
    """Probabilities (8 bytes a class) and, where classes are drawn from them, an alias table (16); learned counts (8)."""
    if name not in SAMPLER_BYTES:
        raise ValueError(f"sampler must be one of {tuple(SAMPLER_BYTES)}, got {name!r}")
    return SAMPLER_BYTES[name] * n_classes


def _lanes(s):
    """Rows of a batch, filled up to whole panels."""
    width = panels_kernel.panel_width(s.batch, s.itemsize)
    return -(-s.batch // width) * width


def reader(s):
    """A number a feature, and the entries of a batch by row and by feature."""
    return {"batch": 4 * s.n_features + s.batch * s.entries * (4 + 4 + 8 + 2 * s.itemsize)}


def head_step(s, n_candidates, n_threads=1, working_memory=WORKING_MEMORY, gathered=False):
    """Scratch of a step over so many classes: exponentials are kept as far as `working_memory` goes, beside all else.

    gathered : whether class weights are copied for each tile, as those of candidates are
    """
    lanes, tile = _lanes(s), tiles.tile_classes(n_candidates, s.batch, s.itemsize)
    n_tiles, hidden = -(-n_candidates // tile), lanes * s.hidden_size * s.itemsize
    n_sums = min(tiles.MAX_FORWARD_PARTS, n_tiles)
    parts = {
        "hidden layer, its gradient, both packed": 4 * hidden,
        "partial gradients of the hidden layer": min(tiles.MAX_PARTS, n_tiles) * hidden,
        "running sums": n_sums * lanes * (s.itemsize + 8) + n_tiles * lanes * s.itemsize,
        "tiles of the threads": n_threads * tile * (lanes + (1 + gathered) * s.hidden_size) * s.itemsize,
    }
    parts["kept exponentials"] = min(n_tiles * tile * lanes * s.itemsize, max(0, working_memory - total(parts)))
    return parts


def full_step(s, n_threads=1, working_memory=WORKING_MEMORY):
    return reader(s) | head_step(s, s.n_classes, n_threads, working_memory)


def sampled_step(s, n_threads=1, sampler_name="unigram"):
    parts = head_step(s, round(s.candidates), n_threads, gathered=True)
    return {f"sampler {sampler_name}": sampler(sampler_name, s.n_classes)} | reader(s) | parts


def support_base(s):
    """(bias, exponential) of each class; beside each pair too where no cache holds them, if there are rows enough."""
    beside = 2 * s.itemsize * s.n_pairs if s.n_classes > PAIRED_FROM else 0
    return {"biases and exponentials": 2 * s.itemsize * s.n_classes, "copies beside the pairs": beside}


def support_step(s):
    """Position, class and logit of each pair of a batch."""
    return support_base(s) | reader(s) | {"pairs of a batch": s.batch_pairs * (4 + 4 + s.itemsize)}


def prediction(s, n_threads=1):
    """Of a low-rank model: tiles, running sums and heaps of the threads."""
    lanes, tile = _lanes(s), tiles.tile_classes(s.n_classes, s.batch, s.itemsize)
    n_sums = min(tiles.MAX_FORWARD_PARTS, -(-s.n_classes // tile))
    return reader(s) | {
        "hidden layer, packed too": 2 * lanes * s.hidden_size * s.itemsize,
        "running sums": n_sums * lanes * (s.itemsize + 8),
        "tiles of the threads": n_threads * lanes * tile * s.itemsize,
        "heaps": (n_threads + 1) * s.batch * s.top_k * (s.itemsize + 8),
    }
