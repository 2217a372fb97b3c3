"""The commands on models of the next item."""

from types import SimpleNamespace

import numpy as np
import pytest

from fastsoftmax import NextItemModel, load
from fastsoftmax.cli import main as cli
from fastsoftmax.metrics import evaluate_next_items


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A table of events in which an item mostly comes after the one before it on a circle, and a model of it."""
    folder = tmp_path_factory.mktemp("next_item")
    rng = np.random.default_rng(0)
    sequences = [[f"i{(first + j) % 9}" for j in range(4)] for first in rng.integers(0, 9, 20)]
    events = [(f"u{u}", item, 10 * j + u) for u, items in enumerate(sequences) for j, item in enumerate(items)]
    table, model = folder / "events.csv", folder / "model"
    lines = [f"{user},{item},{time}\n" for user, item, time in np.array(events, object)[rng.permutation(len(events))]]
    table.write_text("user,item,time\n" + "".join(lines))
    options = ["--task", "next-item", "--hidden-size", "4", "--epochs", "2", "--threads", "1", "--quiet"]
    assert cli.main(["train", str(table), "-o", str(model), *options]) == 0
    return SimpleNamespace(table=str(table), model=str(model), sequences=sequences, folder=folder)


def run(capsys, *arguments, status=0):
    capsys.readouterr()
    assert cli.main(list(map(str, arguments))) == status
    out, err = capsys.readouterr()
    return err if status else out


def test_the_model_is_that_of_the_sequences(files):
    model = load(files.model)
    assert isinstance(model, NextItemModel) and model.items_.tolist() == [f"i{j}" for j in range(9)]
    expected = NextItemModel(hidden_size=4, max_iter=2, random_state=0, n_threads=1).fit(files.sequences)
    for a, b in zip(model.predict_topk([["i3"], []], 9), expected.predict_topk([["i3"], []], 9), strict=True):
        np.testing.assert_array_equal(a, b)


def test_predict_histories(files, capsys):
    path = files.folder / "histories"
    path.write_text("i1 i2\n\nnew i5\n")
    lines = run(capsys, "predict", files.model, path, "--top", 3).splitlines()
    items, log_proba = load(files.model).predict_topk([["i1", "i2"], [], ["i5"]], 3)
    assert len(lines) == 3
    for line, row, p in zip(lines, items.tolist(), np.exp(log_proba).tolist(), strict=True):
        assert line == "\t".join(f"{item}\t{x:.6g}" for item, x in zip(row, p, strict=True))
    (path := files.folder / "all").write_text(" ".join(f"i{j}" for j in range(8)))
    (line,) = run(capsys, "predict", files.model, path, "--exclude-seen").splitlines()
    assert line.split("\t")[::2] == ["i8"]  # the others are seen


def test_predict_events(files, capsys):
    lines = run(capsys, "predict", files.model, files.table, "--format", "events", "-k", 2).splitlines()
    users = [line.split("\t")[0] for line in lines]
    assert users == [f"u{u}" for u in range(20)]  # the oldest last event comes first
    items, _ = load(files.model).predict_topk(files.sequences, 2)
    assert [line.split("\t")[1::2] for line in lines] == items.tolist()


@pytest.mark.parametrize("protocol", ["every", "last"])
def test_evaluate(files, capsys, protocol):
    out = run(capsys, "evaluate", files.model, files.table, "-k", 1, 3, "--protocol", protocol, "--exclude-seen")
    expected = evaluate_next_items(load(files.model), files.sequences, [1, 3], protocol=protocol, exclude_seen=True)
    result = dict(line.split("\t") for line in out.splitlines())
    assert list(result) == list(expected) and float(result["n"]) == (60 if protocol == "every" else 20)
    assert {name: float(value) for name, value in result.items()} == pytest.approx(expected, rel=1e-5)


def test_evaluate_histories(files, capsys):
    (files.folder / "sequences").write_text("".join(" ".join(items) + "\n" for items in files.sequences))
    options = ["-k", "1"]
    of_lines = run(capsys, "evaluate", files.model, files.folder / "sequences", "--format", "histories", *options)
    assert of_lines == run(capsys, "evaluate", files.model, files.table, *options)


def test_items_that_are_numbers(files, capsys, tmp_path):
    sequences = [[int(item[1:]) for item in items] for items in files.sequences]
    model = NextItemModel(hidden_size=4, max_iter=1, random_state=0, n_threads=1).fit(sequences)
    model.save(tmp_path / "model")
    (tmp_path / "histories").write_text("3 4\n")
    out = run(capsys, "predict", tmp_path / "model", tmp_path / "histories", "-k", 9)
    assert out.rstrip("\n").split("\t")[::2] == list(map(str, model.predict_topk([[3, 4]], 9)[0][0]))
    (tmp_path / "histories").write_text("3 x\n")
    error = run(capsys, "predict", tmp_path / "model", tmp_path / "histories", status=1)
    assert "the items of the model are numbers, such as 0, got 'x'" in error


def test_info(files, capsys):
    assert run(capsys, "info", files.model).split() == ["model:", "NextItemModel", "items:", "9"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss", "softmax"], "--loss does not act on --task next-item"),
        (["--early-stopping"], "--early-stopping does not act on --task next-item"),
        (["--format", "svmlight"], "--format does not act on --task next-item"),
        (["--hidden-size", "none"], "--hidden-size must be an integer, got None"),
        (["--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["--user-column", "who"], "no column 'who'"),
        (["--task", "classifier", "--time-column", "t"], "--time-column does not act on --task classifier"),
    ],
)
def test_wrong_options_of_train(files, capsys, options, message):
    output = files.folder / "none"
    error = run(capsys, "train", files.table, "-o", output, "--task", "next-item", *options, status=1)
    assert message in error and not output.exists()
    assert "--output is the data file" in run(
        capsys, "train", files.table, "-o", files.table, "--task", "next-item", status=1
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--threshold", "0.5"], "--threshold does not act on a NextItemModel"),
        (["predict", "--format", "fasttext"], "--format fasttext is not for a NextItemModel"),
        (["predict", "--item-column", "x"], "--item-column does not act on a file of histories"),
        (["predict", "-k", "0"], "-k must be at least 1, got 0"),
        (["evaluate", "--train-data", "x"], "--train-data does not act on a NextItemModel"),
        (["evaluate", "--item-column", "x"], "no column 'x'"),
    ],
)
def test_wrong_options_for_the_model(files, capsys, arguments, message):
    command, *options = arguments
    assert message in run(capsys, command, files.model, files.table, *options, status=1)


def test_models_of_other_kinds(files, capsys, tmp_path):
    (tmp_path / "train").write_text("__label__a x\n__label__b y\n" * 4)
    model = tmp_path / "model"
    run(capsys, "train", tmp_path / "train", "-o", model, "--quiet", "--epochs", 1, "--threads", 1)
    for options, message in [
        (["predict", "--exclude-seen"], "--exclude-seen does not act on a classifier"),
        (["predict", "--format", "events"], "--format events is not for a classifier"),
        (["evaluate", "--protocol", "last"], "--protocol does not act on a classifier"),
    ]:
        assert message in run(capsys, options[0], model, tmp_path / "train", *options[1:], status=1)
    error = run(capsys, "compress", files.model, "-o", tmp_path / "small", status=1)
    assert "fastsoftmax compress takes a classifier, got a NextItemModel" in error


def test_info_of_what_was_chosen(capsys, tmp_path):
    sequences = [[f"i{(first + j * (1 + first % 2)) % 9}" for j in range(6)] for first in range(600)]
    model = NextItemModel(hidden_size=4, max_iter=1, random_state=0, n_threads=1).fit(sequences)
    model.save(tmp_path / "model")
    lines = dict(line.split(":", 1) for line in run(capsys, "info", tmp_path / "model").splitlines())
    shown, chosen = {name: value.strip() for name, value in lines.items()}, model.chosen_
    assert shown["epochs"] == "1" and shown["reverses"] == ("yes" if chosen["reverses"] else "no")
    for expert, weights in chosen["weights"].items():
        assert shown[f"{expert} weight"].startswith(", ".join(f"{weight:.2f}" for weight in weights))
    assert shown["held out"] == f"perplexity {np.exp(-chosen['log_likelihood']):.2f}"
