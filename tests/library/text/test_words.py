import re
import sys
import unicodedata

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer

from fastsoftmax.text import words
from fastsoftmax.text.corpus import NEWLINE, NUMBER, tokenize_text
from fastsoftmax.text.text_vectorizer import TextVectorizer

OLD_PATTERN = r"\w+|[^\w\s]"


def split(text, definition="unicode", lowercase=False):
    """The words of a text as `TextVectorizer` sees them."""
    return HashingVectorizer(**words.analysis(definition, lowercase)).build_analyzer()(text)


def test_imports_look_at_no_character(run_python):
    program = """
import fastsoftmax
from fastsoftmax import SoftmaxClassifier
from fastsoftmax.text import corpus, words
print(words._marks.cache_info().currsize)
"""
    assert run_python(program) == "0\n"


WHOLE = {
    "Devanagari": "हिन्दी मानक",
    "Tamil": "தமிழ் சிறு",
    "Bengali": "বাংলা",
    "Arabic with vowel signs": "كَتَبَ",
    "Hebrew with points": "שָׁלוֹם",
    "Persian with a joiner": "می\u200cخواهم",
    "soft hyphens": "Do\u00adnau dampf\u00adschiff",
    "Korean": "한국어 문장",
    "decomposed Korean": unicodedata.normalize("NFD", "한국어 문장"),
    "Vietnamese": "tiếng Việt",
    "beyond the first plane": "\U00011103\U00011127 \U0001e900\U0001e944",
    "Katakana": "カタカナ テキスト",
    "underscores and digits": "x_1 a2b",
}


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_words_stay_whole(text, form):
    expected = unicodedata.normalize("NFC", text).split()
    text = unicodedata.normalize(form, text)
    assert split(text) == expected
    assert tokenize_text(text, python=False) == expected
    assert np.array_equal(
        TextVectorizer().transform([text]).indices, TextVectorizer().transform([" ".join(expected)]).indices
    )


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("中文，分类。", "中 文 ， 分 类 。"),
        ("日本語のテキスト", "日 本 語 の テキスト"),
        ("ที่นี่", "ที่ นี่"),
        ("ABC中文", "ABC 中 文"),
        ("don-t!", "don - t !"),
        ("❤\ufe0f x", "❤\ufe0f x"),
        ("\u200bx\u200by", "\u200b x \u200b y"),
    ],
)
def test_scripts_without_blanks_and_other_characters(text, tokens):
    assert split(text) == tokenize_text(text, python=False) == tokens.split(" ")


def test_python_identifiers_stay_whole():
    assert tokenize_text("变量 = हिन्दी + e\u0301_1", python=True) == ["变量", "=", "हिन्दी", "+", "é_1"]


def test_numbers_end_where_letters_without_blanks_begin():
    assert tokenize_text("3.5年 12x ๑๒ ok", python=False) == [NUMBER, "年", NUMBER, NUMBER, "ok"]


def test_blanks_of_unicode_separate_and_only_a_newline_ends_a_line():
    blanks = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace() and code != 10]
    assert len(blanks) > 25
    for blank in blanks:
        assert split(f"a{blank}b") == tokenize_text(f"a{blank}b", python=False) == ["a", "b"]
    assert tokenize_text("a\nb", python=False) == ["a", NEWLINE, "b"]


def test_every_character_is_in_some_word_unless_it_is_blank():
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code < 0xE000:
            character = words.normalise(chr(code))
            assert (
                "".join(re.findall(words.analysis("unicode", False)["token_pattern"], character)) == character.strip()
            )


def test_ascii_text_has_the_words_of_the_first_models():
    text = "".join(map(chr, np.random.default_rng(0).integers(128, size=100_000)))
    assert (
        split(text, lowercase=True)
        == split(text, lowercase=True, definition="runs")
        == re.findall(OLD_PATTERN, text.lower())
    )


def test_models_of_earlier_builds_keep_their_words():
    texts = ["हिन्दी 中文 café " + unicodedata.normalize("NFD", "café"), "Red Apple!"]
    parameters = {"n_features": 1000, "max_words": 2, "lowercase": True}
    vectorizer = TextVectorizer.from_dict(parameters)
    assert vectorizer.words == "runs"
    before = HashingVectorizer(
        n_features=1000,
        ngram_range=(1, 2),
        token_pattern=OLD_PATTERN,
        norm="l2",
        alternate_sign=False,
        dtype=np.float32,
    )
    assert (vectorizer.transform(texts) != before.transform(texts)).nnz == 0
    assert TextVectorizer.from_dict(vectorizer.to_dict()).words == "runs"
    assert TextVectorizer.from_dict(TextVectorizer().to_dict()).words == "unicode"
    with pytest.raises(ValueError, match="words must be one of 'unicode', 'runs', got 'old'"):
        TextVectorizer.from_dict(parameters | {"words": "old"})


def test_no_texts():
    for texts in ([], (), iter([]), np.array([], dtype=str)):
        X = TextVectorizer(n_features=10).transform(texts)
        assert X.shape == (0, 10)
        assert X.dtype == np.float32
    assert TextVectorizer(max_words=10**18).transform(["", " \n", "a b"]).sum(axis=1).A1.tolist()[:2] == [0, 0]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one text", "got one text: 'one text'"),
        (b"one text", "got one text"),
        (3, "got 3"),
        (None, "got None"),
        (["a", None], "got None at position 1"),
        ([b"a"], "got b'a' at position 0"),
        ([float("nan")], "got nan at position 0"),
    ],
)
def test_texts_must_be_a_list_of_str(texts, message):
    with pytest.raises(TypeError, match=f"texts must be a list of str, {message}"):
        TextVectorizer().transform(texts)
