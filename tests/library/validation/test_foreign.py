"""Arrays and tables of other libraries: what they hold arrives, without a copy where it can, and errors name what is wrong."""

import importlib

import numpy as np
import pytest
import scipy.sparse as sp

from fastsoftmax import OneVsAllClassifier, SoftmaxClassifier, SoftmaxRegression, linear_logsumexp, linear_topk, metrics
from fastsoftmax.functional import cross_entropy, log_softmax, logsumexp, softmax
from fastsoftmax.validation import as_known
from fastsoftmax.validation.foreign import is_single

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 4))
X[X < -0.5] = 0
Y = np.arange(30) % 3
W = RNG.standard_normal((3, 4))
NAMES = list("abcd")


class DLPackOnly:
    def __init__(self, a, device=(1, 0)):
        self.a, self.device = a, device

    def __dlpack__(self, **options):
        return self.a.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device


def pandas_table(dtype=None):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=NAMES)
    return table if dtype is None else table.astype(dtype)


def pandas_sparse():
    return pandas_table(pytest.importorskip("pandas").SparseDtype("float64", 0))


def polars_table():
    return pytest.importorskip("polars").DataFrame(X, schema=NAMES)


def arrow_table():
    return pytest.importorskip("pyarrow").table({name: X[:, i] for i, name in enumerate(NAMES)})


def torch_tensor():
    return pytest.importorskip("torch").from_numpy(X)


def strict_array():
    return pytest.importorskip("array_api_strict").asarray(X)


TABLES = {
    "pandas": pandas_table,
    "pandas sparse": pandas_sparse,
    "pandas nullable": lambda: pandas_table("Float64"),
    "pandas objects": lambda: pandas_table(object),
    "polars": polars_table,
    "pyarrow": arrow_table,
}
ARRAYS = {
    "dlpack": lambda: DLPackOnly(X),
    "memory map": lambda: np.asarray(X).view(np.memmap),
    "big-endian": lambda: X.astype(">f8"),
    "torch": torch_tensor,
    "torch csr": lambda: torch_tensor().to_sparse_csr(),
    "torch csc": lambda: torch_tensor().to_sparse_csc(),
    "torch coo": lambda: torch_tensor().to_sparse_coo(),
    "strict": strict_array,
    **{kind: lambda kind=kind: getattr(sp, f"{kind}_array")(X) for kind in ("bsr", "coo", "dia", "lil", "dok")},
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names", "ignore:Sparse CS. tensor support is in beta")
@pytest.mark.parametrize("make", [*TABLES.values(), *ARRAYS.values()], ids=[*TABLES, *ARRAYS])
def test_estimators_and_linear_functions_take_them(make):
    rows = make()
    known = sp.csr_array(X) if sp.issparse(as_known("X", rows)) else X  # for which solvers scale in other ways
    for kind in (SoftmaxRegression, OneVsAllClassifier):
        expected, model = kind().fit(known, Y), kind().fit(rows, Y)
        np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-9)
        assert model.coef_.dtype == expected.coef_.dtype
        np.testing.assert_allclose(model.decision_function(rows), model.decision_function(X), rtol=1e-9)
    np.testing.assert_allclose(linear_logsumexp(rows, W), linear_logsumexp(X, W), rtol=1e-12)
    np.testing.assert_array_equal(linear_topk(W, rows, 2)[0], linear_topk(W, X, 2)[0])


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_tables_bring_the_names_of_their_columns(make):
    table = make()
    model = SoftmaxClassifier(max_iter=1, random_state=0).fit(table, Y)
    assert model.feature_names_in_.tolist() == NAMES
    assert metrics.evaluate(model, table, Y, batch_size=7)["n"] == 30  # of tables: X without names would be a warning
    other = table.rename_columns(list("abcz")) if hasattr(table, "rename_columns") else None
    other = other if other is not None else table.rename(columns={"d": "z"}) if hasattr(table, "iloc") else None
    other = other if other is not None else table.rename({"d": "z"})
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(other)


def test_sparse_tables_and_tensors_stay_sparse():
    assert sp.issparse(as_known("X", pandas_sparse()))
    with pytest.raises(TypeError, match="x must be a dense array, got a csr_array"):
        softmax(sp.csr_array(X))
    np.testing.assert_allclose(softmax(pandas_sparse(), axis=1), softmax(X, axis=1))


@pytest.mark.parametrize("make", [lambda: DLPackOnly(X), torch_tensor], ids=["dlpack", "torch"])
def test_nothing_is_copied(make):
    assert np.shares_memory(as_known("X", make()), X)


def test_columns_without_numbers_are_named():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    tables = {
        "text in column 'b'": pandas_table().assign(b="x"),
        "categories in column 'c'": pandas_table().assign(c=pandas.Categorical(["u", "v"] * 15)),
        "objects in column 'd'": pandas_table().assign(d=pandas.Series([{}, 1] * 15, dtype=object)),
        "Date in column 'a'": polars_table().with_columns(a=polars.date(2020, 1, 1)),
    }
    for message, table in tables.items():
        for function in (
            SoftmaxClassifier(max_iter=1).fit,
            SoftmaxRegression().fit,
            lambda X, y: linear_logsumexp(X, W),
        ):
            with pytest.raises(TypeError, match=f"X must hold numbers in all columns, got {message}"):
                function(table, Y)


