"""What `--help` of each subcommand says: every option is explained, and what happens without it."""

import re
import shlex
from pathlib import Path

import pytest

from fastsoftmax.cli import main as cli
from fastsoftmax.cli import manual
from fastsoftmax.cli.arguments import UNITS

PARSERS = manual.parsers_of(cli._parser())
NEEDED = {  # arguments that commands need
    "train": ["DATA", "-o", "MODEL"],
    "predict": ["MODEL"],
    "complete": ["MODEL"],
    "evaluate": ["MODEL", "DATA"],
    "explain": ["MODEL"],
    "compress": ["MODEL", "-o", "MODEL"],
    "ngrams": ["TEXT", "-o", "MODEL"],
    "completion": ["bash"],
}


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_says_what_happens_without_it(command):
    for action in PARSERS[command]._actions:
        assert action.help, action
        is_optional = not action.required and action.nargs != 0  # a flag is off where it is not given
        assert ("(default: " in action.help) == is_optional, action
    written = PARSERS[command].format_help()
    for value in ("None", "False", "[]"):
        assert f"default: {value}" not in written


def test_defaults_are_those_of_the_library():
    """Where the help has a number in words, it is the default of what the option sets."""
    from fastsoftmax.estimators import Checkpoint, SoftmaxClassifier
    from fastsoftmax.text.text_vectorizer import TextVectorizer
    from fastsoftmax.training import options, planning

    written = " ".join(PARSERS["train"].format_help().split())
    for expected in (
        f"between two checkpoints (default: {Checkpoint('x').every})",
        f"at most {TextVectorizer().n_features}",
        f"in a row (default: {TextVectorizer().max_words})",
        f"that draws (default: {planning.AUTO_NEGATIVES},",
        f"sampled_softmax from {planning.AUTO_SAMPLED_CLASSES} classes on",
        f"auto: {planning.AUTO_HIDDEN_SIZE} where",
        f"auto: {options.LEARNING_RATE};",
        f"auto: {options.SPARSE_EPOCHS} for --direct sparse alone, else {options.EPOCHS}",
        f"else {options.EPOCHS}, or {options.RANKED_EPOCHS} with --objective",
        f"auto: {planning.CALIBRATED_ALPHA} for a low-rank",
        f"(default: {SoftmaxClassifier().batch_size})",
    ):
        assert expected in written


def test_objectives_are_those_of_the_library():
    from fastsoftmax.objectives import OBJECTIVES

    (option,) = (action for action in PARSERS["train"]._actions if action.dest == "objective")
    assert option.choices == ("auto", *OBJECTIVES) and option.default == "auto"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_says_what_it_counts(command):
    """And each has a description before its default."""
    for action in PARSERS[command]._actions:
        description = action.help.partition("(default: ")[0].partition("(off by default)")[0]
        assert len(description.split()) >= 2, action
        if action.nargs == 0 and action.dest != "help":
            assert action.help.endswith("(off by default)"), action
        if action.type is not None:
            values = action.metavar if isinstance(action.metavar, tuple) else (action.metavar,)
            units = {word for value in values for word in value.split("|")} - {"auto", "none"}
            assert units and units <= UNITS.keys(), action


def test_every_unit_is_of_an_option():
    metavars = [action.metavar for parser in PARSERS.values() for action in parser._actions if action.metavar]
    used = {word for m in metavars for value in (m if isinstance(m, tuple) else (m,)) for word in value.split("|")}
    assert used >= UNITS.keys()


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_reads_like_a_manual(command):
    written = PARSERS[command].format_help()
    parts = [
        "usage: ",
        f"{cli.COMMANDS[command].HELP[1:]}.\n",
        "\nwhat it writes:\n",
        "\nexamples:\n",
        "\nexit status:\n",
    ]
    places = [written.index(part) for part in parts]
    assert places == sorted(places)
    for status in manual.EXIT_STATUSES:
        assert f"\n  {status} " in written[places[-1] :]
    for line, what in cli.COMMANDS[command].MANUAL.examples:
        assert f"fastsoftmax {command}" in line and what


def test_examples_have_options_that_there_are():
    """The parsers take them, as far as these do not read files."""
    for command in cli.COMMANDS.values():
        for line, _ in command.MANUAL.examples:
            (words,) = re.findall(r"fastsoftmax ([a-z][^|<>)]*)", line)
            assert cli._parser().parse_args(shlex.split(words)).run is command.run


def test_messages_are_said_by_one_option_everywhere():
    for name, parser in PARSERS.items():
        if name in cli.COMMANDS:
            assert parser.parse_args([*NEEDED.get(name, []), "--quiet"]).quiet
            assert parser.parse_args([*NEEDED.get(name, []), "--verbose"]).verbose
            with pytest.raises(SystemExit, match="2"):
                parser.parse_args([*NEEDED.get(name, []), "--verbose", "--quiet"])


def test_the_page_is_that_of_the_parsers():
    page = Path(__file__).parents[3] / "docs" / "command.md"
    if not page.exists():
        pytest.skip("no docs beside the tests")
    above, mark, below = page.read_text(encoding="utf-8").partition(manual.MARK)
    assert mark, "the page has no mark"
    assert below == manual.reference(cli._parser(), cli.COMMANDS), "python -m fastsoftmax.cli.manual docs/command.md"
    known = {option for parser in PARSERS.values() for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"--[a-z][a-z-]*", above)) <= known | {"--version"}


def test_the_page_is_written(tmp_path):
    path = tmp_path / "page"
    path.write_text(f"# Title\n{manual.MARK}what was there")
    manual.main([str(path)])
    assert path.read_text() == f"# Title\n{manual.MARK}{manual.reference(cli._parser(), cli.COMMANDS)}"
    assert "| `-o, --output MODEL` |" in path.read_text() and "\\|none\\|auto` |" in path.read_text()
