"""How a checkpoint of another training is told apart, and what becomes of damaged files and those of others."""

import numpy as np
import pytest
import scipy.sparse as sp
from checkpoint_cases import N_CLASSES, SAMPLED, Killed, X, Y, assert_same, classifier, in_pieces, stop_after, stopped

from fastsoftmax import samplers
from fastsoftmax.estimators import Checkpoint
from fastsoftmax.files import tensor_file
from fastsoftmax.training.planning import Plan
from fastsoftmax.training.trainer import Trainer
from fastsoftmax.training.watchers.checkpoint_files import FORMAT, FORMAT_VERSION


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.checkpoint"


OTHERS = {
    "learning_rate was 0.1, now it is 0.2": {"learning_rate": 0.2},
    "random_state was": {"random_state": 4},
    "sampler was": {"sampler": samplers.Unigram(np.arange(1, N_CLASSES + 1))},
    "max_iter was 4, now it is 5": {"max_iter": 5},
}


@pytest.mark.parametrize(("message", "other"), OTHERS.items(), ids=OTHERS)
def test_other_parameters(monkeypatch, path, message, other):
    given = SAMPLED | {"sampler": samplers.Unigram(np.ones(N_CLASSES))}
    stopped(monkeypatch, path, **given)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        classifier(**given | {"checkpoint": path} | other).fit(X, Y)
    assert path.read_bytes() == content


def test_other_data(monkeypatch, path):
    stopped(monkeypatch, path, **SAMPLED)
    changed = X.copy()
    changed.data[5] += 1
    model = classifier(**SAMPLED, checkpoint=path)
    for name, arguments in {
        "X": (changed, Y),
        "y": (X, np.roll(Y, 1)),
        "sample_weight": (X, Y, np.arange(1, len(Y) + 1)),
    }.items():
        with pytest.raises(ValueError, match=f"is of another training: {name} was"):
            model.fit(*arguments)
    with pytest.raises(ValueError, match="is of another training: y was"):
        model.fit(X, Y + 1)
    assert_same(model.fit(X, Y), classifier(**SAMPLED).fit(X, Y))


def test_another_start(monkeypatch, path):
    params = {"direct": "sparse", "checkpoint": path, "checkpoint_every": 0, "calibration_fraction": "auto"}
    start = sp.csc_array(np.eye(N_CLASSES, X.shape[1], dtype=np.float32))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_after(patch, 3)
        classifier(**params).fit(X, Y, coef_init=start)
    with pytest.raises(ValueError, match="the model that training begins at was"):
        classifier(**params).fit(X, Y, coef_init=2 * start)
    classifier(**params).fit(X, Y, coef_init=start)


def as_an_earlier_version_wrote_it(path, *names):
    """Take options out of a checkpoint, and what its plan says of ranks."""
    header, tensors = tensor_file.read(path, FORMAT, (FORMAT_VERSION,))
    for name in names:
        del header["identity"][name]
    header["plan"] = header["plan"][: Plan._fields.index("embedding_ranks")]
    tensor_file.write(path, tensors, header)


@pytest.mark.parametrize("names", [["normalize"], ["normalize", "divide"]])
def test_files_of_versions_with_fewer_options(monkeypatch, path, names):
    """They go on, to the bit, where the options that they did not have are as training was then."""
    names = [f"hidden_size__{name}" for name in names]
    stopped(monkeypatch, path, **SAMPLED)
    as_an_earlier_version_wrote_it(path, *names)
    with pytest.raises(ValueError, match="of another training: hidden_size__normalize was false, now it is true"):
        classifier(**SAMPLED, normalize=True, checkpoint=path).fit(X, Y)
    with pytest.raises(ValueError, match="of another training: hidden_size__size was 6, now it is 7"):
        classifier(**SAMPLED | {"hidden_size": 7}, checkpoint=path).fit(X, Y)
    n_steps = []
    step = Trainer._step
    monkeypatch.setattr(Trainer, "_step", lambda self, rows: n_steps.append(1) or step(self, rows))
    resumed, n_resumed = classifier(**SAMPLED, checkpoint=path).fit(X, Y), len(n_steps)
    assert_same(resumed, classifier(**SAMPLED).fit(X, Y))
    assert len(n_steps) - n_resumed == n_resumed + 5  # which `stopped` had made


def test_files_of_versions_whose_training_is_not_known(monkeypatch, path):
    stopped(monkeypatch, path, **SAMPLED)
    as_an_earlier_version_wrote_it(path, "loss__n_negatives")
    with pytest.raises(
        ValueError, match="another version of fastsoftmax, which does not know loss__n_negatives: let that"
    ):
        classifier(**SAMPLED, checkpoint=path).fit(X, Y)


