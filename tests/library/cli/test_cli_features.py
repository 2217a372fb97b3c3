"""What the features of a model are, on the command line: words or columns, and how many."""

import re

import numpy as np
import pytest

from fastsoftmax import SoftmaxClassifier, features, load
from fastsoftmax.cli import main as cli

TEXTS = "".join(
    f"__label__{label} {words}\n"
    for label, words in [("egg", "boil an egg"), ("egg", "egg white foam"), ("bread", "why does bread rise")] * 10
)
SVMLIGHT = "3 1:1 4:2\n5 2:1\n3 1:2\n" * 10
XMC = "30 5 6\n" + SVMLIGHT


@pytest.fixture
def write(tmp_path):
    """Write a file, and return its path."""

    def write(name, content):
        (tmp_path / name).write_text(content)
        return str(tmp_path / name)

    return write


@pytest.fixture
def train(write, tmp_path, capsys):
    """Train a model on the content of a file; return its path and what was said."""

    def train(content, *options):
        model = str(tmp_path / "model")
        assert cli.main(["train", write("train", content), "-o", model, "--epochs", "5", *options]) == 0
        return model, capsys.readouterr().err

    return train


def info(model, capsys):
    assert cli.main(["info", model]) == 0
    return capsys.readouterr().out


# -- texts --


@pytest.mark.parametrize(
    ("options", "n_features", "words"),
    [
        ([], 16, 2),  # 9 words, 7 pairs of words
        (["--word-ngrams", "1"], 9, 1),
        (["--n-features", "16"], 16, 2),
        (["--n-features", "15"], 15, 2),
        (["--n-features", "4096", "--hash"], 4096, 2),
        (["--hash"], 2**18, 2),
    ],
)
def test_columns_of_words(options, n_features, words, train, capsys):
    model, output = train(TEXTS, *options)
    how = "hashed" if "--hash" in options or n_features == 15 else "numbered"
    assert f"{n_features:,} features ({how} words)" in output
    shown = info(model, capsys)
    assert re.search(rf"features: +{n_features:,}\n", shown)
    assert re.search(rf"rows: +texts: words, and up to {words} in a row, in lower case, {how}\n", shown)
    vectorizer = load(model).vectorizer_
    assert (vectorizer.n_columns_, vectorizer.max_words) == (n_features, words)
    assert (vectorizer.vocabulary_ is None) == (how == "hashed")


def test_few_words_make_a_small_model(train):
    assert load(train(TEXTS)[0]).coef_.shape == (2, 16)
    assert load(train(TEXTS, "--hash")[0]).coef_.shape == (2, 2**18)


def test_words_that_the_model_does_not_know(train, write, capsys):
    model, _ = train(TEXTS)
    assert cli.main(["predict", model, write("new", "An EGG of an ostrich\nostrich\n\n"), "-k", "1"]) == 0
    labels, error = capsys.readouterr()
    assert labels.splitlines()[0].startswith("egg\t") and len(labels.splitlines()) == 3 and error == ""


@pytest.mark.parametrize("option", [["--hash"], ["--word-ngrams", "1"]])
@pytest.mark.parametrize("content", [SVMLIGHT, XMC])
def test_options_of_texts_for_columns(option, content, write, tmp_path, capsys):
    assert cli.main(["train", write("train", content), "-o", str(tmp_path / "model"), *option]) == 1
    assert re.search(rf"error: {option[0]} is for texts, and these are (svmlight|xmc) data\n", capsys.readouterr().err)


@pytest.mark.parametrize("option", ["--n-features", "--word-ngrams"])
def test_bad_numbers_of_words(option, write, tmp_path, capsys):
    assert cli.main(["train", write("train", TEXTS), "-o", str(tmp_path / "model"), option, "0"]) == 1
    assert f"{option} must be at least 1, got 0" in capsys.readouterr().err


# -- features beyond the model's --


