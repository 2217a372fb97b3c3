"""Made-up results of benchmarks with everything that can come: all statuses, nulls, odd names."""

import math

ODD_SYSTEM = "odd | <system> & *co*"
ODD_REASON = 'ValueError: a | b <script src="x">\n  second line & `code` _and_ [so](on)'
SYSTEMS = {  # name -> (seconds, P@1, NLL) of the first problem, and its budgets
    "fastsoftmax sampled": (4.0, 0.30, 5.1, (1, 3, 10)),
    "fastsoftmax full": (40.0, 0.33, 4.8, (1, 3, 10)),
    "fastsoftmax sparse": (2.0, 0.29, 5.3, (1, 3, 10)),
    "fastsoftmax sparse + low rank": (6.0, 0.335, 4.7, (1, 3, 10)),
    "fastsoftmax SoftmaxRegression": (9.0, 0.31, 5.0, (5, 20, 100)),
    "scikit-learn LogisticRegression": (80.0, 0.305, 5.05, (5, 20, 100)),
    "scikit-learn SGDClassifier": (60.0, 0.26, 9.5, (1, 5, 20)),
    "torch full": (50.0, 0.331, 4.82, (1, 3, 10)),
    "torch sampled": (12.0, 0.30, 5.4, (1, 3, 10)),
    "fastText": (1.5, 0.25, 6.0, (1, 5, 25)),
    "PECOS XR-Linear": (7.0, 0.34, None, (None,)),
    "napkinXC PLT": (3.0, 0.32, None, (None,)),
    ODD_SYSTEM: (5.0, 0.2, math.nan, (1,)),
    "gensim Word2Vec": (5.0, 0.1, math.inf, (1,)),
}
FAILING = {  # name -> status, reason; on both problems
    "missing system": ("missing", ""),
    "inapplicable system": ("not applicable", "one label a row"),
    "slow system": ("too slow", ""),
    "hungry system": ("no memory", "Unable to allocate 12 GiB"),
    "failing system": ("failed", ODD_REASON),
}
UNRUN = "system without runs"


def problem(name, title):
    sizes = {"n_classes": 20_000, "n_features": 120_000, "n_train": 100_000, "n_test": 5000, "n_unknown": 3}
    return {"name": name, "title": title, "kind": "sparse", "entries_a_row": 5.9, "labels_a_row": 1.0} | sizes


def run(problem, system, repetition=0, *, budget=10, is_main=True, seconds=1.0, p_at_1=0.5, nll=2.0, **changes):
    metrics = {
        "precision@1": p_at_1,
        "precision@3": 0.8 * p_at_1,
        "precision@5": 0.6 * p_at_1,
        "ndcg@5": 0.9 * p_at_1,
        "psp@5": 0.5 * p_at_1,
        "hit@20": min(1.0, 2 * p_at_1),
        "mrr@20": 1.3 * p_at_1,
        "log_loss": nll,
        "calibration_error": None if nll is None else 0.03,
    }
    return {
        "problem": problem,
        "system": system,
        "budget": budget,
        "is_main": is_main,
        "repetition": repetition,
        "status": "ok",
        "reason": "",
        "train_seconds": seconds,
        "train_cpu_seconds": 1.8 * seconds,
        "peak_bytes": 300 << 20,
        "predict_rows_per_second": 2e4,
        "model_bytes": 50 << 20,
        "metrics": metrics,
    } | changes


def failure(problem, system, status, reason, repetition=0):
    about = {"problem": problem, "system": system, "budget": 10, "is_main": True, "repetition": repetition}
    return about | {"status": status, "reason": reason}


def _runs(problem, slower):
    for name, (seconds, p_at_1, nll, budgets) in SYSTEMS.items():
        for i, budget in enumerate(budgets):
            share = 3.0 ** (i + 1 - len(budgets))
            quality = p_at_1 * share**0.1
            for repetition in range(3 if share == 1 else 1):
                yield run(
                    problem,
                    name,
                    repetition,
                    budget=budget,
                    is_main=share == 1,
                    seconds=slower * seconds * share * (1 + 0.05 * repetition),
                    p_at_1=quality * (1 - 0.01 * repetition),
                    nll=nll if nll is None else nll * share**-0.1,
                )
    for name, (status, reason) in FAILING.items():
        yield failure(problem, name, status, reason)


def quality():
    problems = [problem("tokens", "Tokens & more, 20k classes"), problem("odd|<name>", "Odd | <title> of $x$")]
    runs = [r for p, slower in zip(problems, (1.0, 3.0), strict=True) for r in _runs(p["name"], slower)]
    broken = next(r for r in runs if r["system"] == "fastText" and r["repetition"] == 2)
    runs[runs.index(broken)] = failure("tokens", "fastText", "failed", "killed by signal 9", 2)
    systems = [
        {
            "name": name,
            "settings": f'loss="softmax", of {name}',
            "environment": "peers",
            "versions": {} if name in FAILING else {"package": "1.2"},
            "one_thread": name.startswith("scikit-learn"),
        }
        for name in [*SYSTEMS, *FAILING, UNRUN]
    ]
    options = {"quick": True, "repetitions": 3, "n_threads": 2, "limit_seconds": 120, "max_bytes": 6 << 30}
    return {"options": options, "problems": problems, "systems": systems, "runs": runs}


