"""The command `fastsoftmax bench`: what it takes, what it writes, and its errors."""

import json
import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest

from fastsoftmax.benches import __main__ as bench
from fastsoftmax.cli import main as cli


def test_the_command(tmp_path, capsys):
    data, output = tmp_path / "mine.svm", tmp_path / "out"
    rng = np.random.default_rng(0)
    data.write_text("".join(f"{i % 4} {i % 4}:1 {rng.integers(4, 9)}:1\n" for i in range(200)))
    arguments = [
        "bench", "quality", "--quick", "--only-data", "--data", str(data), "--systems", "fastsoftmax linear", "SGD",
        "--output", str(output), "--threads", "1", "--limit-seconds", "60",
    ]  # fmt: skip
    assert cli.main(arguments) == 0
    results = json.loads((output / "results" / "quality.json").read_text())
    assert {r["status"] for r in results["runs"]} == {"ok"}
    assert [s["name"] for s in results["systems"]] == ["fastsoftmax linear", "scikit-learn SGDClassifier"]
    assert "fastsoftmax linear" in (output / "RESULTS.md").read_text()
    assert "<html" in (output / "report.html").read_text()
    assert cli.main(["bench", "report", "--output", str(output)]) == 0
    assert str(output / "report.html") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--systems", "nothing like it"], "none contains 'nothing like it'"),
        (["--data", "a", "b", "c"], "data takes a file of training rows and one of test rows, got 3"),
        (["--data", "no such file"], "no such file"),
        (["--data", __file__, "--data", __file__], "two problems 'test_bench_command'"),
        (["--only-data"], "only-data is given, but no data"),
        (["--limit-seconds", "-1"], "limit-seconds must be above 0 and finite, got -1"),
        (["--limit-seconds", "inf"], "limit-seconds must be above 0 and finite, got inf"),
        (["--max-memory", "nan"], "max-memory must be above 0 and finite, got nan"),
        (["--threads", "100000"], "the CPUs of this process, got 100000"),
    ],
)
def test_errors_come_before_any_run(arguments, message, tmp_path, capsys):
    assert cli.main(["bench", "quality", "--output", str(tmp_path / "out"), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_two_commands_do_not_write_into_one_folder(tmp_path, capsys):
    options = SimpleNamespace(output=tmp_path / "out")
    with bench._alone(options):
        assert cli.main(["bench", "report", "--output", str(tmp_path / "out")]) == 1
        assert "another command is writing into" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()  # nothing came of it
    with bench._alone(options):  # and it is free again
        pass


@pytest.mark.parametrize("text", ["", "{", '{"runs": 3}', "[1]"])
def test_results_that_are_none(tmp_path, capsys, text):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "quality.json").write_text(text)
    assert cli.main(["bench", "report", "--output", str(tmp_path)]) == 1
    shown = capsys.readouterr().err
    assert "quality.json is damaged" in shown or "is not of this version" in shown


def test_output_is_a_folder(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert cli.main(["bench", "quality", "--output", str(tmp_path / "file")]) == 1
    assert "output must be a folder" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["qualty"], ["quality", "--threads", "abc"], ["kernels", "--repetitions", "2"]])
def test_wrong_words_and_options(arguments, capsys):
    with pytest.raises(SystemExit):
        cli.main(["bench", *arguments])
    shown = capsys.readouterr().err
    assert "invalid choice: 'qualty'" in shown or "whole number" in shown or "unrecognized arguments" in shown


def test_no_kernel_of_that_name(tmp_path, capsys):
    assert cli.main(["bench", "kernels", "--problem", "nonsense", "--output", str(tmp_path / "out")]) == 1
    assert "'nonsense'" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_report_without_results(tmp_path, capsys):
    assert cli.main(["bench", "report", "--output", str(tmp_path)]) == 1
    assert "no results" in capsys.readouterr().err


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit):
        cli.main(["bench", "--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("quality", "curves", "kernels", "report", "peers"))


def test_a_kill_ends_it_as_ctrl_c_does():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, bench._ended_in_order():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_every_option_says_what_happens_without_it():
    from fastsoftmax.benches import instructions
    from fastsoftmax.cli.manual import parsers_of

    for parser in (*parsers_of(bench._parser("bench")).values(), instructions._parser()):
        for action in parser._actions:
            if action.dest != "help":
                default = "(off by default)" if action.nargs == 0 else "" if action.required else "(default: "
                assert default in action.help and len(action.help.split()) > 2, action
                assert action.metavar not in ("N", "S", "X"), action  # it says what it counts