def test_columns_of_the_same_name():
    table = pandas_table().set_axis(list("aabb"), axis=1)
    np.testing.assert_allclose(linear_logsumexp(table, W), linear_logsumexp(X, W))
    with pytest.raises(TypeError, match="got text in column 2"):
        linear_logsumexp(table.astype({"b": str}), W)
    with pytest.raises(ValueError, match="X must have columns of different names"):
        SoftmaxRegression().fit(table, Y)


def test_tables_that_are_not_in_memory():
    with pytest.raises(TypeError, match=r"X must be a table in memory .*, got polars.LazyFrame: collect"):
        SoftmaxClassifier().fit(polars_table().lazy(), Y)


def test_memory_of_a_gpu():
    with pytest.raises(
        ValueError, match="X must be on the CPU, where the kernels are, got DLPackOnly on device type 2:1"
    ):
        SoftmaxRegression().fit(DLPackOnly(X, device=(2, 1)), Y)
    with pytest.raises(ValueError, match="y must be on the CPU"):
        SoftmaxRegression().fit(X, DLPackOnly(Y, device=(2, 0)))
    with pytest.raises(ValueError, match=r"a must be on the CPU, .* got a tensor on meta"):
        logsumexp(torch_tensor().to("meta"))


def test_tensors_that_require_a_gradient():
    torch = pytest.importorskip("torch")
    tensor = torch_tensor().clone().requires_grad_()
    with pytest.raises(ValueError, match=r"x must not require a gradient, .*x.detach\(\), or see fastsoftmax.torch"):
        softmax(tensor, axis=1)
    with torch.no_grad():
        np.testing.assert_array_equal(softmax(tensor, axis=1).numpy(), softmax(X, axis=1))


LABELS = {
    "torch": ("torch", lambda torch: torch.from_numpy(Y)),
    "torch indicator": ("torch", lambda torch: torch.from_numpy(np.eye(3)[Y]).to_sparse_csr()),
    "strict": ("array_api_strict", lambda strict: strict.asarray(Y)),
    "dlpack": ("numpy", lambda numpy: DLPackOnly(Y)),
    "polars": ("polars", lambda polars: polars.Series(Y)),
    "polars lists": ("polars", lambda polars: polars.Series([[int(i)] for i in Y])),
    "pyarrow": ("pyarrow", lambda pyarrow: pyarrow.chunked_array([Y[:9], Y[9:]])),
    "pandas nullable": ("pandas", lambda pandas: pandas.Series(Y, dtype="Int64")),
    "pandas indicator": ("pandas", lambda pandas: pandas.DataFrame(np.eye(3)[Y]).astype("Float64")),
}


@pytest.mark.filterwarnings("ignore:A column-vector y", "ignore:Sparse CS. tensor support is in beta")
@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind):
    module, make = LABELS[kind]
    y = make(pytest.importorskip(module))
    model = SoftmaxClassifier(max_iter=1, random_state=0).fit(X, y)
    assert model.classes_.tolist() == [0, 1, 2]
    expected = SoftmaxClassifier(max_iter=1, random_state=0).fit(X, Y)
    if "indicator" not in kind:  # an indicator has masses, in which rows are drawn in another way
        np.testing.assert_array_equal(model.coef_, expected.coef_)


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense_functions_answer_in_kind(library, dtype):
    module, logits = importlib.import_module(library) if importlib.util.find_spec(library) else None, X.astype(dtype)
    if module is None:
        pytest.skip(f"no {library}")
    x, target = module.asarray(logits), module.asarray(Y)
    kind = type(x)

    def check(results, expected):
        for result, array in zip(results, expected, strict=True):
            assert type(result) is kind and str(result.dtype).endswith(np.dtype(dtype).name)
            np.testing.assert_array_equal(np.asarray(result), array)

    options = {"axis": 1, "n_threads": 1}
    check(
        [softmax(x, **options), log_softmax(x, **options)], [softmax(logits, **options), log_softmax(logits, **options)]
    )
    check([logsumexp(x)], [logsumexp(logits)])
    check(logsumexp(x, 1, return_sign=True), logsumexp(logits, 1, return_sign=True))
    check(cross_entropy(x, target, return_grad=True), cross_entropy(logits, Y, return_grad=True))
    check([cross_entropy(x, target, reduction="none")], [cross_entropy(logits, Y, reduction="none")])


def test_out_is_a_tensor():
    x = torch_tensor()
    out = x.clone()
    assert softmax(x, axis=1, out=out) is out
    np.testing.assert_array_equal(out.numpy(), softmax(X, axis=1))
    total = x[:, 0].clone()
    assert logsumexp(x, axis=1, out=total) is total
    with pytest.raises(ValueError, match="out must have shape"):
        softmax(x, axis=1, out=total)


def test_bfloat16_becomes_float32():
    torch = pytest.importorskip("torch")
    x = torch_tensor().to(torch.bfloat16)
    assert softmax(x, axis=1).dtype == torch.float32
    np.testing.assert_array_equal(softmax(x, axis=1).numpy(), softmax(x.float().numpy(), axis=1))


def test_float32_of_all_columns_stays():
    single, double = pandas_table("float32"), pandas_table()
    assert is_single(single) and not is_single(double)
    assert is_single(polars_table().cast(pytest.importorskip("polars").Float32))
    assert linear_logsumexp(X, single.iloc[:3]).dtype == np.float32