def _points(series, task, places, cost, unit="microseconds a row", **more):
    for x in places:
        y = cost(x)
        record = {"series": series, "task": task, "x": x, "y": y, "low": 0.95 * y, "high": 1.1 * y}
        yield record | {"unit": unit, "rounds": 5} | {name: value(x) for name, value in more.items()}


def curves():
    sizes = [10**3, 10**4, 10**5, 10**6, 10**7]
    quality = {
        "nll": lambda x: 5 + 10 / x**0.5,
        "p_at_1_percent": lambda x: 30 - 20 / x**0.5,
        "epochs": lambda x: 3,
        "n_classes": lambda x: 20_000,
    }
    memory = {"model_bytes": lambda x: 1040 * x}
    return {
        "cost_over_classes": [
            *_points("full softmax, low rank", "training", sizes[:3], lambda x: 5 + x * 2e-3),
            *_points("full softmax, small gradients rounded", "training", sizes[:3], lambda x: 5 + x * 1.5e-3),
            *_points("sampled softmax, low rank", "training", sizes, lambda x: 12 + x**0.2),
            *_points("exact on the support", "training", sizes, lambda x: 9 + x**0.15),
            *_points("linear, dense weights", "training", sizes[:3], lambda x: 2 + x * 3e-3),
            *_points("torch, full softmax", "training", sizes[:3], lambda x: 15 + x * 5e-3),
            *_points("torch, sampled softmax", "training", sizes, lambda x: 40 + x**0.2),
            *_points("top 20, low rank", "prediction", sizes[:4], lambda x: 3 + x * 1e-3),
            *_points("top 20, exact on the support", "prediction", sizes, lambda x: 4 + x**0.1),
            *_points("torch, top 20", "prediction", sizes[:3], lambda x: 9 + x * 3e-3),
        ],
        "cost_over_negatives": [
            *_points("unigram negatives", "training", [64, 256, 1024, 4096], lambda x: 5 + x / 50, **quality),
            *_points("in-batch negatives (default)", "training", [255], lambda x: 8.0, **quality),
            *_points("all classes", "training", [20_000], lambda x: 200.0, **quality),
        ],
        "cost_over_threads": [
            *_points("full softmax, low rank", "training", [1, 2, 4], lambda x: 100 / x**0.95),
            *_points("sampled softmax, low rank", "training", [1, 2, 4], lambda x: 30 / x**0.8),
            *_points("top 20, low rank", "prediction", [1, 2, 4], lambda x: 60 / x**0.94),
        ],
        "memory_over_classes": [
            *_points("full softmax, low rank", "training", sizes[:3], lambda x: 6e7, "bytes", **memory),
            *_points("sampled softmax, low rank", "training", sizes, lambda x: 1e7 + 48 * x, "bytes", **memory),
        ],
        "left_out": [{"series": "linear, dense weights", "x": 10**6, "reason": "memory: takes 186 GiB"}],
        "problem": {
            "n_features": 50_000,
            "entries_a_row": 15,
            "hidden_size": 128,
            "batch_size": 256,
            "n_negatives": 1024,
            "classes_per_feature": 50,
            "top_k": 20,
        },
    }


def _kernel(problem, shape, ours, peers, asked, dtype="float32"):
    return {
        "label": f"{problem} {shape} {dtype}",
        "problem": problem,
        "shape": shape,
        "dtype": dtype,
        "seconds": {"fastsoftmax": ours} | peers,
        "limits": {"read": 0.9 * ours},
        "rounds": 9,
        "peaks": {"fastsoftmax": 1 << 20} | dict.fromkeys(peers, 1 << 24),
        "skipped": {"scipy": "needs 11 GiB | more"},
        "asked": asked,
    }


def kernels():
    rowwise = [
        _kernel("logsumexp", "64 x 1,000,000", 0.01, {"torch": 0.06}, {"torch": 5}),
        _kernel("softmax", "64 x 1,000,000", 0.02, {"torch": 0.03}, {"torch": 2.5}),
    ]
    dense = [_kernel("loss, gradients", "512 x 100,000 x 128", 0.3, {"torch cross_entropy": 0.2}, {"torch": 1})]
    return {"families": {"rowwise": rowwise, "dense": dense}}


def results(**changes):
    machine = [("CPU", "a | <processor>"), ("threads", "2")]
    parts = {"quality": quality(), "curves": curves(), "kernels": kernels()}
    return {name: {"machine": machine} | part for name, part in parts.items()} | changes
