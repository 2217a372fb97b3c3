"""The command line, in process where it can be and as a process where signals and pipes matter."""

import io
import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fastsoftmax import SoftmaxClassifier, load
from fastsoftmax.cli import main as cli
from fastsoftmax.text.datasets import read

WORDS = {"fruit": ["apple", "pear", "plum"], "tool": ["saw", "hammer", "drill"], "animal": ["cat", "dog", "cow"]}


@pytest.fixture
def files(tmp_path):
    """Training files of all three formats, whose label is told by any feature."""
    rng = np.random.default_rng(0)
    labels = rng.choice(sorted(WORDS), 300)
    words = [rng.choice(WORDS[label], 2) for label in labels]
    fasttext = "".join(f"__label__{label} {' '.join(w)}\n" for label, w in zip(labels, words, strict=True))
    features = rng.integers(0, 3, (300, 2))
    codes = np.arange(300) % 3
    rows = [" ".join(f"{3 * c + f}:1" for f in sorted(set(fs))) for c, fs in zip(codes, features, strict=True)]
    svmlight = "".join(f"{c + 7} {row}\n" for c, row in zip(codes, rows, strict=True))
    xmc_labels = ["0,1" if i % 10 == 0 else "" if i % 10 == 1 else str(c) for i, c in enumerate(codes)]
    xmc = "300 9 3\n" + "".join(f"{label} {row}\n" for label, row in zip(xmc_labels, rows, strict=True))
    paths = {}
    for name, text in {"fasttext": fasttext, "svmlight": svmlight, "xmc": xmc}.items():
        paths[name] = tmp_path / f"train.{name}"
        paths[name].write_text(text)
    return SimpleNamespace(**paths, folder=tmp_path)


def metrics_of(output):
    return {name: float(value) for name, value in (line.split("\t") for line in output.splitlines())}


