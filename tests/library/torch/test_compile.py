"""torch.compile: the full loss is one operator of the graph, the sampled one breaks it."""

import warnings

import pytest

torch = pytest.importorskip("torch")

from fastsoftmax.torch import LinearCrossEntropy, SampledSoftmax, cross_entropy_head  # noqa: E402
from fastsoftmax.torch.operator import linear_head  # noqa: E402

OPTIONS = [
    {"reduction": "mean"},
    {"reduction": "sum", "label_smoothing": 0.1, "ignore_index": 3},
    {"reduction": "none", "class_weight": True},
    {"reduction": "none", "bias": False},
    {"reduction": "sum", "transposed": True},
    {"reduction": "mean", "frozen": True},
]


@pytest.fixture(autouse=True)
def quiet():
    """What torch's compiler warns of is not about us; and each test compiles anew."""
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def problem(options):
    rng = torch.Generator().manual_seed(0)
    options = dict(options)
    hidden, weight, bias = (torch.randn(size, generator=rng).requires_grad_() for size in ((4, 5, 7), (50, 7), (50,)))
    if options.pop("transposed", False):
        weight = weight.detach().t().contiguous().t().requires_grad_()
    if options.pop("frozen", False):
        weight.requires_grad_(False)
    if not options.pop("bias", True):
        bias = None
    if options.pop("class_weight", False):
        options["class_weight"] = torch.rand(50, generator=rng)
    return hidden, weight, bias, torch.randint(50, (4, 5), generator=rng), options


@pytest.mark.parametrize(
    ("backend", "options"),
    [*(("aot_eager", options) for options in OPTIONS), ("inductor", OPTIONS[0]), ("inductor", OPTIONS[3])],
    ids=str,
)
def test_full_graph(backend, options):
    hidden, weight, bias, target, options = problem(options)
    leaves = [leaf for leaf in (hidden, weight, bias) if leaf is not None and leaf.requires_grad]

    def loss(hidden, weight, bias):
        return (cross_entropy_head(hidden.tanh(), weight, target, bias, **options) ** 2).sum()

    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    expected = loss(hidden, weight, bias)
    for _ in range(2):
        ours = compiled(hidden, weight, bias)
        torch.testing.assert_close(ours, expected)
        expected_gradients = torch.autograd.grad(expected, leaves, retain_graph=True)
        for a, b in zip(torch.autograd.grad(ours, leaves), expected_gradients, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(compiled(hidden, weight, bias), expected)


def test_rounded_gradients_are_drawn_at_each_call():
    hidden, weight, bias, target, _ = problem({})
    loss = torch.compile(
        lambda *a: cross_entropy_head(a[0], a[1], target, a[2], gradient_threshold=0.05),
        fullgraph=True,
        backend="aot_eager",
    )
    first, second = (torch.autograd.grad(loss(hidden, weight, bias), weight)[0] for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_operator_passes_torchs_checks(options):
    """Its schema, its forms for tracing, and its gradients, with sizes that are symbols as well."""
    hidden, weight, bias, target, options = problem(options)
    needs = [tensor is not None and tensor.requires_grad for tensor in (hidden, weight, bias)]
    arguments = (
        hidden.detach().reshape(-1, 7).requires_grad_(), weight, bias, None, needs, target.reshape(-1),
        options.get("class_weight"), None, options["reduction"], options.get("ignore_index", -100),
        options.get("label_smoothing", 0.0), 0.0, None,
    )  # fmt: skip
    torch.library.opcheck(
        linear_head, arguments, test_utils=("test_schema", "test_faketensor", "test_autograd_registration")
    )


def test_second_derivatives_of_the_operator_are_refused():
    hidden, weight, bias, target, _ = problem({})
    arguments = (
        hidden.reshape(-1, 7),
        weight,
        bias,
        None,
        [True] * 3,
        target.reshape(-1),
        None,
        None,
        "mean",
        -100,
        0.0,
        0.0,
    )
    loss = linear_head(*arguments, None)[0]
    gradient = torch.autograd.grad(loss, weight, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="no second derivatives"):
        gradient.sum().backward()


@pytest.mark.parametrize("dynamic", [False, True])
def test_modules(dynamic):
    torch.manual_seed(0)
    model = LinearCrossEntropy(7, 50)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for n_rows in (4, 9):
        hidden, target = torch.randn(n_rows, 7), torch.arange(n_rows)
        expected = torch.autograd.grad(model(hidden, target), model.weight)[0]
        torch.testing.assert_close(torch.autograd.grad(compiled(hidden, target), model.weight)[0], expected)


def test_sampled_module_breaks_the_graph():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(7, 7), torch.nn.Tanh())
    head = SampledSoftmax(7, 50, 20)
    hidden, target = torch.randn(9, 7), torch.arange(9)

    def loss(hidden):
        return head(model(hidden), target) * 2

    results = []
    for function in (loss, torch.compile(loss, backend="aot_eager")):
        torch.manual_seed(1)
        results.append(torch.autograd.grad(function(hidden), [*model.parameters(), head.weight]))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)
    torch.compile(head.eval(), fullgraph=True, backend="aot_eager")(hidden, target).backward()
