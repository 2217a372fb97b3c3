"""How the command begins and ends: its version, its exit statuses, its messages, and scripts for shells."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastsoftmax
from fastsoftmax.cli import main as cli
from fastsoftmax.cli import start

ROWS = "7 0:1\n8 1:1\n9 2:1\n\n 0:1\n" * 20
PATIENCE = 300  # seconds for a command, on a machine that is busy


def command(*arguments, **environment):
    program = [sys.executable, "-m", "fastsoftmax", *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE, env=os.environ | environment)


@pytest.fixture
def files(tmp_path):
    (data := tmp_path / "data").write_text(ROWS)
    model = tmp_path / "model"
    assert cli.main(["train", str(data), "-o", str(model), "--quiet", "--epochs", "1"]) == 0
    return SimpleNamespace(data=str(data), model=str(model), folder=tmp_path)


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        start.main(["--version"])
    assert not end.value.code and capsys.readouterr() == (f"fastsoftmax {fastsoftmax.__version__}\n", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_version_into_a_full_disk():
    with open("/dev/full", "w") as full:
        program = [sys.executable, "-m", "fastsoftmax", "--version"]
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (1, "fastsoftmax: error: [Errno 28] No space left on device\n")


@pytest.mark.parametrize("arguments", [["info"], ["--help"], ["predict", "model"]], ids=" ".join)
def test_an_instruction_set_that_there_is_not_is_an_error_in_one_line(arguments):
    done = command(*arguments, FASTSOFTMAX_ISA="mmx")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("fastsoftmax: error: FASTSOFTMAX_ISA='mmx': this build has baseline")
    assert done.stderr.count("\n") == 1


def test_python_says_it_when_kernels_are_needed():
    program = "import fastsoftmax; print(fastsoftmax.__version__); fastsoftmax.softmax"
    environment = os.environ | {"FASTSOFTMAX_ISA": "mmx"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout and "ImportError: FASTSOFTMAX_ISA='mmx'" in done.stderr


def test_the_script_begins_there():
    project = Path(__file__).parents[3] / "pyproject.toml"
    scripts = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"fastsoftmax": "fastsoftmax.cli.start:main"}


def test_an_interrupted_start(monkeypatch, capsys):
    def interrupted(name, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.__import__", interrupted)
    status = start.main(["info"])
    monkeypatch.undo()
    assert status == cli.INTERRUPTED and capsys.readouterr().err == "\nfastsoftmax: interrupted\n"


def test_exit_statuses(files, capsys):
    """Each of the manual, and nothing on standard output but after success."""
    assert command("info", files.model).returncode == 0
    done = command("info", files.data)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith("fastsoftmax: error: ")
    for name in ("predict", "evaluate"):
        assert start.main([name, files.model, "missing"]) == 1
        told = capsys.readouterr()
        assert told.out == "" and told.err.startswith("fastsoftmax: error: ")
    done = command("nonsense")
    assert (done.returncode, done.stdout) == (2, "") and "usage: fastsoftmax" in done.stderr
    for arguments in ([], ["train"], ["predict", files.model, "--nonsense"], ["train", "--epochs"]):
        with pytest.raises(SystemExit) as ended:
            start.main(arguments)
        told = capsys.readouterr()
        assert (ended.value.code, told.out) == (2, "") and "usage: fastsoftmax" in told.err


def ended_by(number, files):
    """The status of a training that a signal has reached, and its standard error."""
    arguments = ["train", files.data, "-o", str(files.folder / "other"), "--epochs", "100000000"]
    program = [sys.executable, "-u", "-m", "fastsoftmax", *arguments]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        seen = b""
        while b"loss " not in seen:
            chunk = os.read(process.stderr.fileno(), 4096)
            assert chunk, seen
            seen += chunk
        process.send_signal(number)
        out, rest = process.communicate(timeout=PATIENCE)
    assert out == b""
    return process.returncode, (seen + rest).decode()


def test_signals(files):
    assert ended_by(signal.SIGTERM, files)[0] == -signal.SIGTERM  # 143 to a shell
    assert not (files.folder / "other").exists()
    status, error = ended_by(signal.SIGINT, files)
    assert status == 130 and "saving what was learned so far" in error and "wrote " in error


@pytest.mark.parametrize("name", ["evaluate", "predict", "explain", "compress", "info"])
def test_messages(name, files, capsys):
    """Nothing but results without an option; --quiet leaves out notes, --verbose adds steps, and results stay the same."""
    output = ["-o", str(files.folder / "small"), "--data"] if name == "compress" else []
    arguments = [name, files.model, *output, *([] if name == "info" else [files.data])]
    written = {}
    for option in ("--quiet", None, "--verbose"):
        assert cli.main([*arguments, *([option] if option else [])]) == 0
        written[option] = capsys.readouterr()
    assert written["--quiet"].err == ""
    note = "20 rows without a label are left out\n" if name in ("evaluate", "compress") else ""
    assert written[None].err == note and note in written["--verbose"].err
    assert f"loading {files.model}\n" in written["--verbose"].err
    assert len({w.out for w in written.values()}) == 1 and written[None].out


def test_messages_of_training(files, capsys):
    train = ["train", files.data, "-o", files.model, "--epochs", "1"]
    for options, told in ((["--quiet"], False), ([], True), (["--verbose"], True)):
        assert cli.main([*train, *options]) == 0
        out, err = capsys.readouterr()
        assert out == "" and (err != "") == told
        for part in ("loss=", "80 rows", "20 rows without a label are left out", "epoch 1/1", f"wrote {files.model}"):
            assert (part in err) == told


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion(shell, capsys):
    pytest.importorskip("shtab")
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in (*cli.COMMANDS, "validate", "next-item", "sampled_softmax"):
        assert word in script
    assert "%(default)s" not in script


def test_what_bash_completes(capsys, tmp_path):
    pytest.importorskip("shtab")
    assert cli.main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "data.svm").touch()

    def completed(*words):
        """What a word that is begun, the last one, can become."""
        line = f"COMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}; _shtab_fastsoftmax; "
        program = f'source ./script; {line} printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
        return set(done.stdout.split())

    assert completed("fastsoftmax", "comp") == {"complete", "completion", "compress"}
    assert completed("fastsoftmax", "train", "--val") == {"--validate"}
    assert completed("fastsoftmax", "train", "--task", "n") == {"next-item"}
    assert completed("fastsoftmax", "train", "--validate", "da") == {"data.svm"}
    assert completed("fastsoftmax", "predict", "da") == {"data.svm"}


def test_completion_without_shtab(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["completion", "bash"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("fastsoftmax: error: completion needs the package shtab") and error.count("\n") == 1
