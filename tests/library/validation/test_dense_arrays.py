"""Dense arrays, wherever they are taken: any layout, byte order and width of their type; masks and mixtures are refused."""

import copy

import numpy as np
import pytest
from flat_options import flat_classifier
from numpy.testing import assert_allclose, assert_array_equal
from sparse_variants import read_only, unaligned

import fastsoftmax as fs
from fastsoftmax import features, metrics, samplers

N, K, D = 6, 8, 5
RNG = np.random.default_rng(0)
X, W, LOGITS = RNG.standard_normal((N, D)), RNG.standard_normal((K, D)), RNG.standard_normal((N, K))
BIAS, COUNTS, WEIGHT = RNG.standard_normal(K), np.arange(1.0, K + 1), np.arange(1.0, N + 1)
Y, IDS = np.arange(N) % 4, np.arange(3)
PROBA = fs.softmax(LOGITS, axis=1)
TOPK = np.argsort(-PROBA, axis=1)
MODEL = flat_classifier(direct="dense", hidden_size=None, dtype="float64", random_state=0, max_iter=2).fit(X, Y)
REGRESSION = fs.SoftmaxRegression(C=0.01).fit(X, Y)
ONE_VS_ALL = fs.OneVsAllClassifier().fit(X, Y)


def of_sampled(**changed):
    arguments = {"X": X, "W": W, "target": Y, "bias": BIAS, "class_ids": IDS, "log_expected_counts": COUNTS[:3]}
    return fs.sampled_cross_entropy(**arguments | changed)


def fitted(X=X, y=Y, *, weight=None, params=None, **of_fit):
    params = {"direct": "dense", "hidden_size": None} if params is None else params
    model = flat_classifier(**{"dtype": "float64", "random_state": 0, "max_iter": 2, "n_threads": 1} | params)
    return model.fit(X, y, weight, **of_fit).predict_log_proba(MODEL_ROWS)


MODEL_ROWS = RNG.standard_normal((3, D))
SPARSE = {"direct": "sparse", "hidden_size": None}
VALIDATION = {"X_val": X, "y_val": Y, "sample_weight_val": WEIGHT}


def validated(**changed):
    params = {"direct": "dense", "hidden_size": None, "early_stopping": True}
    return fitted(params=params, **VALIDATION | changed)


def partly_fitted(counts):
    model = flat_classifier(direct="dense", hidden_size=None, random_state=0, dtype="float64")
    return model.partial_fit(X, Y, n_classes=K, class_counts=counts).predict_log_proba(MODEL_ROWS)


def initialised(**initial):
    pairs = fs.support(X, Y).astype(np.float64)
    return fitted(params=SPARSE, coef_init=pairs, **initial)


