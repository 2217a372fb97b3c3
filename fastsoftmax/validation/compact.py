"""Models whose weights are stored in few bits, and predictors with a copy of the weights that finds classes."""

from fastsoftmax.validation.scalars import check_bool


def check_not_compact(model, method):
    """Raise if the weights of the model are stored in few bits, which serves predictions only."""
    if model.storage is not None:
        raise TypeError(
            f"{method} needs weights in full, this classifier is compressed ({model.storage}): use the one that it was made of"
        )


def check_compact(model):
    """Raise if weights of a CompactModel were beyond the range of its storage."""
    if not model.is_finite():
        raise ValueError(
            f"weights are too large for {model.storage}: "
            + (
                "float16 holds up to 65,504, bfloat16 holds all"
                if model.storage == "float16"
                else "they are not finite"
            )
        )


def check_can_screen(V, option):
    """Raise where a model has no output weights V for the screen in 8 bits or the index that `option` asks for."""
    if V is None:
        raise ValueError(
            f"{option} needs logits that are one dense product: a low-rank term alone, or a dense direct term trained on "
            "dense X, not compressed"
        )


def check_one_way(screen, exact):
    """`screen` and `exact` as bools; raise where a predictor shall be both exact and approximate."""
    screen, exact = check_bool("screen", screen), check_bool("exact", exact)
    if screen and not exact:
        raise ValueError("screen=True finds exactly the best classes and exact=False does not: choose one of them")
    return screen, exact


def check_usearch():
    """The class Index of the package usearch, imported; ImportError with what installs it."""
    try:
        from usearch.index import Index
    except ImportError as error:
        raise ImportError('exact=False needs the package usearch: pip install "fastsoftmax[ann]"') from error
    return Index
