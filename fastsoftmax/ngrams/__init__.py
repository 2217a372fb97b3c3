"""Back-off n-gram language models: estimated by Kneser and Ney's method, kept in ARPA files, asked for words.

A text goes through `sentences` (words become codes), `counts` (n-grams, by one sort) and `smoothing` (probabilities) into
`tables`, which `arpa` writes and reads, and `ranking` orders. `model` is the public class over them. May import: `text`,
`validation`, `kernels`, `runtime`.
"""

from fastsoftmax.ngrams.model import NGramLanguageModel

__all__ = ["NGramLanguageModel"]