REAL = {
    "a of logsumexp": (lambda a: fs.logsumexp(a, axis=1, b=COUNTS), LOGITS),
    "b of logsumexp": (lambda a: fs.logsumexp(LOGITS, axis=1, b=a), COUNTS),
    "x of softmax": (lambda a: fs.softmax(a, axis=1), LOGITS),
    "x of log_softmax": (lambda a: fs.log_softmax(a, axis=0), LOGITS),
    "logits": (lambda a: fs.cross_entropy(a, Y), LOGITS),
    "target of cross_entropy": (lambda a: fs.cross_entropy(LOGITS, a), PROBA),
    "weight of cross_entropy": (lambda a: fs.cross_entropy(LOGITS, Y, weight=a), COUNTS),
    "X of linear_logsumexp": (lambda a: fs.linear_logsumexp(a, W), X),
    "X of linear_logsumexp, sparse W": (lambda a: fs.linear_logsumexp(a, fs.support(X, Y)), X),
    "X of linear_topk": (lambda a: fs.linear_topk(a, W, 2)[1], X),
    "W of linear_logsumexp": (lambda a: fs.linear_logsumexp(X, a), W),
    "bias of linear_logsumexp": (lambda a: fs.linear_logsumexp(X, W, a), BIAS),
    "weight of linear_cross_entropy": (lambda a: fs.linear_cross_entropy(X, W, Y, weight=a), COUNTS),
    "X of sampled_cross_entropy": (lambda a: of_sampled(X=a), X),
    "log_expected_counts": (lambda a: of_sampled(log_expected_counts=a), COUNTS[:3]),
    "X of support": (lambda a: fs.support(a, Y).toarray(), X),
    "X of fit": (fitted, X),
    "sample_weight of fit": (lambda a: fitted(weight=a), WEIGHT),
    "y, masses, of fit": (lambda a: fitted(y=a), PROBA),
    "X_val of fit": (lambda a: validated(X_val=a), X),
    "sample_weight_val of fit": (lambda a: validated(sample_weight_val=a), WEIGHT),
    "intercept_init of fit": (lambda a: initialised(intercept_init=a), BIAS[:4]),
    "embedding_init of fit": (
        lambda a: fitted(params={"direct": None, "hidden_size": 3}, embedding_init=a),
        RNG.standard_normal((D, 3)),
    ),
    "class_counts of partial_fit": (partly_fitted, COUNTS),
    "X of predict_log_proba": (MODEL.predict_log_proba, X),
    "sample_weight of score": (lambda a: MODEL.score(X, Y, a), WEIGHT),
    "X of a regression's fit": (lambda a: fs.SoftmaxRegression(C=0.01).fit(a, Y).coef_, X),
    "sample_weight of a regression's fit": (lambda a: fs.SoftmaxRegression(C=0.01).fit(X, Y, a).coef_, WEIGHT),
    "X of a regression's predict_proba": (REGRESSION.predict_proba, X),
    "X of a one-vs-all fit": (lambda a: fs.OneVsAllClassifier().fit(a, Y).coef_, X),
    "sample_weight of a one-vs-all fit": (lambda a: fs.OneVsAllClassifier().fit(X, Y, a).coef_, WEIGHT),
    "X of predict_marginals": (ONE_VS_ALL.predict_marginals, X),
    "X of evaluate": (lambda a: metrics.evaluate(MODEL, a, Y, ks=(1,))["log_loss"], X),
    "log_proba_of_target": (metrics.log_loss, -WEIGHT),
    "sample_weight of log_loss": (lambda a: metrics.log_loss(-WEIGHT, a), WEIGHT),
    "inverse_propensities": (lambda a: metrics.psp_at_k(TOPK, Y, 2, a), COUNTS),
    "scores of f1_at_threshold": (lambda a: metrics.f1_at_threshold(a, Y, 0.2, average=None), PROBA),
    "threshold of f1_at_threshold": (
        lambda a: metrics.f1_at_threshold(PROBA, Y, a, average=None),
        COUNTS / 20,
    ),
    "counts of Unigram": (lambda a: samplers.Unigram(a).probabilities(), COUNTS),
    "counts of InBatch": (lambda a: samplers.InBatch(a).probabilities(), COUNTS),
    "counts of LogUniform": (lambda a: samplers.LogUniform(K, a).probabilities(), COUNTS[::-1].copy()),
    "probabilities of Custom": (lambda a: samplers.Custom(a).probabilities(), COUNTS),
    "shares of Mixed": (lambda a: samplers.Mixed([samplers.Uniform(K), samplers.LogUniform(K)], a).shares, WEIGHT[:2]),
    "discounts": (
        lambda a: features.NGramFeatures(2).fit(Y, [0]).kneser_ney(Y, [0], 4, discounts=a)[1],
        np.array([0.5, 1.0, 1.5]),
    ),
}
INTEGERS = {
    "target codes of cross_entropy": (lambda a: fs.cross_entropy(LOGITS, a), Y),
    "target of linear_cross_entropy": (lambda a: fs.linear_cross_entropy(X, W, a), Y),
    "class_ids of linear_topk": (lambda a: fs.linear_topk(X, W, 2, class_ids=a), IDS),
    "exclude of linear_topk": (lambda a: fs.linear_topk(X, W, 2, exclude=[a] * N), IDS),
    "class_ids of sampled_cross_entropy": (lambda a: of_sampled(class_ids=a), IDS),
    "target of sampled_cross_entropy": (lambda a: of_sampled(target=a), Y),
    "several targets of sampled_cross_entropy": (lambda a: of_sampled(target=a), np.stack([Y, Y + 1], 1)),
    "y of support": (lambda a: fs.support(X, a).toarray(), Y),
    "class_ids of a sampler": (lambda a: samplers.LogUniform(K).log_expected_counts(a, 3), IDS),
    "ids of context_features": (lambda a: features.context_features(a, [0, 2], 4, 2).toarray(), Y),
    "starts of context_features": (lambda a: features.context_features(Y, a, 4, 2).toarray(), np.array([0, 2])),
    "ids of NGramFeatures": (lambda a: features.NGramFeatures(2).fit_transform(a, [0, 2]).toarray(), Y),
}
# Labels are checked elsewhere; masks are refused here.
MASKABLE = {
    "y of fit": (lambda a: fitted(y=a), Y),
    "y_val of fit": (lambda a: validated(y_val=a), Y),
    "y of score": (lambda a: MODEL.score(X, a), Y),
    "y of target_log_proba": (lambda a: MODEL.target_log_proba(X, a), Y),
    "y of a regression's fit": (lambda a: fs.SoftmaxRegression(C=0.01).fit(X, a).coef_, Y),
    "y of a one-vs-all fit": (lambda a: fs.OneVsAllClassifier().fit(X, a).coef_, Y),
    "y of evaluate": (lambda a: metrics.evaluate(MODEL, X, a, ks=(1,))["log_loss"], Y),
    "topk of hit_at_k": (lambda a: metrics.hit_at_k(a, Y, 2), TOPK),
    "y of hit_at_k": (lambda a: metrics.hit_at_k(TOPK, a, 2), Y),
    "y of f1_at_threshold": (lambda a: metrics.f1_at_threshold(PROBA, a, 0.2), Y),
    "y of inverse_propensities": (lambda a: metrics.inverse_propensities(a, n_classes=PROBA.shape[1]), Y),
}


