"""What `--help` of each subcommand says: every option is explained, and what happens without it."""

import argparse

import pytest

from fastsoftmax.cli import main as cli

PARSERS = next(a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction)).choices


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
