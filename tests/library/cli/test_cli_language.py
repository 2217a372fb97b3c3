"""The commands on language models."""

import gzip
import io
from types import SimpleNamespace

import numpy as np
import pytest

from fastsoftmax import LanguageModel, load
from fastsoftmax.cli import main as cli

TRAIN = ["train", "--task", "language"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two texts, of which one is compressed, and a model of them."""
    folder = tmp_path_factory.mktemp("language")
    rng = np.random.default_rng(0)
    nouns, verbs = ["cat", "dog", "cow"], ["saw", "met"]
    text = [f"the {rng.choice(nouns)} {rng.choice(verbs)} a {rng.choice(nouns)}" for _ in range(60)]
    (plain := folder / "plain").write_text("".join(f"{line}\n" for line in text[:30]))
    (packed := folder / "packed").write_bytes(gzip.compress("".join(f"{line}\n" for line in text[30:]).encode()))
    model = folder / "model"
    options = ["--order", "3", "--hidden-size", "4", "--min-count", "3", "--epochs", "1", "--threads", "1", "--quiet"]
    assert cli.main([*TRAIN, str(plain), str(packed), "-o", str(model), *options]) == 0
    return SimpleNamespace(plain=plain, packed=packed, model=model, lm=load(model), text=text, folder=folder)


def run(capsys, *arguments, status=0):
    capsys.readouterr()
    assert cli.main(list(map(str, arguments))) == status
    out, err = capsys.readouterr()
    return err if status else out


def given(monkeypatch, text):
    """Have `text` on standard input."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))


def test_the_model_is_that_of_the_texts(files):
    params = {"order": 3, "hidden_size": 4, "min_count": 3, "max_iter": 1, "random_state": 0, "n_threads": 1}
    assert isinstance(files.lm, LanguageModel)
    assert {name: files.lm.get_params()[name] for name in params} == params
    expected = LanguageModel(**params).fit([files.plain, files.packed])
    np.testing.assert_array_equal(files.lm.predict_proba(["the cat", ""]), expected.predict_proba(["the cat", ""]))


def test_training_from_standard_input(files, capsys, monkeypatch, tmp_path):
    given(monkeypatch, files.plain.read_bytes())
    options = ["--hidden-size", "none", "--order", "2", "--threads", "1"]
    assert cli.main([*TRAIN, "-", "-o", str(tmp_path / "model"), *options]) == 0
    out, told = capsys.readouterr()
    model = load(tmp_path / "model")
    assert model.n_tokens_ == 180 and model.min_count == 2 and model.chosen_["hidden_size"] is None
    assert out == "" and "\n180 words and ends of sentences, 9 different ones\nheld-out perplexity " in told


def test_complete_arguments(files, capsys):
    prompts = ["the cat", "", "a dog saw"]
    lines = run(capsys, "complete", files.model, *prompts, "--words", 2).splitlines()
    assert lines == [files.lm.complete(prompt, 2) for prompt in prompts] and len(lines[0].split()) == 2


def test_samples(files, capsys):
    drawing = ["--sample", "3", "--temperature", "2", "--top-k", "3", "--top-p", "0.9"]
    out = run(capsys, "complete", files.model, "the", "the", "--words", "4", *drawing, "--seed", "5")
    rng = np.random.default_rng(5)
    expected = [files.lm.sample("the", 3, 2, 3, 0.9, n_tokens=4, random_state=rng) for _ in range(2)]
    assert out.splitlines() == expected[0] + expected[1]
    default = run(capsys, "complete", files.model, "the", "--sample", 4)
    assert default.splitlines() == files.lm.sample("the", 4, random_state=0)


def test_each_line_is_answered_before_the_next_one_is_read(files, monkeypatch):
    written, answers = io.BytesIO(), []

    def lines():
        for line in (b"the cat\r\n", b"\n", b"the unheard-of"):
            yield line
            answers.append(written.getvalue().decode())  # without what is not flushed

    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=lines()))
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written))
    assert cli.main(["complete", str(files.model)]) == 0
    expected = [files.lm.complete(prompt) + "\n" for prompt in ("the cat", "", "the unheard-of")]
    assert answers == ["".join(expected[:n]) for n in (1, 2, 3)]