@pytest.mark.parametrize("content", ["3 1:1 9:1\n5 2:1\n3 7:1 8:2\n", "3 10 6\n3 1:1 9:1\n5 2:1\n3 7:1 8:2\n"])
def test_features_beyond_are_ignored_and_counted(content, train, write, capsys):
    model, _ = train(SVMLIGHT)
    data = write("wide", content)
    narrow = write("narrow", "3 1:1\n5 2:1\n3\n")
    for command in ("predict", "evaluate"):
        assert cli.main([command, model, data, "-k", "1"]) == 0
        output, error = capsys.readouterr()
        assert error == f"fastsoftmax: warning: {data}: 3 value(s) of features beyond the 5 of {model} are ignored\n"
        assert cli.main([command, model, narrow, "-k", "1"]) == 0
        assert capsys.readouterr() == (output, "")
        assert cli.main([command, model, data, "--strict"]) == 1
        assert re.search(r"wide, line \d: ", capsys.readouterr().err)


def test_where_indices_count_from(train, write, capsys):
    model, _ = train(SVMLIGHT)
    assert re.search(r"rows: +columns, of which the lowest is 1\n", info(model, capsys))
    zero_based = write("zero", "3 0:1 3:2\n")
    assert cli.main(["predict", model, zero_based]) == 0
    assert "zero has an index 0, and " in capsys.readouterr().err
    assert cli.main(["predict", model, zero_based, "--strict"]) == 1
    assert "zero has an index 0, and " in capsys.readouterr().err
    assert cli.main(["predict", model, write("one", "3 1:1\n"), "--strict"]) == 0
    assert capsys.readouterr().err == ""
    model, _ = train(XMC)
    assert cli.main(["predict", model, zero_based, "--strict"]) == 0
    assert capsys.readouterr().err == ""


# -- words against columns --


@pytest.mark.parametrize("options", [[], ["--hash"]])
@pytest.mark.parametrize("content", [SVMLIGHT, XMC])
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_columns_to_a_model_of_texts(command, content, options, train, write, capsys):
    model, _ = train(TEXTS, *options)
    columns = write("columns", content)
    assert cli.main([command, model, columns]) == 1
    output, error = capsys.readouterr()
    assert re.fullmatch(r"fastsoftmax: error: \S+columns looks like columns .* was trained on texts.*\n", error)
    assert output == ""
    assert cli.main([command, model, columns, "--format", "svmlight"]) == 1
    assert "cannot read svmlight data: it takes texts, not columns" in capsys.readouterr().err


