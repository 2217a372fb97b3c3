import io
import tokenize

import numpy as np
import pytest

from fastsoftmax.text.corpus import NEWLINE, NUMBER, STRING, UNKNOWN, read_corpus, tokenize_text


@pytest.mark.parametrize(
    ("source", "tokens"),
    [
        ("x = 1", ["x", "=", NUMBER]),
        ("x  # a comment with a 'quote\ny", ["x", NEWLINE, "y"]),
        ("x\n\n    # a comment\n\n    y", ["x", NEWLINE, "y"]),
        ("a + \\\n b", ["a", "+", "b"]),
        ("f('#', \"it's\")", ["f", "(", STRING, ",", STRING, ")"]),
        (r"'\'' + '\\' + ''", [STRING, "+", STRING, "+", STRING]),
        ('"""one "two" \\""" \n three""" x', [STRING, "x"]),
        ("'''a\n'b''\n''' '' x", [STRING, STRING, "x"]),
        ("'a\\\nb' x", [STRING, "x"]),
        ("rb'x' Rb\"y\" f'{z}' u'' BR'' t''", [STRING] * 6),
        ("rb bar fu", ["rb", "bar", "fu"]),
        ("'unclosed\nx", ["'", "unclosed", NEWLINE, "x"]),
        ('"""unclosed', [STRING, '"', "unclosed"]),
        ("1 1.5 .5 1e-5 1E+5 0xFF 1_000 1j 5.", [NUMBER] * 9),
        ("a.b x[1:2] 1-2", ["a", ".", "b", "x", "[", NUMBER, ":", NUMBER, "]", NUMBER, "-", NUMBER]),
        (
            "a**=b//c->d:=e...f<<=g!=h",
            ["a", "**=", "b", "//", "c", "->", "d", ":=", "e", "...", "f", "<<=", "g", "!=", "h"],
        ),
        ("naïve_1 = Ω", ["naïve_1", "=", "Ω"]),
        ("x²=²", ["x²", "=", "²"]),
        ("", []),
        ("# nothing else", []),
        ("x # the last line", ["x"]),
    ],
)
def test_python_tokens(source, tokens):
    assert tokenize_text(source, python=True) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don\u2019t stop, it's #1!", ["Don\u2019t", "stop", ",", "it's", "#", NUMBER, "!"]),
        ("int main() { return 'a'; }", ["int", "main", "(", ")", "{", "return", "'", "a", "'", ";", "}"]),
        ("one\n\n  two\n", ["one", NEWLINE, "two", NEWLINE]),
        ("3.14 .5 x2", [NUMBER, NUMBER, "x2"]),
    ],
)
def test_text_tokens(text, tokens):
    assert tokenize_text(text, python=False) == tokens


