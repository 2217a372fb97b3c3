"""Files of models and checkpoints with a byte changed, cut out or put in, at every place: a ValueError or an equal model.

The short run visits every STEP-th place. Nothing in a damaged file may end the process, or raise anything else.
"""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from fuzz.campaign import LENGTH

import fastsoftmax as fs
from fastsoftmax import terms
from fastsoftmax.estimators import Checkpoint

STEP = max(1, 23 // LENGTH)
N, D, K = 30, 4, 5
RNG = np.random.default_rng(0)
X = sp.random_array((N, D), density=0.6, format="csr", rng=RNG, dtype=np.float32)
Y = np.arange(N) % K
KINDS = {
    "dense": {"direct": "dense", "hidden_size": None},
    "sparse": {"direct": "sparse", "hidden_size": None},
    "low rank": {"direct": None, "hidden_size": 2},
    "sparse beside low rank": {"direct": terms.SparseTerm(min_count=2), "hidden_size": 2},
}
MODELS = [*((kind, None) for kind in KINDS), ("dense", "int8"), ("low rank", "bfloat16"), ("sparse", "float16")]
REPLACEMENTS = [0x00, 0x20, 0x22, 0x30, 0x39, 0x5B, 0x7B, 0x7F, 0xFF]


def classifier(**params):
    return fs.SoftmaxClassifier(max_iter=2, batch_size=8, random_state=0, n_threads=1, **params)


def damages(content, rng):
    """Copies of the content, each with one byte changed, cut out or put in, or cut short, at every STEP-th place."""
    start = int(rng.integers(STEP))
    for at, replacement in zip(range(start, len(content), STEP), itertools.cycle(REPLACEMENTS), strict=False):
        flipped = content[at] ^ (1 << int(rng.integers(8)))
        yield at, "bit", content[:at] + bytes([flipped]) + content[at + 1 :]
        yield at, "byte", content[:at] + bytes([replacement]) + content[at + 1 :]
        yield at, "cut out", content[:at] + content[at + 1 :]
        yield at, "put in", content[:at] + bytes([replacement]) + content[at:]
        if at % (3 * STEP) == start:
            yield at, "cut short", content[:at]


def refused_or(check, read, path, content):
    """Whatever becomes of the file: `read` raises a ValueError of one line that names it, or its result passes `check`."""
    path.write_bytes(content)
    check(read(), "no damage")
    for at, damage, changed in damages(content, np.random.default_rng(0)):
        path.write_bytes(changed)
        try:
            result = read()
        except ValueError as error:
            assert str(path) in str(error) and "\n" not in str(error), (at, damage, error)
            continue
        except Exception as error:
            raise AssertionError(f"{damage} at byte {at} of {len(content)}: {error!r}") from error
        check(result, f"{damage} at byte {at} of {len(content)}")


@pytest.mark.filterwarnings("ignore")  # of logits that overflow
@pytest.mark.parametrize(("kind", "storage"), MODELS, ids=str)
@pytest.mark.parametrize("memory_map", [False, True], ids=["read", "mapped"])
def test_model_files(kind, storage, memory_map, tmp_path):
    model, path = classifier(**KINDS[kind]).fit(X, Y), tmp_path / "model"
    model = model if storage is None else model.compressed(storage)
    expected = model.predict_proba(X)
    model.save(path)

    def read():
        return fs.load(path, memory_map=memory_map)

    def check(loaded, damage):
        """Weights that are mapped have no checksum, which would read them all; but they make no process crash."""
        try:
            found = loaded.predict_proba(X)
            loaded.predict_topk(X, 2)
        except ValueError:  # NaN weights, or another number of features
            assert memory_map, damage
            return
        assert memory_map or np.array_equal(found, expected), damage

    refused_or(check, read, path, path.read_bytes())


class Stopped(BaseException):
    pass


@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints(kind, tmp_path, monkeypatch):
    """A training that resumes from the file ends as one that was never stopped, or refuses it."""
    path = tmp_path / "checkpoint"
    expected = classifier(**KINDS[kind]).fit(X, Y).predict_proba(X)
    content = stopped_training(kind, path, monkeypatch)

    def read():
        return classifier(**KINDS[kind], checkpoint=Checkpoint(path, every=1e9)).fit(X, Y)

    def check(model, damage):
        assert np.array_equal(model.predict_proba(X), expected), damage

    refused_or(check, read, path, content)


def stopped_training(kind, path, monkeypatch):
    """What a checkpoint holds after a few steps."""
    from fastsoftmax.training.trainer import Trainer

    step, done = Trainer._step, []

    def counted(self, rows):
        if len(done) == 4:
            raise Stopped
        done.append(rows)
        return step(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", counted)
        model = classifier(**KINDS[kind], checkpoint=Checkpoint(path, every=0))
        with pytest.raises(Stopped):
            model.fit(X, Y)
    return path.read_bytes()
