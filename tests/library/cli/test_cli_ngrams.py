"""The command `fastsoftmax ngrams`."""

import gzip
import io
from types import SimpleNamespace

import numpy as np
import pytest

from fastsoftmax import NGramLanguageModel
from fastsoftmax.cli import main as cli


@pytest.fixture
def sentences():
    rng = np.random.default_rng(2)
    return [" ".join(f"w{i}" for i in rng.zipf(1.4, 12) % 400) for _ in range(300)]


@pytest.fixture
def text(sentences, tmp_path):
    path = tmp_path / "text"
    path.write_text("\n".join(sentences) + "\n")
    return str(path)


def test_a_model_of_texts(text, sentences, tmp_path, capsys, monkeypatch):
    """From a file, standard input, and both; the probabilities are those of the class."""
    output = str(tmp_path / "model.arpa.gz")
    assert cli.main(["ngrams", text, "--order", "3", "--prune", "0", "0", "1", "-o", output]) == 0
    captured = capsys.readouterr()
    expected = NGramLanguageModel.estimate(sentences, 3, prune=(0, 0, 1))
    assert captured.out == "".join(f"{n}-grams\t{size}\n" for n, size in enumerate(expected.n_ngrams, start=1))
    assert captured.err == ""
    assert NGramLanguageModel.load_arpa(output).score("w1 w2 w1") == pytest.approx(expected.score("w1 w2 w1"), abs=1e-6)

    packed = io.BytesIO(gzip.compress("\n".join(sentences[:100]).encode()))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=packed))
    assert cli.main(["ngrams", text, "-", "-o", output, "--verbose"]) == 0
    captured = capsys.readouterr()
    expected = NGramLanguageModel.estimate(sentences + sentences[:100])
    assert captured.out.splitlines()[-1] == f"5-grams\t{expected.n_ngrams[-1]}"
    assert "reading the text\n" in captured.err
    assert NGramLanguageModel.load_arpa(output).n_ngrams == expected.n_ngrams


def test_small_texts_need_discounts(tmp_path, capsys):
    (tmp_path / "text").write_text("a b\na\n")
    arguments = ["ngrams", str(tmp_path / "text"), "-o", str(tmp_path / "model")]
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err.startswith("fastsoftmax: error: --discount-fallback must be given for this text")
    assert not (tmp_path / "model").exists()
    assert cli.main([*arguments, "--discount-fallback"]) == 0
    default = (tmp_path / "model").read_bytes()
    assert cli.main([*arguments, "--discount-fallback", "0.5", "1", "1.5"]) == 0
    assert (tmp_path / "model").read_bytes() == default
    assert cli.main([*arguments, "--discount-fallback", "0.2", "1", "1.5"]) == 0
    assert (tmp_path / "model").read_bytes() != default


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--order", "0"], "--order must be at least 1, got 0"),
        (["--prune", "0", "2", "1"], "--prune must not descend"),
        (["--prune", "1"], "--prune must begin with 0"),
        (["--discount-fallback", "1"], "--discount-fallback must be of shape"),
        (["-o", ""], "--output must be the path of a file, got ''"),
    ],
)
def test_wrong_options(options, message, text, tmp_path, capsys):
    assert cli.main(["ngrams", text, "-o", str(tmp_path / "model"), *options]) == 1
    assert capsys.readouterr().err.startswith(f"fastsoftmax: error: {message}")
    assert not (tmp_path / "model").exists()


def test_wrong_files(text, tmp_path, capsys):
    assert cli.main(["ngrams", text, "-o", text]) == 1
    assert "--output is a text" in capsys.readouterr().err
    assert cli.main(["ngrams", str(tmp_path / "none"), "-o", str(tmp_path / "model")]) == 1
    assert "none" in capsys.readouterr().err
    (tmp_path / "text2").write_text("a </s>\n")
    assert cli.main(["ngrams", text, str(tmp_path / "text2"), "-o", str(tmp_path / "model")]) == 1
    assert "text2, line 1: the word </s> is the model's own" in capsys.readouterr().err