def test_predict(files, capsys, monkeypatch):
    given(monkeypatch, b"the cat\n\nthe xyz saw")
    lines = run(capsys, "predict", files.model, "--top", 3).splitlines()
    words, log_proba = files.lm.predict_topk(["the cat", "", "the xyz saw"], 3)
    assert len(lines) == 3
    for line, row, proba in zip(lines, words.tolist(), np.exp(log_proba).tolist(), strict=True):
        assert line == "\t".join(f"{word}\t{p:.6g}" for word, p in zip(row, proba, strict=True))
    (line,) = run(capsys, "predict", files.model, _file(files, "the"), "-k", 99).splitlines()
    assert sorted(line.split("\t")[::2]) == sorted(files.lm.vocabulary_)


def test_evaluate(files, capsys):
    text = [*files.text[:3], "the cat ate <unk> dog", ""]
    out = run(capsys, "evaluate", files.model, _file(files, "\n".join(text) + "\n"))
    result = {name: float(value) for name, value in (line.split("\t") for line in out.splitlines())}
    expected = {"perplexity": files.lm.perplexity(text), "n_tokens": 25, "n_unknown": 2}
    assert list(result) == list(expected) and result == pytest.approx(expected, rel=1e-5)
    assert run(capsys, "evaluate", files.model, files.packed).splitlines()[1] == "n_tokens\t180"


def test_info(files, capsys):
    info = dict(line.split(":", 1) for line in run(capsys, "info", files.model).splitlines())
    info = {name: value.strip() for name, value in info.items()}
    chosen = files.lm.chosen_
    assert info["model"] == "LanguageModel" and info["words"].startswith(f"{len(files.lm.vocabulary_)},")
    assert (info["order"], info["min count"], info["hidden size"], info["epochs"]) == ("3", "3", "4", "1")
    assert info["text"].startswith("360 ") and info["context"] == chosen["context"]
    assert info["weights"] == ", ".join(f"{name} {weight:.2f}" for name, weight in chosen["weights"].items())
    assert info["held out"] == f"perplexity {chosen['held_out_perplexity']:.2f}"


