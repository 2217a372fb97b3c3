"""Arrays of labels."""

from fastsoftmax.validation import as_text_array


def test_when_labels_are_objects():
    assert as_text_array(["a", "b" * 64]).dtype == "U64"
    assert as_text_array(["a", "b" * 65]).dtype == object
    assert as_text_array([b"a" * 256], bytes).dtype == "S256"
    assert as_text_array([b"a" * 257], bytes).dtype == object
    assert as_text_array(["a\0"]).dtype == object
    assert as_text_array([]).dtype == "U1"