def swapped(a):
    return a.astype(a.dtype.newbyteorder())


def read_from_bytes(a):
    """From a buffer, behind one byte of something else."""
    return np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(a.shape)


def spread(a):
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


class ArrayLike:
    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return np.array(self.a, dtype)


LAYOUTS = {
    "unaligned": unaligned,
    "frombuffer": read_from_bytes,
    "swapped bytes": swapped,
    "swapped, unaligned": lambda a: unaligned(swapped(a)),
    "strided": spread,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "Fortran": np.asfortranarray,
    "read-only": read_only,
    "list": lambda a: a.tolist(),
    "masked nowhere": np.ma.array,
}
REAL_LAYOUTS = LAYOUTS | {"long double": lambda a: a.astype(np.longdouble)}
INTEGER_LAYOUTS = LAYOUTS | {
    f"{name}": lambda a, name=name: a.astype(name) for name in ("i1", ">i2", "u1", "u4", ">u8")
}


def flat(result):
    return np.concatenate([np.ravel(part) for part in (result if isinstance(result, tuple) else (result,))])


@pytest.mark.parametrize(("call", "a"), (REAL | INTEGERS).values(), ids=REAL | INTEGERS)
def test_any_layout_and_type(call, a):
    expected = flat(call(a))
    for name, change in (INTEGER_LAYOUTS if a.dtype.kind == "i" else REAL_LAYOUTS).items():
        changed = change(a)
        before = copy.deepcopy(changed)
        assert_allclose(flat(call(changed)), expected, rtol=1e-9, atol=1e-12, err_msg=name)
        assert_array_equal(changed, before, err_msg=f"{name} was modified")


MASKED = REAL | INTEGERS | MASKABLE
LABELS = {
    "y of fit",
    "y of a one-vs-all fit",
    "y_val of fit",
    "y of score",
    "y of target_log_proba",
}  # where masked elements are missing labels


@pytest.mark.parametrize("name", MASKED)
def test_masked_elements_are_refused(name):
    call, a = MASKED[name]
    message = "must not hold missing labels, got None" if name in LABELS else "must have no masked elements, got 1"
    call(np.ma.array(a, mask=False))
    mask = np.zeros(a.shape, bool)
    mask.flat[1] = True
    masked = np.ma.array(a, mask=mask)
    with pytest.raises(ValueError, match=rf"^\w+ {message}"):
        call(masked)
    if a.ndim == 2:
        with pytest.raises(ValueError, match=rf"^\w+ {message}"):
            call(list(masked))


