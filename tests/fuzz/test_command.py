"""The command line in process: whatever the options and the files, it does its work or says in one line what is wrong."""

import numpy as np
import pytest
from fuzz import strategies as s
from fuzz.campaign import examples
from fuzz.test_readers import damaged, samples, sparse_lines
from hypothesis import given
from hypothesis import strategies as st

from fastsoftmax.cli.main import main

OPTIONS = {
    "--loss": ["auto", "softmax", "sampled_softmax", "x"],
    "--hidden-size": ["none", "auto", "1", "3", "0", "-1", "x", "1e3"],
    "--direct": ["auto", "dense", "sparse", "none"],
    "--negatives": ["1", "2", "0", "-1", "10000000000"],
    "--optimizer": ["adagrad", "sgd"],
    "--learning-rate": ["0.1", "0", "-1", "nan", "inf"],
    "--batch-size": ["1", "3", "0", "100000"],
    "--epochs": ["1", "2", "0", "-1", "auto"],
    "--alpha": ["auto", "0", "1e-3", "-1", "nan"],
    "--seed": ["0", "-1", "99999999999999999999"],
    "--threads": ["1", "2", "-1", "0"],
    "--n-features": ["1", "10", "1000", "0", "-1", str(10**30)],
    "--format": ["svmlight", "xmc", "fasttext", "csv"],
}


def value_of(name):
    return st.sampled_from(OPTIONS[name])


@st.composite
def options(draw):
    """Up to three options with one of their values, good or bad."""
    names = draw(st.lists(st.sampled_from(sorted(OPTIONS)), max_size=3, unique=True))
    return [f"{name}={draw(value_of(name))}" for name in names]


def run(arguments, capsys):
    """The exit status: 0, 1 with one line of what is wrong, or 2 from the parser of the options."""
    capsys.readouterr()
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as error:
        status = error.code
    output = capsys.readouterr()
    assert status in (0, 1, 2), arguments
    assert "Traceback" not in output.err
    errors = [line for line in output.err.splitlines() if "error:" in line]
    assert len(errors) == (status != 0), output.err
    return status, output.out


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file, and a file of rows that it can read."""
    folder = tmp_path_factory.mktemp("command")
    data, path = folder / "data", folder / "model"
    rng = np.random.default_rng(0)
    data.write_text("".join(f"{i % 4} {i % 4}:1 {4 + rng.integers(5)}:{rng.random():.3f}\n" for i in range(60)))
    assert main(["train", str(data), "-o", str(path), "--quiet"]) == 0
    return path, data


@pytest.mark.filterwarnings("ignore")
@examples(40)
@given(samples=samples(), options=options())
def test_train_with_any_options(samples, options, tmp_path_factory, capsys):
    labels, rows, *_ = samples
    # not two billion columns, nor values that let products overflow
    rows = [{index % 1000: max(min(value, 9.0), -9.0) for index, value in row.items()} for row in rows]
    folder = tmp_path_factory.mktemp("train")
    data, path = folder / "data", folder / "model"
    data.write_text("\n".join(sparse_lines(labels, rows, " ")) + "\n")
    status, _ = run(["train", data, "-o", path, "--epochs", "1", *options], capsys)
    assert path.exists() == (status == 0)
    if status == 0:
        kept = sum(1 for names, row in zip(labels, rows, strict=True) if names or row)
        status, output = run(["predict", path, data], capsys)
        assert status == 0 and len(output.splitlines()) == kept


@pytest.mark.filterwarnings("ignore")
@examples(60)
@given(content=damaged(), command=st.sampled_from(["train", "predict", "evaluate"]))
def test_damaged_data(content, command, model, tmp_path_factory, capsys):
    path, _ = model
    data = tmp_path_factory.mktemp("damaged") / "data"
    data.write_bytes(content)
    output = ["-o", data.with_name("model"), "--epochs", "1", "--hidden-size", "2"]
    run(["train", data, *output] if command == "train" else [command, path, data], capsys)


@pytest.mark.filterwarnings("ignore")
@examples(60)
@given(rng=s.rngs, n=st.integers(0, 8), command=st.sampled_from(["predict", "evaluate", "info", "compress"]))
def test_damaged_models(rng, n, command, model, tmp_path_factory, capsys):
    path, data = model
    content = bytearray(path.read_bytes())
    for at in rng.integers(0, rng.choice([12, 300, len(content)]), n):
        content[at] = rng.integers(256)
    damaged_path = tmp_path_factory.mktemp("damaged") / "model"
    damaged_path.write_bytes(content[: rng.choice([len(content), rng.integers(len(content))])])
    further = {"info": [], "compress": ["-o", damaged_path.with_name("small")]}.get(command, [data])
    run([command, damaged_path, *further], capsys)