def test_texts_that_look_like_columns_are_texts_if_one_says_so(train, write, capsys):
    model, _ = train(TEXTS)
    assert cli.main(["predict", model, write("times", "10:30\n"), "--format", "fasttext", "-k", "1"]) == 0
    assert cli.main(["predict", model, write("years", "2010\n1999\n"), "-k", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("content", [SVMLIGHT, XMC])
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_texts_to_a_model_of_columns(command, content, train, write, capsys):
    model, _ = train(content)
    texts = write("texts", TEXTS)
    for options in ([], ["--format", "fasttext"]):
        assert cli.main([command, model, texts, *options]) == 1
        message = r"trained on (svmlight|xmc) data and cannot read fasttext data: it takes columns, not texts\n"
        assert re.search(message, capsys.readouterr().err)
    assert cli.main([command, model, write("plain", "why does bread rise\n")]) == 1
    assert "none of the formats" in capsys.readouterr().err


@pytest.mark.parametrize(("trained_on", "given"), [(SVMLIGHT, XMC), (XMC, SVMLIGHT)])
def test_both_formats_of_columns_go_together(trained_on, given, train, write, capsys):
    model, _ = train(trained_on)
    assert cli.main(["evaluate", model, write("given", given), "-k", "1"]) == 0
    assert "precision@1\t1" in capsys.readouterr().out


# -- models that were trained in Python --


def test_a_model_of_arrays_reads_columns(write, tmp_path, capsys):
    model = str(tmp_path / "model")
    SoftmaxClassifier(random_state=0, max_iter=20).fit(np.eye(4), [7, 8, 9, 7]).save(model)
    assert cli.main(["predict", model, write("columns", "7 0:1\n8 1:1\n"), "-k", "1"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["7", "8"]
    assert cli.main(["predict", model, write("texts", TEXTS)]) == 1
    assert "trained on columns and cannot read fasttext data" in capsys.readouterr().err
    assert re.search(r"data format: +unknown\nrows: +columns\n", info(model, capsys))


def test_a_model_with_a_vectorizer_reads_texts(write, tmp_path, capsys):
    model, vectorizer = str(tmp_path / "model"), features.TextVectorizer()
    X = vectorizer.fit_transform(["boil an egg", "bread and butter"])
    SoftmaxClassifier(random_state=0, max_iter=50).fit(X, ["egg", "bread"]).save(model, vectorizer=vectorizer)
    assert cli.main(["predict", model, write("texts", "butter\nwhite of an egg\n"), "-k", "1"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["bread", "egg"]
    assert cli.main(["predict", model, write("columns", SVMLIGHT)]) == 1
    assert "looks like columns" in capsys.readouterr().err


# -- other files of the model --


@pytest.mark.parametrize("content", [TEXTS, SVMLIGHT])
def test_a_compressed_model_knows_its_features(content, train, write, tmp_path, capsys):
    model, _ = train(content)
    small = str(tmp_path / "small")
    assert cli.main(["compress", model, "-o", small]) == 0
    capsys.readouterr()
    shown = [re.search(r"data format:.*\nrows:.*\n", info(path, capsys)).group() for path in (model, small)]
    assert shown[0] == shown[1]
    assert cli.main(["evaluate", small, write("test", content), "-k", "1"]) == 0
    assert "precision@1\t1" in capsys.readouterr().out


# -- subwords and buckets --


@pytest.mark.parametrize(
    ("options", "shown", "counts"),
    [
        (
            ["--subwords", "3", "5"],
            "2 in a row, subwords of 3 to 5 characters, in lower case, numbered",
            None,
        ),
        (
            ["--buckets", "50"],
            "2 in a row, in lower case, numbered, all else hashed to 50 columns",
            9 + 50,
        ),
        (
            ["--buckets", "50", "--subwords", "2", "2", "--word-ngrams", "1"],
            "1 in a row, subwords of 2 to 2 characters, in lower case, numbered, all else hashed to 50 columns",
            9 + 50,
        ),
        (
            ["--subwords", "3", "3", "--hash", "--n-features", "64"],
            "2 in a row, subwords of 3 to 3 characters, in lower case, hashed",
            64,
        ),
    ],
)
def test_subwords_and_buckets(options, shown, counts, train, write, capsys):
    model, output = train(TEXTS, *options)
    vectorizer = load(model).vectorizer_
    assert f"{'rows:':20}texts: words, and up to {shown}\n" in info(model, capsys)
    assert f"{vectorizer.n_columns_:,} features" in output and vectorizer.n_columns_ == (
        counts or vectorizer.n_columns_
    )
    if counts is not None:
        return
    assert any(name.startswith(" ") for name in vectorizer.vocabulary_)
    assert cli.main(["predict", model, write("new", "eggshell\nbreadcrumb\n"), "-k", "1"]) == 0
    labels = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert labels == ["egg", "bread"]  # new words are told by what they are made of


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--subwords", "0", "3"], "--subwords must be at least 1, got 0"),
        (["--subwords", "3", "2"], "--subwords must be 0, or at least min_chars (3), got 2"),
        (["--buckets", "-1"], "--buckets must be at least 0, got -1"),
        (
            ["--buckets", "9", "--hash"],
            "--buckets 9 does not act with --hash, which hashes words too: see --n-features",
        ),
    ],
)
def test_subwords_and_buckets_that_cannot_act(options, message, write, tmp_path, capsys):
    assert cli.main(["train", write("train", TEXTS), "-o", str(tmp_path / "model"), *options]) == 1
    assert f"error: {message}\n" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--subwords", "3", "5"], ["--buckets", "9"]])
def test_subwords_and_buckets_for_columns(option, write, tmp_path, capsys):
    assert cli.main(["train", write("train", SVMLIGHT), "-o", str(tmp_path / "model"), *option]) == 1
    assert f"error: {option[0]} is for texts, and these are svmlight data\n" in capsys.readouterr().err