@pytest.mark.parametrize(("call", "a"), INTEGERS.values(), ids=INTEGERS)
@pytest.mark.parametrize(
    "change",
    [
        lambda a: np.append(a.ravel()[:-1].tolist(), True).astype(object),
        lambda a: [*a.tolist()[:-1], True if a.ndim == 1 else [True] * a.shape[1]],
        lambda a: [*a.tolist()[:-1], 2.5 if a.ndim == 1 else [2.5] * a.shape[1]],
        lambda a: [*a.tolist()[:-1], "1" if a.ndim == 1 else ["1"] * a.shape[1]],
        lambda a: [*a.tolist()[:-1], 2**64 if a.ndim == 1 else [2**64] * a.shape[1]],
        lambda a: [*a.tolist()[:-1], None if a.ndim == 1 else [None] * a.shape[1]],
        lambda a: [*a.tolist()[:-1], [1, 2, 3]],
        lambda a: np.full(a.shape, 2**64 - 1, np.uint64),
        lambda a: a.astype(bool),
        lambda a: a.astype("M8[s]"),
    ],
    ids=["objects", "bool", "float", "string", "beyond int64", "None", "ragged", "uint64", "bools", "dates"],
)
def test_mixtures_are_no_integers(call, a, change):
    with pytest.raises((TypeError, ValueError), match=r"^(target|class_ids|exclude|y|ids|starts)\b"):
        call(change(a))


@pytest.mark.parametrize(("call", "a"), REAL.values(), ids=REAL)
def test_what_is_no_number(call, a):
    for wrong in ("1.5", [1.0, "2"], [1.0, None], [[1.0], [1.0, 2.0]], np.full(a.shape, "M8[s]").astype("U"), 1j * a):
        with pytest.raises((TypeError, ValueError)):
            call(wrong)


@pytest.mark.parametrize("function", [fs.softmax, fs.log_softmax, fs.logsumexp])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_out_of_any_layout(function, axis):
    expected = function(LOGITS, axis=axis)
    for make in (unaligned, spread, np.asfortranarray, read_from_bytes) if np.ndim(expected) else (unaligned,):
        out = make(np.zeros_like(expected))
        if not out.flags.writeable:
            with pytest.raises(ValueError, match="out must be writable"):
                function(LOGITS, axis=axis, out=out)
            continue
        assert function(LOGITS, axis=axis, out=out) is out
        assert_array_equal(out, expected)
    x = unaligned(LOGITS)
    if function is not fs.logsumexp:
        assert_array_equal(function(x, axis=axis, out=x), expected)
        matrix = np.zeros_like(expected).view(np.matrix)
        assert function(LOGITS, axis=axis, out=matrix) is matrix
        assert_array_equal(matrix, expected)
    wrong = np.zeros_like(expected)
    with pytest.raises(ValueError, match=r"out must have shape .* and dtype float64, got .* and >f8"):
        function(LOGITS, axis=axis, out=wrong.astype(">f8"))
    with pytest.raises(TypeError, match="out must be a numpy array, got MaskedArray"):
        function(LOGITS, axis=axis, out=np.ma.array(wrong))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda big: fs.linear_logsumexp(np.full((1, D), big), W.astype("f4")),
            "X .* float32, got 1.7e.308 in row 0, column 0",
        ),
        (
            lambda big: fs.linear_logsumexp(X, W.astype("f4"), np.full(K, big)),
            "bias .* float32, got 1.7e.308 at position",
        ),
        (lambda big: fs.cross_entropy(LOGITS.astype("f4"), np.full((N, K), big)), "target .* float32, got 1.7e.308"),
        (lambda big: fs.logsumexp(LOGITS.astype("f4"), b=big), "b .* float32, got 1.7e.308"),
        (lambda big: fitted(params={"dtype": "float32"}, X=np.full((N, D), big)), "X .* float32, got 1.7e.308"),
        (
            lambda big: fs.logsumexp(np.longdouble(big) * np.full(3, 10, np.longdouble)),
            "a .* float64, got 1.69*.*e.309",
        ),
    ],
)
def test_a_number_beyond_the_type_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(1.7e308)
