"""`fastsoftmax evaluate` of rows with several labels: its metrics, and those that count the labels of a training file."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from fastsoftmax import SoftmaxClassifier, load
from fastsoftmax.cli import main as cli
from fastsoftmax.metrics import evaluate, inverse_propensities
from fastsoftmax.text.datasets import read

RANKINGS = ["precision", "hit", "mrr", "ndcg", "recall"]


@pytest.fixture
def xmc(tmp_path):
    """A trained model, its training file and another; that has two labels of its own, and the training one a row without."""
    rng = np.random.default_rng(0)

    def write(name, n_labels, n_rows, first=""):
        lines = [first] if first is not None else []
        while len(lines) < n_rows:
            labels = sorted(set(np.minimum(rng.geometric(0.3, 3) - 1, n_labels - 1).tolist()))
            lines.append(
                f"{','.join(map(str, labels))} {' '.join(f'{label}:1' for label in labels)} {rng.integers(8, 12)}:0.5"
            )
        path = tmp_path / name
        path.write_text(f"{n_rows} 12 {n_labels}\n" + "\n".join(lines) + "\n")
        return str(path)

    train, test, model = write("train", 6, 60), write("test", 8, 40, None), str(tmp_path / "model")
    assert cli.main(["train", train, "-o", model, "--quiet", "--epochs", "2", "--seed", "0"]) == 0
    return SimpleNamespace(train=train, test=test, model=model, folder=tmp_path)


@pytest.fixture
def run(capsys):
    def run(*arguments, status=0):
        capsys.readouterr()
        assert cli.main(["evaluate", *map(str, arguments)]) == status
        out, err = capsys.readouterr()
        return err if status else dict(line.split("\t") for line in out.splitlines())

    return run


def indicator(path, n_columns):
    data = read(path)
    shape = (data.n_samples, n_columns)
    return data.X, sparse.csr_array((np.ones(len(data.labels)), data.labels, data.label_starts), shape=shape)


def test_several_labels(xmc, run):
    result = run(xmc.model, xmc.test)
    assert list(result)[5:] == [f"{name}@{k}" for k in (1, 3, 5) for name in RANKINGS]
    X, Y = indicator(xmc.test, 8)
    assert int(result["n_unknown"]) == Y[:, 6:].nnz > 0
    expected = evaluate(load(xmc.model), X, Y)
    assert {name: float(value) for name, value in result.items()} == pytest.approx(expected, rel=1e-5)
    assert "recall@2" in run(xmc.model, xmc.test, "-k", 2) and "recall@1" not in run(xmc.model, xmc.test, "-k", 2)


@pytest.mark.parametrize("given", [{}, {"A": 0.5, "B": 0.4}])
def test_train_data(xmc, run, given):
    options = ["--propensity", *given.values()] if given else []
    result = run(xmc.model, xmc.test, "--train-data", xmc.train, *options)
    X, Y = indicator(xmc.test, 8)
    Y_train = indicator(xmc.train, 8)[1]
    assert np.diff(Y_train.indptr).min() == 0  # a row without labels is one of the N
    numbers = inverse_propensities(Y_train, **given)  # no training row has the last two labels
    expected = evaluate(load(xmc.model), X, Y, inverse_propensities=numbers)
    assert {name: float(value) for name, value in result.items()} == pytest.approx(expected, rel=1e-5)
    assert list(result)[-6:] == [f"{name}@{k}" for k in (1, 3, 5) for name in ("psp", "psndcg")]
    assert 0 < float(result["psp@1"]) < float(result["precision@1"])
    assert 0 < float(run(xmc.model, xmc.train, "--train-data", xmc.train)["psp@1"]) <= 1  # the same file twice


def test_one_label_a_row(tmp_path, run):
    """What is printed is what it was before rows with several labels had metrics of their own."""
    rows = [f"__label__{label} {word}" for label, word in [("a", "x"), ("b", "y"), ("c", "z"), ("a", "x")] * 5]
    (tmp_path / "train").write_text("\n".join(rows) + "\n")
    (tmp_path / "test").write_text("\n".join([*rows[:6], "__label__new x"]) + "\n")
    model = tmp_path / "model"
    assert cli.main(["train", str(tmp_path / "train"), "-o", str(model), "--quiet"]) == 0
    result = run(model, tmp_path / "test")
    assert list(result)[5:] == [f"{name}@{k}" for k in (1, 3, 5, 20) for name in RANKINGS[:4]]
    assert (result["n"], result["n_unknown"]) == ("7", "1") and result["precision@1"] == f"{6 / 7:.6g}"
    scored = run(model, tmp_path / "test", "--train-data", tmp_path / "train", "-k", 1)
    assert {name: result[name] for name in scored if not name.startswith("ps")} == {
        name: value for name, value in scored.items() if not name.startswith("ps")
    }
    C = (np.log(20) - 1) * 2.5**0.55
    a, b, new = (1 + C * (count + 1.5) ** -0.55 for count in (10, 5, 0))
    assert float(scored["psp@1"]) == pytest.approx((3 * a + 3 * b) / (3 * a + 3 * b + new), rel=1e-5)
    assert scored["psndcg@1"] == scored["psp@1"]


def test_errors(xmc, run, tmp_path):
    assert "--propensity needs --train-data" in run(xmc.model, xmc.test, "--propensity", 1, 1, status=1)
    training = ["--train-data", xmc.train]
    assert "--propensity must be above 0, got 0" in run(xmc.model, xmc.test, *training, "--propensity", 1, 0, status=1)
    for name, content, message in [
        ("empty", "", "empty"),
        ("without", "3 12 6\n 0:1\n 1:1\n 2:1\n", "without: none of the 3 rows has a label"),
        ("others", "77 0:1\n78 0:1\n79 0:1\n", "others: none of its labels is a class of the model: it has 77, 78, 79"),
        ("few", "1 0:1\n", "few must have at least 3 rows"),
        ("texts", "__label__a x\n" * 3, "texts: its labels are strings, but those of .*test are integers"),
    ]:
        (tmp_path / name).write_text(content)
        error = run(xmc.model, xmc.test, "--train-data", tmp_path / name, status=1)
        assert re.search(message, error), error


def test_strings_of_the_model_are_numbers_in_both_files(xmc, run, tmp_path):
    X, Y = indicator(xmc.train, 6)
    names = [[str(label) for label in Y.indices[Y.indptr[i] : Y.indptr[i + 1]]] for i in range(60)]
    SoftmaxClassifier(direct="dense", max_iter=2, random_state=0).fit(X, names).save(tmp_path / "strings")
    SoftmaxClassifier(direct="dense", max_iter=2, random_state=0).fit(X, Y).save(tmp_path / "numbers")
    of_strings, of_numbers = (
        run(tmp_path / name, xmc.test, "--train-data", xmc.train) for name in ("strings", "numbers")
    )
    assert of_strings == of_numbers
