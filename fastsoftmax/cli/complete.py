"""`fastsoftmax complete`: how a language model goes on after each prompt, on standard output."""

from fastsoftmax.cli import language, tasks
from fastsoftmax.cli.arguments import integer, number
from fastsoftmax.cli.common import add_threads
from fastsoftmax.cli.manual import Manual
from fastsoftmax.runtime.progress import say
from fastsoftmax.validation import check_drawing, check_int, check_needs, check_one_rank, check_rng

HELP = "write how a language model goes on after prompts"
MANUAL = Manual(
    description="""
    After each prompt, the most probable word, the most probable one after that, and so on to the end of the sentence;
    with --sample, words drawn at random by their probabilities.
    """,
    writes="A line for each continuation, without its prompt, on standard output, as soon as it is found.",
    examples=(
        ('fastsoftmax complete lm.fsm "the dog" "a cat" --words 5', "the likeliest five words after each"),
        ("fastsoftmax complete lm.fsm --sample 3 --temperature 0.8 < prompts.txt", "three at random for each line"),
    ),
)


def add_options(parser):
    parser.add_argument("model", metavar="MODEL", help="a model file of train --task language")
    parser.add_argument(
        "prompts",
        metavar="PROMPT",
        nargs="*",
        default=[],
        help="the beginning of a sentence, as one argument (default: the lines of standard input, each answered at once)",
    )
    parser.add_argument(
        "--words", type=integer, default=20, metavar="WORDS", help="at most so many of them (default: %(default)s)"
    )
    parser.add_argument(
        "--sample",
        type=integer,
        metavar="SAMPLES",
        help="draw so many continuations of each prompt at random (default: the most probable word, again and again)",
    )
    parser.add_argument(
        "--temperature",
        type=number,
        metavar="TEMPERATURE",
        help="of --sample: below 1 for likelier words (default: 1)",
    )
    parser.add_argument(
        "--top-k",
        type=integer,
        metavar="WORDS",
        help="of --sample: only so many, the best ones (default: all)",
    )
    parser.add_argument(
        "--top-p",
        type=number,
        metavar="PROBABILITY",
        help="of --sample: only the fewest words that have so much of it (default: all)",
    )
    parser.add_argument("--seed", type=integer, metavar="SEED", help="of what --sample draws (default: 0)")
    add_threads(parser)


def run(options):
    check_one_rank("fastsoftmax complete", options.team.size)
    check_int("n_tokens", options.words, minimum=1)
    continuations = _continuations(options)
    say(f"loading {options.model}", options.verbose)
    model = options.team.load(options.model, options.threads)
    tasks.check_language_model(model, "fastsoftmax complete")
    language.write_as_read(model)
    numbers = language.numbers_of(model)
    for prompt in options.prompts or _lines():
        if numbers:
            prompt = [numbers.get(word, word) for word in prompt.split()]
        for words in continuations(model, prompt):
            print(words if isinstance(words, str) else " ".join(map(str, words)), flush=True)


def _continuations(options):
    """The function of a model and a prompt that gives what the options ask for, which are checked."""
    drawing = {name: getattr(options, name) for name in ("temperature", "top_k", "top_p", "seed")}
    if options.sample is None:
        check_needs("--sample", {f"--{name.replace('_', '-')}": value for name, value in drawing.items()})
        return lambda model, prompt: [model.complete(prompt, options.words)]
    check_int("n", options.sample, minimum=1)
    given = 1.0 if options.temperature is None else options.temperature, options.top_k, options.top_p
    given = check_drawing(*given)
    rng = check_rng("random_state", options.seed or 0)  # one for all prompts, so that equal ones go on differently
    return lambda model, prompt: model.sample(prompt, options.sample, *given, n_tokens=options.words, random_state=rng)


def _lines():
    """The lines of standard input, each as soon as it is there."""
    for line in language.source("-"):
        yield line.decode("utf-8", "surrogateescape").rstrip("\r\n")