@pytest.mark.parametrize("name", ["fasttext", "svmlight", "xmc"])
def test_train_evaluate_predict(name, files, capsys):
    data, model = str(getattr(files, name)), str(files.folder / "model")
    assert cli.main(["train", data, "-o", model, "--epochs", "20"]) == 0
    output = "".join(capsys.readouterr())
    assert "300 rows" in output and "3 classes" in output
    if name == "xmc":
        assert "30 rows without a label are left out" in output and "several labels a row" in output

    assert cli.main(["evaluate", model, data, "-k", "1", "2"]) == 0
    result = metrics_of(capsys.readouterr().out)
    assert result["n"] == (270 if name == "xmc" else 300)
    assert result["precision@1"] > (0.9 if name == "xmc" else 0.99) and result["hit@2"] >= result["hit@1"]
    assert result["perplexity"] == pytest.approx(np.exp(result["log_loss"]), rel=1e-4)

    assert cli.main(["predict", model, data, "-k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 300
    label, proba, second_label, second_proba = lines[0].split("\t")
    assert label != second_label and 1 >= float(proba) >= float(second_proba) > 0


def test_predict_reads_standard_input(files, capsys, monkeypatch):
    model = str(files.folder / "model")
    assert cli.main(["train", str(files.fasttext), "-o", model, "--quiet", "--epochs", "20"]) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"pear plum\nhammer\n")))
    assert cli.main(["predict", model, "-", "-k", "1"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["fruit", "tool"]


def _model_of_strings(files, names):
    """The path of a model with string labels, from Python, of the rows of the svmlight file."""
    data = read(str(files.svmlight))
    model = SoftmaxClassifier(max_iter=20, direct="dense", random_state=0).fit(data.X, [names[k] for k in data.labels])
    model.save(files.folder / "strings")
    return str(files.folder / "strings")


def test_evaluate_matches_numbers_in_a_file_with_strings_of_the_model(files, capsys):
    model = _model_of_strings(files, {7: "7", 8: "8", 9: "nine"})
    assert cli.main(["evaluate", model, str(files.svmlight), "-k", "1"]) == 0
    result = metrics_of(capsys.readouterr().out)
    assert result["n_unknown"] == 100 and result["precision@1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("command", [["evaluate"], ["compress", "-o", "small", "--data"]])
def test_no_label_of_the_file_is_known(files, capsys, command, monkeypatch):
    monkeypatch.chdir(files.folder)
    model = _model_of_strings(files, {7: "a", 8: "b", 9: "c"})
    assert cli.main([command[0], model, *command[1:], str(files.svmlight)]) == 1
    error = capsys.readouterr().err
    assert "none of its labels is a class of the model: it has 7, 8, 9, ..., the model 'a', 'b', 'c', ..." in error


def test_a_label_that_stands_twice_in_a_line(files, capsys):
    lines = files.svmlight.read_text().splitlines()
    repeated = files.folder / "repeated"
    repeated.write_text("\n".join(f"{line.split()[0]},{line}" for line in lines))
    for data, model in ((files.svmlight, "once"), (repeated, "twice")):
        assert cli.main(["train", str(data), "-o", str(files.folder / model), "--epochs", "2"]) == 0
        assert "several labels a row" not in capsys.readouterr().err
    models = [load(files.folder / name) for name in ("once", "twice")]
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)


def test_evaluate_counts_unknown_labels(files, capsys):
    model, test = str(files.folder / "model"), files.folder / "test"
    assert cli.main(["train", str(files.fasttext), "-o", model, "--quiet", "--epochs", "20"]) == 0
    test.write_text("__label__fruit pear\n__label__planet venus\n__label__tool saw\nno label\n")
    assert cli.main(["evaluate", model, str(test), "-k", "1"]) == 0
    result = metrics_of(capsys.readouterr().out)
    assert (result["n"], result["n_unknown"]) == (3, 1)
    assert result["precision@1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "{folder}/missing", "-o", "{folder}/model"], "missing"),
        (["train", "{folder}/bad", "-o", "{folder}/model"], r"bad, line 2: .*0:x"),
        (["train", "{folder}/empty", "-o", "{folder}/model"], "empty"),
        (["train", "{svmlight}", "-o", "{folder}/no/model"], "output .*no/model.* is not a folder"),
        (["train", "{svmlight}", "-o", "{svmlight}"], "output is the data file"),
        (["train", "{svmlight}", "-o", "{svmlight}"], "--output is the data file, .*: one would overwrite the other"),
        (["train", "{svmlight}", "-o", "{folder}/m", "--checkpoint", "{folder}/m"], "--output is the checkpoint"),
        (["compress", "{svmlight}", "-o", "{folder}/./train.svmlight"], "--output is the model itself"),
        (["train", "{svmlight}", "-o", "{folder}/model", "--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["train", "{svmlight}", "-o", "{folder}/model", "--learning-rate", "-1"], "--learning-rate must be above 0"),
        (["predict", "{svmlight}", "{svmlight}"], "not a model file"),
        (["info", "{svmlight}"], r"not a model file, .*it has [\d,]+ bytes, and begins as if [\d,]+ bytes of header"),
        (["train", "", "-o", "{folder}/model"], "DATA must be the path of a file, got ''"),
        (["info", "{folder}"], "directory"),
        (["demo", "--corpus", "{folder}/missing"], "folder must be"),
    ],
)
def test_errors_are_one_line(arguments, message, files, capsys):
    (files.folder / "bad").write_text("1 0:1\n2 0:x\n")
    (files.folder / "empty").write_text("")
    arguments = [a.format(folder=files.folder, svmlight=files.svmlight) for a in arguments]
    assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(rf"fastsoftmax: error: .*{message}.*\n", error, re.IGNORECASE)


def test_train_a_sparse_direct_term(files, capsys):
    data, model = str(files.svmlight), str(files.folder / "model")
    arguments = ["--direct", "sparse", "--hidden-size", "5", "--alpha", "1e-5", "--epochs", "20", "--quiet"]
    assert cli.main(["train", data, "-o", model, *arguments]) == 0
    assert cli.main(["info", model]) == 0
    output = capsys.readouterr().out
    assert re.search(r"direct term: +sparse\n", output) and re.search(r"W: +9 float32", output)
    assert cli.main(["evaluate", model, data, "-k", "1"]) == 0
    assert metrics_of(capsys.readouterr().out)["precision@1"] > 0.99


def test_model_and_data_must_fit(files, capsys):
    model = str(files.folder / "model")
    assert cli.main(["train", str(files.svmlight), "-o", model, "--quiet"]) == 0
    assert cli.main(["predict", model, str(files.fasttext), "--format", "fasttext"]) == 1
    assert "was trained on svmlight data and cannot read fasttext data" in capsys.readouterr().err
    (files.folder / "wide").write_text("7 0:1 12:1\n")
    assert cli.main(["predict", model, str(files.folder / "wide"), "--strict"]) == 1
    assert "wide, line 1" in capsys.readouterr().err


def test_threshold_of_predict(files, capsys):
    data, model = str(files.svmlight), str(files.folder / "model")
    assert cli.main(["train", data, "-o", model, "--epochs", "20", "--quiet"]) == 0
    assert cli.main(["predict", model, data, "-k", "3"]) == 0
    everything = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert cli.main(["predict", model, data, "-k", "3", "--threshold", "0.15"]) == 0
    likely = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    expected = [row[: 2 * sum(float(p) >= 0.15 for p in row[1::2])] for row in everything]
    assert likely == expected and any(len(row) < 6 for row in likely)


@pytest.mark.parametrize("name", ["fasttext", "svmlight"])
def test_compress(name, files, capsys):
    data, model, small = str(getattr(files, name)), *(str(files.folder / name) for name in ("model", "small"))
    assert cli.main(["train", data, "-o", model, "--epochs", "20", "--quiet"]) == 0
    capsys.readouterr()
    assert cli.main(["compress", model, "-o", small, "--storage", "int8", "--data", data, "-k", "1"]) == 0
    table = {
        line.split("\t")[0]: [float(x) for x in line.split("\t")[1:]] for line in capsys.readouterr().out.splitlines()
    }
    assert table["bytes"] == [os.path.getsize(path) for path in (model, small)] and table["same_best"] == [1]
    before, after, change = table["log_loss"]
    assert change == pytest.approx(after - before, abs=1e-5) and abs(change) < 0.02
    assert cli.main(["evaluate", small, data, "-k", "1"]) == 0
    assert metrics_of(capsys.readouterr().out)["log_loss"] == pytest.approx(after, rel=1e-5)
    assert cli.main(["info", small]) == 0
    assert re.search(r"weights kept as: +int8", capsys.readouterr().out)
    for output, message in ((model, "compressed needs weights in full"), (small, "output is the model itself")):
        assert cli.main(["compress", small, "-o", output]) == 1
        assert message in capsys.readouterr().err


def test_info(files, capsys):
    assert cli.main(["info"]) == 0
    output = capsys.readouterr().out
    for word in ("fastsoftmax:", "instruction set:", "OpenMP:", "threads:"):
        assert word in output
    model = str(files.folder / "model")
    assert cli.main(["train", str(files.svmlight), "-o", model, "--quiet", "--hidden-size", "5"]) == 0
    assert cli.main(["info", model]) == 0
    output = capsys.readouterr().out
    assert re.search(r"classes: +3\n", output) and re.search(r"hidden size: +5\n", output)
    assert re.search(r"data format: +svmlight\n", output)


def test_help_is_quick():
    """No subcommand's options may need what takes long to import."""
    program = (
        "import sys\nfrom fastsoftmax.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    print({'sklearn', 'tqdm'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).endswith("\nset()\n")


def test_demo_on_a_folder(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for i in range(30):
        lines = [
            f"the {rng.choice(['cat', 'dog'])} sat on the mat and the cow ate {rng.integers(10)} plums\n"
            for _ in range(30)
        ]
        (tmp_path / f"{i}.txt").write_text("".join(lines))
    arguments = [
        "demo",
        "--corpus",
        str(tmp_path),
        "--complete",
        "the dog sat on the",
        "--epochs",
        "20",
        "--loss",
        "softmax",
    ]
    assert cli.main(arguments) == 0
    output = capsys.readouterr().out
    perplexity = {
        name: float(value) for name, value in re.findall(r"^  (\w[\w ()]+?) +(\d+\.\d\d) ", output, re.MULTILINE)
    }
    assert perplexity["softmax (softmax)"] < perplexity["interpolated bigram"] < perplexity["unigram"]
    assert re.search(r"the dog sat on the -> mat (\d+)%", output)


def _interrupt(arguments, wait_for):
    """Start the command, send Ctrl-C once `wait_for` was printed, and return its status and output."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "fastsoftmax", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    seen = b""
    while wait_for not in seen:
        chunk = os.read(process.stderr.fileno(), 4096)
        assert chunk, seen
        seen += chunk
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[1]
    return process.returncode, (seen + rest).decode()


def test_interrupted_training_saves_the_model(files, capsys):
    model = str(files.folder / "model")
    arguments = ["train", str(files.svmlight), "-o", model, "--epochs", "1000000"]
    status, output = _interrupt(arguments, b"loss ")  # of the training, since the plan has "loss="
    assert status == cli.INTERRUPTED
    assert "Interrupted: saving what was learned so far" in output
    assert cli.main(["evaluate", model, str(files.svmlight), "-k", "1"]) == 0
    assert metrics_of(capsys.readouterr().out)["n"] == 300


def test_a_checkpoint_is_not_the_output(files, capsys):
    model = str(files.folder / "model")
    for checkpoint in (model, str(files.folder / "." / "model")):
        assert cli.main(["train", str(files.svmlight), "-o", model, "--checkpoint", checkpoint]) != 0
        assert "output is the checkpoint" in capsys.readouterr().err


def test_output_into_a_closed_pipe(files):
    model = str(files.folder / "model")
    assert cli.main(["train", str(files.svmlight), "-o", model, "--quiet"]) == 0
    command = f"{sys.executable} -m fastsoftmax predict {model} {files.svmlight} | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("as_pipe", [False, True], ids=["file", "pipe"])
@pytest.mark.parametrize("command", ["train", "compress"])
def test_model_on_standard_output(command, as_pipe, files):
    """Nothing else is written there: what the command says of its work goes to standard error."""
    data, model, written = str(files.fasttext), str(files.folder / "model"), files.folder / "written"
    arguments = [command, data if command == "train" else model, "-o", "/dev/stdout"]
    if command == "compress":
        assert cli.main(["train", data, "-o", model, "--epochs", "1", "--quiet"]) == 0
        arguments += ["--data", data, "-k", "1"]
    program = [sys.executable, "-m", "fastsoftmax", *arguments]
    if as_pipe:
        done = subprocess.run(program, capture_output=True, timeout=60)
        written.write_bytes(done.stdout)
    else:
        with open(written, "wb") as file:
            done = subprocess.run(program, stdout=file, stderr=subprocess.PIPE, timeout=60)
    error = done.stderr.decode()
    assert done.returncode == 0, error
    assert load(written).classes_.tolist() == sorted(WORDS)
    if command == "train":
        assert "300 rows" in error and "wrote /dev/stdout" in error
    else:
        size = "unknown" if as_pipe else os.path.getsize(written)
        assert f"bytes\t{os.path.getsize(model)}\t{size}\n" in error and "same_best\t1\n" in error


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_progress_that_cannot_be_written_is_lost_alone(files):
    model = files.folder / "model"
    program = [sys.executable, "-m", "fastsoftmax", "train", str(files.fasttext), "-o", str(model)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(program, stdout=subprocess.PIPE, stderr=full, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == ""
    assert load(model).classes_.tolist() == sorted(WORDS)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["info"]], ids=" ".join)
def test_output_into_a_full_disk(arguments):
    with open("/dev/full", "w") as full:
        program = [sys.executable, "-m", "fastsoftmax", *arguments]
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "fastsoftmax: error: [Errno 28] No space left on device\n"
