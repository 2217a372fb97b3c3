"""The progress bar of training."""

from fastsoftmax import SoftmaxClassifier


def test_progress_is_shown(capfd, sparse_rows):
    X, y = sparse_rows(300, 20, 5)
    SoftmaxClassifier(random_state=0, max_iter=3, verbose=1).fit(X, y)
    shown = capfd.readouterr().err
    for part in ("epoch 3/3", "100%", "rows/s"):
        assert part in shown
    SoftmaxClassifier(random_state=0, max_iter=3).fit(X, y)
    assert capfd.readouterr() == ("", "")
