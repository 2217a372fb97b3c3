"""Models whose weights are stored in few bits."""


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


def check_can_screen(V):
    """Raise where a model has no output weights V that a screen in 8 bits can stand for."""
    if V is None:
        raise ValueError(
            "screen=True needs logits that are one dense product: a low-rank term alone, or a dense direct term trained on "
            "dense X, not compressed"
        )