def test_python_tokens_are_those_of_the_standard_library():
    with open(tokenize.__file__, encoding="utf-8") as file:
        source = file.read()
    kept = (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
    folded = {tokenize.NUMBER: NUMBER, tokenize.STRING: STRING}
    expected = [
        folded.get(token.type, token.string)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type in kept
    ]
    assert [token for token in tokenize_text(source, python=True) if token != NEWLINE] == expected


def write_files(folder, n_files=60):
    for i in range(n_files):
        path = folder / f"package{i % 7}" / f"module{i}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"import a{i}\nimport shared\nimport shared\n")


def training_files(folder):
    """Numbers of the files of `write_files` that are for training, and of all files."""
    corpus = read_corpus(folder, test_fraction=0.2, min_count=1)
    tokens = {corpus.vocabulary[i] for i in corpus.train_ids}
    return {i for i in range(60) if f"a{i}" in tokens}, len(corpus.train_starts) + len(corpus.test_starts)


def test_files_are_held_out_by_their_path(tmp_path):
    write_files(tmp_path)
    train, n_files = training_files(tmp_path)
    assert n_files == 60
    # Fixed for ever, or results of different versions could not be compared.
    assert set(range(60)) - train == {15, 25, 40, 41, 48, 52, 58}
    # Neither what is in the files nor new ones change it.
    for path in tmp_path.glob("*/*.py"):
        path.write_text("something_else\n" + path.read_text())
    (tmp_path / "new.py").write_text("x\n")
    assert training_files(tmp_path) == (train, 61)


@pytest.mark.parametrize("test_fraction", [1e-9, 0.5])
def test_there_are_always_files_for_training_and_test(tmp_path, test_fraction):
    for name in "ab":
        (tmp_path / name).write_text("word")
    corpus = read_corpus(tmp_path, test_fraction=test_fraction, min_count=1)
    assert len(corpus.train_starts) == len(corpus.test_starts) == 1


def test_vocabulary_by_falling_count(tmp_path):
    write_files(tmp_path)
    corpus = read_corpus(tmp_path)
    counts = np.bincount(corpus.train_ids, minlength=corpus.n_classes)
    assert sorted(corpus.vocabulary) == sorted([NEWLINE, UNKNOWN, "import", "shared"])
    assert np.all(np.diff(counts) <= 0)
    assert counts[corpus.vocabulary.index(UNKNOWN)] == len(corpus.train_starts)
    assert corpus.train_ids.dtype == corpus.test_ids.dtype == np.int32
    first = [corpus.vocabulary[i] for i in corpus.train_ids[:6]]
    assert first == ["import", UNKNOWN, NEWLINE, "import", "shared", NEWLINE]
    assert np.all(corpus.train_ids[corpus.train_starts] == corpus.vocabulary.index("import"))


def test_a_folder_of_text(tmp_path):
    (tmp_path / "one.txt").write_text("the cat # sat\n", encoding="utf-8-sig")
    (tmp_path / "two.c").write_text("the cat # sat\n")
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    (tmp_path / "null.bin").write_bytes(b"abc\0def")
    (tmp_path / "bad.py").write_bytes(b"# coding: no-such-coding\n")
    (tmp_path / "latin.py").write_bytes("# coding: latin-1\ncafé café".encode("latin-1"))
    (tmp_path / "empty.txt").write_text("")
    for name in (".git", "__pycache__", "site-packages"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.py").write_text("hidden hidden")
    corpus = read_corpus(tmp_path, min_count=1)
    assert [name for name, _ in corpus.skipped] == ["bad.py", "latin.txt", "null.bin"]
    assert len(corpus.train_starts) + len(corpus.test_starts) == 3
    seen = {corpus.vocabulary[i] for i in np.append(corpus.train_ids, corpus.test_ids)}
    assert seen >= {"the", "cat", "#", "sat"}
    assert "hidden" not in seen
    assert not corpus.python


@pytest.mark.parametrize("n_files", [0, 1])
def test_too_few_files(tmp_path, n_files):
    (tmp_path / "null.bin").write_bytes(b"\0")
    for i in range(n_files):
        (tmp_path / f"{i}.txt").write_text("word")
    with pytest.raises(ValueError, match=rf"at least two files of text, got {n_files} .* 1 left out"):
        read_corpus(tmp_path)


def test_not_a_folder(tmp_path):
    with pytest.raises(ValueError, match="folder must be a folder"):
        read_corpus(tmp_path / "missing")


@pytest.mark.parametrize("arguments", [{"min_count": 0}, {"test_fraction": 0.0}, {"test_fraction": 0.9}])
def test_bad_arguments(tmp_path, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        read_corpus(tmp_path, **arguments)


def test_the_standard_library_is_a_large_vocabulary():
    corpus = read_corpus()
    assert corpus.python
    assert corpus.n_classes >= 20_000
    assert 0.02 < len(corpus.test_ids) / len(corpus.train_ids) < 0.2
    assert {"range", "self", "import", NEWLINE, STRING, NUMBER} < set(corpus.vocabulary[:300])
