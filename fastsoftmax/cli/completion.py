"""`fastsoftmax completion`: a script by which a shell completes the words of the command."""

from fastsoftmax.cli.manual import Manual, parsers_of
from fastsoftmax.validation import check_shtab

HELP = "write a script by which a shell completes commands, options, values and files"
MANUAL = Manual(
    description="""
    The script knows all commands and options of this version, so write it anew when the library is updated. It runs
    no Python when it completes. It is made by shtab: pip install "fastsoftmax[completion]".
    """,
    writes="The script, on standard output.",
    examples=(
        ("fastsoftmax completion bash > ~/.local/share/bash-completion/completions/fastsoftmax", "for new bash shells"),
        ("fastsoftmax completion zsh > ~/.zfunc/_fastsoftmax", "for zsh, where ~/.zfunc is in fpath before compinit"),
        ('eval "$(fastsoftmax completion bash)"', "for this shell alone"),
    ),
)
SHELLS = ("bash", "zsh", "tcsh")
FILES = ("MODEL", "DATA", "TEXT", "FILE")  # values that are names of files; DIR is that of a folder


def add_options(parser):
    parser.add_argument("shell", choices=SHELLS, help="the shell that the script is for")


def run(options):
    from fastsoftmax.cli import main

    shtab = check_shtab()
    parser = main._parser()
    for command in (parser, *parsers_of(parser).values()):
        for action in command._actions:
            if action.metavar in FILES:
                action.complete = shtab.FILE
            elif action.metavar == "DIR":
                action.complete = shtab.DIRECTORY
            action.help = action.help and action.help % {"default": action.default}
    print(shtab.complete(parser, options.shell))
