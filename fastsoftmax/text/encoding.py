"""What the columns of a model's X are: how rows of data files and texts become rows of X."""

from dataclasses import dataclass

from fastsoftmax.text.datasets import FORMATS, TEXT_FORMATS, first_index
from fastsoftmax.text.text_vectorizer import TextVectorizer
from fastsoftmax.validation import check_int, check_option


@dataclass(frozen=True)
class Encoding:
    """What a model was trained on, as its file keeps it; nothing is known of a model that was trained on arrays.

    Attributes
    ----------
    format : str, optional
        The format of the data file.
    first_index : int, optional
        The lowest index in a file of columns: 1 where they are counted from 1.
    vectorizer : TextVectorizer, optional
        What made columns of texts. None: rows of files are columns as they stand.
    sequences : SequenceFeatures, optional
        What made columns of sequences of items. `to_dict` leaves it out: it takes more than this package knows to store it.
    """

    format: str | None = None
    first_index: int | None = None
    vectorizer: TextVectorizer | None = None
    sequences: object = None

    @classmethod
    def of(cls, data, vectorizer=None):
        """The encoding of a model that is trained on a Dataset, whose texts `vectorizer` turns into columns."""
        return cls(data.format, 0 if data.format == "xmc" else first_index(data), vectorizer)

    @property
    def made_by(self):
        """What made the columns, of texts or of sequences; None where they are as they stand."""
        return self.sequences if self.vectorizer is None else self.vectorizer

    @property
    def takes_texts(self):
        return self.vectorizer is not None

    def reads(self, format):
        """Whether rows of data files in this format are what the model takes."""
        return (format in TEXT_FORMATS) == self.takes_texts

    def to_dict(self):
        """What `from_dict` needs, as JSON and arrays."""
        vectorizer = None if self.vectorizer is None else self.vectorizer.to_dict()
        return {"format": self.format, "first_index": self.first_index, "vectorizer": vectorizer}

    @classmethod
    def from_dict(cls, values):
        """The inverse of `to_dict`, also of files from before there was a first index; ValueError or TypeError for others."""
        if values is None:
            return cls()
        if not isinstance(values, dict) or not {"format", "vectorizer"} <= values.keys():
            raise ValueError(f"the encoding must be a dict of a format and a vectorizer, got {values!r}")
        format, first, vectorizer = (values.get(name) for name in ("format", "first_index", "vectorizer"))
        check_option("the encoding's format", format, (None, *FORMATS))
        if first is not None:
            check_int("the encoding's first_index", first, minimum=0)
        return cls(format, first, None if vectorizer is None else TextVectorizer.from_dict(vectorizer))