def test_words_that_are_numbers_or_no_utf8(capsysbinary, monkeypatch, tmp_path):
    model = LanguageModel(order=2, hidden_size=None, random_state=0).fit([[1, 2, "\udcff"], [1, 3]] * 9)
    model.save(tmp_path / "model")
    given(monkeypatch, b"1\n")
    out = run(capsysbinary, "predict", tmp_path / "model", "-k", 1)
    assert out.split(b"\t")[0].decode() == str(model.predict_topk([[1]], 1)[0][0, 0])
    given(monkeypatch, b"1 2\n")
    out = run(capsysbinary, "complete", tmp_path / "model")
    assert model.complete([1, 2]) == ["\udcff"] and out == b"\xff\n"
    (tmp_path / "text").write_bytes(b"1 2 \xff\n1 4\n")
    assert b"n_unknown\t1\n" in run(capsysbinary, "evaluate", tmp_path / "model", tmp_path / "text")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss", "softmax"], "--loss does not act on --task language"),
        (["--format", "fasttext"], "--format does not act on --task language"),
        (["--user-column", "u"], "--user-column does not act on --task language"),
        (["--order", "0"], "--order must be at least 1, got 0"),
        (["--min-count", "0"], "--min-count must be at least 1, got 0"),
        (["--hidden-size", "0"], "--hidden-size must be at least 1, got 0"),
        (["--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["--threads", "0"], "--threads must be -1 or an integer from 1 to 1024, got 0"),
        (["--seed", "-1"], "--seed must be"),
        (["--task", "classifier", "--order", "3"], "--order does not act on --task classifier"),
        (["--task", "next-item", "--min-count", "3"], "--min-count does not act on --task next-item"),
    ],
)
def test_wrong_options_of_train(capsys, tmp_path, options, message):
    assert message in run(capsys, *TRAIN, "no text is read", "-o", tmp_path / "model", *options, status=1)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["-", "-"], "DATA cannot be standard input 2 times"),
        (["no such file"], "No such file or directory: 'no such file'"),
        (["/dev/null"], "TEXT must have at least 2 sentences and a word, got 0 sentences"),
        (["a", "b", "--task", "classifier"], "--task classifier takes one data file, got 2: a, b"),
        (["a", "b", "--task", "next-item"], "--task next-item takes one data file, got 2: a, b"),
        (["a", "./MODEL"], "--output is a text, "),
    ],
)
def test_wrong_texts(files, capsys, monkeypatch, texts, message):
    monkeypatch.chdir(files.folder)
    given(monkeypatch, b"")
    assert message in run(capsys, *TRAIN, *texts, "-o", "MODEL", status=1)
    assert not (files.folder / "MODEL").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "3"], "--seed needs --sample, got --seed 3 alone"),
        (["--top-p", "0.5"], "--top-p needs --sample"),
        (["--words", "0"], "--words must be at least 1, got 0"),
        (["--sample", "0"], "--sample must be at least 1, got 0"),
        (["--sample", "1", "--temperature", "-1"], "--temperature must be at least 0, got -1"),
        (["--sample", "1", "--top-k", "0"], "--top-k must be at least 1, got 0"),
        (["--sample", "1", "--top-p", "1.5"], "--top-p must be at most 1, got 1.5"),
    ],
)
def test_wrong_options_of_complete(capsys, options, message):
    assert message in run(capsys, "complete", "no model is read", "x", *options, status=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--threshold", "0.5"], "--threshold does not act on a LanguageModel"),
        (["predict", "--format", "events"], "--format events is not for a LanguageModel, which is given sentences"),
        (["predict", "-k", "0"], "-k must be at least 1, got 0"),
        (["evaluate", "-k", "3"], "-k does not act on a LanguageModel"),
        (["explain"], "fastsoftmax explain takes a classifier, got a LanguageModel"),
    ],
)
def test_wrong_commands_for_the_model(files, capsys, arguments, message):
    command, *options = arguments
    assert message in run(capsys, command, files.model, files.plain, *options, status=1)


def test_models_of_other_kinds(files, capsys, tmp_path):
    (tmp_path / "train").write_text("__label__a x\n__label__b y\n" * 4)
    model = tmp_path / "model"
    run(capsys, "train", tmp_path / "train", "-o", model, "--quiet", "--epochs", 1, "--threads", 1)
    error = run(capsys, "complete", model, "x", status=1)
    assert "fastsoftmax complete takes a LanguageModel, got a SoftmaxClassifier" in error
    error = run(capsys, "predict", model, tmp_path / "train", "--format", "sentences", status=1)
    assert "--format sentences is not for a classifier" in error
    assert "empty file" in run(capsys, "evaluate", files.model, _file(files, ""), status=1)


def test_an_interrupted_training_leaves_what_it_learned(files, capsys, monkeypatch, tmp_path):
    fit = LanguageModel.fit

    def interrupted(model, text):
        fit(model, text)
        raise KeyboardInterrupt

    monkeypatch.setattr(LanguageModel, "fit", interrupted)
    options = ["-o", tmp_path / "model", "--hidden-size", "none", "--order", "2", "--threads", "1"]
    assert "saving what was learned so far" in run(capsys, *TRAIN, files.plain, *options, status=130)
    assert load(tmp_path / "model").n_tokens_ == 180


def test_defaults_in_the_help_are_those_of_the_library(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    written = " ".join(capsys.readouterr().out.split())
    assert f"longest n-grams (default: {LanguageModel().order})" in written
    assert f"any unknown word (default: {LanguageModel().min_count})" in written


def _file(files, text):
    (path := files.folder / "given").write_text(text)
    return path
