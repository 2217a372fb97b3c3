"""What the columns of a model are, against the texts and data files that it is given."""


def check_vectorizer(name, vectorizer, kinds, n_features):
    """Raise unless `vectorizer` is of one of the classes `kinds` and makes the columns of a model of `n_features`."""
    if not isinstance(vectorizer, kinds):
        names = " or a ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{name} must be a {names}, others cannot be saved, got {vectorizer!r}")
    n_columns = vectorizer.n_columns_ if hasattr(vectorizer, "n_columns_") else vectorizer.n_features_
    if n_columns != n_features:
        raise ValueError(f"{name} makes {n_columns:,} columns, but the model has {n_features:,} features")


def check_reads(model, encoding, format):
    """Raise unless data of this format are what `encoding`, that of the file `model`, turns into columns."""
    if not encoding.reads(format):
        takes, other = ("texts", "columns") if encoding.takes_texts else ("columns", "texts")
        trained_on = f"{encoding.format} data" if encoding.format else takes
        raise ValueError(
            f"{model} was trained on {trained_on} and cannot read {format} data: it takes {takes}, not {other}"
        )


def check_are_texts(model, source, look_like_columns):
    """Raise where what is to be read as texts are rows of index:value."""
    if look_like_columns:
        raise ValueError(
            f"{source} looks like columns (index:value), and {model} was trained on texts: if these are texts, say "
            "--format fasttext"
        )


def misfits(source, n_ignored, first, model, n_features, trained_first):
    """Sentences on what in a file of columns is not as in the file that `model` was trained on.

    n_ignored : how many of its values were left out, because their index is not below `n_features`
    first, trained_first : the lowest index that occurs in either file, or None
    """
    if n_ignored:
        yield f"{source}: {n_ignored:,} value(s) of features beyond the {n_features:,} of {model} are ignored"
    if first == 0 and trained_first == 1:
        yield f"{source} has an index 0, and {model} was trained on data that begin with 1: do both count from the same?"
