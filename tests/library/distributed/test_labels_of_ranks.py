"""Labels that are wrong on one rank: all ranks raise, and say which one has passed what, and where."""

import numpy as np
import pytest
import scipy.sparse as sp
from problems import K, classifier, part, rows
from thread_ranks import run

X, Y = rows()
MESSAGE = f"holds 99 at position 3, which is not among the {K} classes"


def errors(size, function):
    """What `function` raises on each rank."""

    def on(ranks):
        with pytest.raises(Exception) as error:
            function(ranks)
        return error.value

    return run(size, on)


def assert_told(found, message):
    """Rank 1 of two has failed of this, and rank 0 has been told so."""
    assert [str(error) for error in found] == [f"rank 1: {message}", message]


def with_a_wrong_label(ranks, y):
    own = y[part(ranks)].copy()
    if ranks.rank == 1:
        own[3] = 99
    return own


METHODS = {
    "partial_fit": lambda model, X, y: model.partial_fit(X, y),
    "calibrate": lambda model, X, y: model.calibrate(X, y),
    "fit": lambda model, X, y: model.set_params(early_stopping=True).fit(X, y % K, X_val=X, y_val=y),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_label_that_is_no_class(method):
    name = "y_val" if method == "fit" else "y"

    def wrong(ranks):
        model = classifier(ranks, hidden_size=4, max_iter=1).fit(X[part(ranks)], Y[part(ranks)])
        METHODS[method](model, X[part(ranks)], with_a_wrong_label(ranks, Y))

    assert_told(errors(2, wrong), f"{name} {MESSAGE}")


def test_the_first_rows_of_a_stream():
    def wrong(ranks):
        model = classifier(ranks, hidden_size=4)
        model.partial_fit(X[part(ranks)], with_a_wrong_label(ranks, Y), n_classes=K)

    assert_told(errors(2, wrong), f"y {MESSAGE}")


def test_positions_count_rows_that_are_ignored():
    def wrong(ranks):
        model = classifier(ranks, hidden_size=4, max_iter=1, ignore_label=-1).fit(X[part(ranks)], Y[part(ranks)])
        y = with_a_wrong_label(ranks, Y)
        y[[0, 2]] = -1
        model.partial_fit(X[part(ranks)], y)

    assert_told(errors(2, wrong), f"y {MESSAGE}")


def test_lists_of_labels_and_texts():
    def of_lists(ranks):
        model = classifier(ranks, hidden_size=4, max_iter=1).fit(X[part(ranks)], Y[part(ranks)])
        model.partial_fit(X[part(ranks)], [[label] for label in with_a_wrong_label(ranks, Y).tolist()])

    texts = np.array([f"label {label}" for label in Y], dtype=object)

    def of_texts(ranks):
        model = classifier(ranks, hidden_size=4, max_iter=1).fit(X[part(ranks)], texts[part(ranks)])
        y = texts[part(ranks)].copy()
        y[3] = "another" if ranks.rank else y[3]
        model.partial_fit(X[part(ranks)], y)

    assert_told(errors(2, of_lists), f"y {MESSAGE}")
    assert_told(errors(2, of_texts), f"y holds 'another' at position 3, which is not among the {K} classes")


def test_a_model_goes_on_after_an_error():
    def on(ranks):
        model = classifier(ranks, hidden_size=4, max_iter=1).fit(X[part(ranks)], Y[part(ranks)])
        before = model.predict_log_proba(X[part(ranks)])
        with pytest.raises(ValueError, match="holds 99"):
            model.partial_fit(X[part(ranks)], with_a_wrong_label(ranks, Y))
        np.testing.assert_array_equal(model.predict_log_proba(X[part(ranks)]), before)
        return model.partial_fit(X[part(ranks)], Y[part(ranks)]).n_iter_

    assert run(2, on) == [2, 2]


def test_ranks_without_rows_have_no_wrong_labels():
    def on(ranks):
        model = classifier(ranks, hidden_size=4, max_iter=1).fit(X[part(ranks)], Y[part(ranks)])
        own = part(ranks) if ranks.rank else slice(0, 0)
        model.partial_fit(X[own], Y[own]).calibrate(X[own], Y[own] if ranks.rank else [])
        return model.n_iter_

    assert run(2, on) == [2, 2]


def test_labels_of_several_kinds_name_the_ranks():
    def mixed(ranks):
        classifier(ranks, hidden_size=4).fit(X[part(ranks)], (Y.astype("U9") if ranks.rank else Y)[part(ranks)])

    for error in errors(2, mixed):
        assert str(error) == "y must have labels of one kind on all ranks, got int64 on rank 0, <U9 on rank 1"


def test_labels_that_cannot_be_sent():
    """Python objects are pickled on their way."""

    def unsendable(ranks):
        label = (lambda: 0,) if ranks.rank else (0,)
        y = np.fromiter([label] * 4, dtype=object, count=4)
        classifier(ranks, hidden_size=4).fit(sp.eye_array(4, format="csr"), y)

    told, own = errors(2, unsendable)
    assert str(told) == f"rank 1: {own}" and "pickle" in str(own)


def test_classes_that_are_none():
    def ragged(ranks):
        classes = [[1], [2, 3]] if ranks.rank else np.arange(K)
        classifier(ranks, hidden_size=4).partial_fit(X[part(ranks)], Y[part(ranks)], classes=classes)

    told, own = errors(2, ragged)
    assert str(told) == f"rank 1: {own}" and "inhomogeneous" in str(own)