def test_what_does_not_matter_may_differ(monkeypatch, path, tmp_path):
    (tmp_path / "weights").mkdir()
    stopped(monkeypatch, path, **SAMPLED)
    other = {"n_threads": 2, "checkpoint_every": 5, "weights_dir": tmp_path / "weights"}
    assert_same(classifier(**SAMPLED | other, checkpoint=path).fit(X, Y), classifier(**SAMPLED).fit(X, Y))


def test_damaged_files(monkeypatch, path):
    stopped(monkeypatch, path, **SAMPLED)
    content = path.read_bytes()
    model, whole = classifier(**SAMPLED, checkpoint=path), classifier(**SAMPLED).fit(X, Y)
    rng, n_refused = np.random.default_rng(0), 0
    start = 8 + int.from_bytes(content[:8], "little")
    for at in [len(content) - 3, *rng.integers(start, len(content), size=30), *rng.integers(start, size=60)]:
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            model.fit(X, Y)
        except ValueError as error:
            assert path.name in str(error)
            n_refused += 1
            assert path.read_bytes() == damaged
        else:
            raise AssertionError(f"byte {at} of {len(content)} was changed, and nobody noticed")
    for n in np.linspace(0, len(content) - 1, 15).astype(int):
        path.write_bytes(content[:n])
        with pytest.raises(ValueError, match=path.name):
            model.fit(X, Y)
    path.write_bytes(content)
    assert_same(model.fit(X, Y), whole)


def test_a_model_is_no_checkpoint(path):
    classifier(**SAMPLED).fit(X, Y).save(path)
    with pytest.raises(ValueError, match=r"this is a model, but the checkpoint of a training"):
        classifier(**SAMPLED, checkpoint=path).fit(X, Y)


def test_the_file_of_another_is_not_overwritten(monkeypatch, path):
    step = Trainer._step

    def somebody(self, rows):
        if self.steps_done == 5:
            path.write_bytes(b"something else")
        return step(self, rows)

    monkeypatch.setattr(Trainer, "_step", somebody)
    with pytest.raises(FileExistsError, match="was changed by another training"):
        classifier(**SAMPLED, checkpoint=path, checkpoint_every=0).fit(X, Y)
    assert path.read_bytes() == b"something else"


def test_a_full_disk_leaves_the_last_one(monkeypatch, path):
    write, n_writes = tensor_file._write_tensor, [0]

    def full(file, a):
        n_writes[0] += 1
        if n_writes[0] > 20:
            raise OSError(28, "No space left on device")
        return write(file, a)

    with monkeypatch.context() as patch:
        patch.setattr(tensor_file, "_write_tensor", full)
        with pytest.raises(OSError, match="No space"):
            classifier(**SAMPLED, checkpoint=path, checkpoint_every=0).fit(X, Y)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert_same(classifier(**SAMPLED, checkpoint=path).fit(X, Y), classifier(**SAMPLED).fit(X, Y))


class Foreign:
    n_classes = N_CLASSES

    def draw(self, n, rng):
        return rng.integers(N_CLASSES, size=n), np.full(n, np.log(n / N_CLASSES))


class Resumable(Foreign):
    """A sampler that goes through the classes in turn, and can be resumed."""

    def __init__(self):
        self.n_draws = 0

    def draw(self, n, rng):
        self.n_draws += n
        return (self.n_draws + np.arange(n)) % N_CLASSES, np.full(n, np.log(n / N_CLASSES))

    def state(self):
        return {"n_draws": self.n_draws}

    def restore(self, state):
        self.n_draws = state["n_draws"]


def test_samplers_of_the_user(monkeypatch, path):
    with pytest.raises(TypeError, match=r"sampler must have state\(\) and restore\(state\) for checkpoints"):
        classifier(**SAMPLED, sampler=Foreign(), checkpoint=path).fit(X, Y)

    def make(**params):
        return classifier(**params, sampler=Resumable())

    assert_same(make(**SAMPLED).fit(X, Y), in_pieces(monkeypatch, path, 3, make, **SAMPLED)[0])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"checkpoint": 5}, TypeError, "checkpoint must be a path, got 5"),
        ({"checkpoint": "/nothing/there"}, FileNotFoundError, "/nothing is not a folder"),
        ({"checkpoint": Checkpoint("x", every=-1)}, ValueError, r"Checkpoint\.every must be at least 0"),
        ({"checkpoint": Checkpoint("x", every="1h")}, TypeError, r"Checkpoint\.every must be a real number, got '1h'"),
    ],
)
def test_wrong_parameters(params, error, message):
    with pytest.raises(error, match=message):
        classifier(**params).fit(X, Y)


def test_nothing_learns(path):
    start = sp.csc_array(np.eye(N_CLASSES, X.shape[1], dtype=np.float32))
    classifier(direct="sparse", direct_learning_rate=0, checkpoint=path).fit(X, Y, coef_init=start)
    assert not path.exists()
