"""The cost model against arrays and files of real models, numbers computed by hand, and what must grow with what."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from fastsoftmax import SoftmaxClassifier, samplers
from fastsoftmax.benches import cost_model
from fastsoftmax.model.compact import CompactModel
from fastsoftmax.model.model import Model
from fastsoftmax.model.pairs import Pairs
from fastsoftmax.model.runner import Runner
from fastsoftmax.optimizers import SGD, Adagrad
from fastsoftmax.training.watchers.checkpoint import Checkpoint

check, cluster, machine = cost_model.check, cost_model.cluster, cost_model.machine
memory, sizes, tables, work = cost_model.memory, cost_model.sizes, cost_model.tables, cost_model.work
Sizes = sizes.Sizes

SMALL = Sizes(
    n_classes=101, n_features=37, hidden_size=8, entries=3, batch=16, negatives=20, classes_per_feature=4, top_k=5
)
HEADER = 8192  # bytes at most of a file's header
TERMS = [("dense", False), ("dense", True), ("sparse", False), ("sparse", True), (None, True)]
ONE = machine.Machine(cores=1, flops=1e9, bytes=1e9, ram=1e9, network=1e9, latency=0.0, step_seconds=0.0)


def _model(s, direct, low_rank, optimizer):
    pattern = None
    if direct == "sparse":
        ids = np.tile(np.arange(s.classes_per_feature, dtype=np.int32), s.n_features)
        pattern = Pairs(np.arange(s.n_features + 1, dtype=np.int32) * s.classes_per_feature, ids)
    hidden_size, dtype = (s.hidden_size if low_rank else None), np.dtype("f" if s.itemsize == 4 else "d")
    rng = np.random.default_rng(0)
    return Model.initialise(
        s.n_classes, s.n_features, hidden_size, direct, optimizer=optimizer, dense_input=False, rng=rng, dtype=dtype,
        pairs=pattern,
    )  # fmt: skip


def _nbytes(model):
    arrays = [*model.arrays().values(), *(() if model.pairs is None else model.pairs)]
    return sum(a.nbytes for a in arrays)


@pytest.mark.parametrize("direct, low_rank", TERMS)
@pytest.mark.parametrize("itemsize", [4, 8])
def test_bytes_of_a_model_are_those_of_its_arrays(direct, low_rank, itemsize):
    s = SMALL._replace(itemsize=itemsize)
    for name, optimizer in (("adagrad", Adagrad().rule(0.1)), ("sgd", SGD().rule(0.1))):
        assert memory.total(memory.model(s, direct, low_rank, name)) == _nbytes(_model(s, direct, low_rank, optimizer))


@pytest.mark.parametrize("direct, low_rank", TERMS)
@pytest.mark.parametrize("storage", ["bfloat16", "float16", "int8"])
def test_bytes_of_a_compressed_model_are_those_of_its_arrays(direct, low_rank, storage):
    model = CompactModel.of(_model(SMALL, direct, low_rank, SGD().rule(0.1)), storage)
    assert memory.total(memory.compressed(SMALL, storage, direct, low_rank)) == _nbytes(model)


@pytest.mark.parametrize("name", ["uniform", "log_uniform", "unigram", "in_batch", "learned_unigram"])
def test_bytes_of_samplers_are_those_of_their_arrays(name):
    sampler = samplers.make(name, np.arange(1000, 0, -1))
    if name != "in_batch":  # which draws only where a batch is small
        sampler.draw(10, np.random.default_rng(0))
    arrays = [a for a in vars(sampler).values() if isinstance(a, np.ndarray)]
    assert memory.sampler(name, 1000) == sum(a.nbytes for a in arrays)


def _fitted(**parameters):
    rng, s = np.random.default_rng(0), SMALL
    X = sparse.random(400, s.n_features, density=0.1, random_state=1, format="csr", dtype=np.float32)
    y = np.concatenate([np.arange(s.n_classes), rng.integers(0, s.n_classes, 400 - s.n_classes)])
    parameters = {"max_iter": 1, "random_state": 0, "calibration_fraction": 0.0, "n_threads": 1} | parameters
    return SoftmaxClassifier(**parameters).fit(X, y)


@pytest.mark.parametrize("direct, low_rank", [("dense", False), ("sparse", True), (None, True)])
def test_files_are_as_large_as_predicted_but_for_their_header(tmp_path, direct, low_rank):
    s, extra = SMALL._replace(hidden_size=64), 0
    model = _fitted(direct=direct, hidden_size=64 if low_rank else None)
    if direct == "sparse":  # which has the pairs that occur: class id, weight and state; and a prior
        extra = 12 * len(model._model.pairs.class_ids) + 4 * s.n_classes
        s = s._replace(classes_per_feature=0)
    model.save(tmp_path / "model")
    predicted = memory.total(memory.model_file(s, direct, low_rank)) + extra
    assert predicted <= (tmp_path / "model").stat().st_size <= predicted + HEADER


def test_checkpoints_are_as_large_as_predicted_but_for_their_header(tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoint, "remove", lambda self: None)
    options = {"checkpoint": tmp_path / "file", "checkpoint_every": 0.0, "direct": None, "hidden_size": 64}
    options |= {"loss": "sampled_softmax", "normaliser_rate": 0.5, "max_iter": 2}
    _fitted(**options)
    predicted = memory.total(memory.checkpoint(SMALL._replace(hidden_size=64), n_rows=400))
    assert predicted <= (tmp_path / "file").stat().st_size <= predicted + 2 * HEADER


@pytest.mark.parametrize("n_classes", [300, 20_000])
def test_scratch_of_a_step_is_about_that_of_its_workspace(n_classes):
    s = Sizes(n_classes=n_classes, n_features=50, hidden_size=32, entries=5, batch=64, classes_per_feature=1)
    X = sparse.random(s.batch, s.n_features, density=0.1, random_state=0, format="csr", dtype="f")
    runner = Runner(_model(s, None, True, Adagrad().rule(0.1)), X, n_threads=1)
    runner.step(np.arange(s.batch), np.arange(s.batch), Adagrad().rule(0.1))
    predicted = memory.total(memory.head_step(s, s.n_classes))
    assert predicted == pytest.approx(runner.workspace.nbytes, rel=0.1)


def test_hand_computed_memory():
    s = Sizes(n_classes=1_000_000, n_features=100_000)
    parts = memory.model(s)
    assert parts["V"] == 512_000_000 and parts["E"] == 51_200_000 and parts["state.V"] == 4_000_000
    assert memory.total(parts) == 575_600_000  # docs/large_models.md: 576 MB
    assert memory.total(memory.compressed(s, "int8")) == 128_000_000 + 12_800_000 + 4_400_000 + 4_000_000


def test_hand_computed_work():
    s = Sizes(n_classes=1000, n_features=100, hidden_size=10, entries=2, batch=8)
    forward, backward = work.head(s, 1000)
    assert forward.flops == 8 * 1000 * (20 + 16)
    assert forward.bytes == 4 * 1000 * 11 + 4 * 8000
    assert backward.flops == 4 * 8 * 1000 * 10 + 8 * 1000 * 10
    assert backward.bytes == 2 * 4 * 1000 * 11 + 4 * 4 * 1000 + 4 * 8000
    again = work.head(s, 1000, working_memory=4 * 2000)[2]
    assert again.flops == 6000 * 36 and again.bytes == 0.75 * 4 * 1000 * 11


def test_hand_computed_work_of_a_linear_model():
    s = Sizes(n_classes=1000, n_features=100, entries=2, batch=8)
    read, n_kept = 4 * s.batch_features * 1000, 2000
    forward, backward, again = work.linear(s, working_memory=4 * n_kept)
    assert forward.flops == 8000 * (4 + 16) and forward.bytes == pytest.approx(read + 4 * n_kept)
    assert backward.flops == pytest.approx(2 * 8000 * 2 + 8 * s.batch_features * 1000)
    assert backward.bytes == pytest.approx(4 * read + 4 * n_kept)
    assert again.flops == 6000 * (4 + 16) and again.bytes == pytest.approx(0.75 * read)


def test_candidates_are_those_of_all_classes_one_by_one():
    s = Sizes(n_classes=100_000, batch=300, negatives=500)
    ids = np.arange(1, 100_001)
    p, q = ids**-1.0, ids**-0.75
    expected = 300 * p / p.sum() + 500 * q / q.sum()
    assert s.candidates == pytest.approx(np.sum(1 - np.exp(-expected)), rel=1e-4)


def test_distinct_items():
    assert sizes.distinct(1, 1000) == pytest.approx(1.0)
    assert sizes.distinct(10**6, 1) == pytest.approx(1.0, abs=0.05)
    rng, p = np.random.default_rng(0), 1 / np.arange(1, 20_001)
    p /= p.sum()
    simulated = np.mean([len(np.unique(rng.choice(20_000, 2000, p=p))) for _ in range(20)])
    assert sizes.distinct(20_000, 2000) == pytest.approx(simulated, rel=0.02)


@pytest.mark.parametrize("way", [work.full, work.sampled, work.linear, work.top, work.support, work.top_support])
def test_work_grows_with_the_batch_and_full_ones_with_the_classes(way):
    s = Sizes(n_classes=50_000)
    before, larger = work.total(way(s)), work.total(way(s._replace(batch=512)))
    assert larger.flops > before.flops and larger.bytes > before.bytes
    more = work.total(way(s._replace(n_classes=500_000)))
    if way in (work.support, work.top_support):
        assert more == before
    elif way is work.sampled:
        assert before.flops < more.flops < 1.5 * before.flops
    else:
        assert more.flops > 9 * before.flops


def test_time_is_that_of_the_slowest_resource():
    assert machine.phase_seconds(work.Phase("", 2e9, 1e9), ONE) == 2.0
    assert machine.phase_seconds(work.Phase("", 1e9, 3e9), ONE) == 3.0
    assert machine.phase_seconds(work.Phase("", 0, 0, 1e9), ONE) == pytest.approx(9.0)
    assert machine.bound([work.Phase("", 1e9, 3e9)], ONE) == "memory bandwidth"
    assert machine.seconds([work.Phase("", 1e9, 0)], ONE._replace(step_seconds=0.5)) == 1.5


@pytest.mark.parametrize("storage, n_bytes", [("float32", 4 * 10 + 4), ("bfloat16", 2 * 10 + 4), ("int8", 10 + 4 + 4)])
def test_a_single_row_reads_weights_scales_and_biases(storage, n_bytes):
    s = Sizes(n_classes=10**6, n_features=100, hidden_size=10, entries=1, batch=64, top_k=1)
    slow = ONE._replace(flops=1e30)  # so that bytes bind
    features = 8 + s._replace(batch=1).batch_features * (n_bytes - 4)  # one entry; of E no bias
    assert cluster.row_seconds(s, 1, slow, storage) == pytest.approx((10**6 * n_bytes + features) / 1e9, rel=1e-12)


def test_traffic_by_hand():
    s = Sizes(n_classes=1000, hidden_size=10, entries=2, batch=8, negatives=4, top_k=5)
    full = cluster.traffic(cluster.FULL, s, 4)
    assert full == {
        "hidden vectors": 240.0,  # 8 rows x 10 x 4 bytes, three quarters from others
        "rows": 144.0,
        "max, sum, target": 192.0,
        "dh, summed": 480.0,
    }
    assert cluster.traffic(cluster.TOP, s, 4)["each shard's best"] == 8 * (5 * 12 + 16) * 0.75
    assert all(sum(cluster.traffic(way, s, 1).values()) == 0 for way in cluster.WAYS)
    assert all(cluster.messages(way, 1) == 0 for way in cluster.WAYS)
    assert [cluster.messages(way, 64) for way in cluster.WAYS] == [36, 36, 18, 12]
    assert [cluster.messages(way, 5) for way in cluster.WAYS] == [18, 18, 9, 6]  # a gather takes three rounds


def test_all_machines_draw_all_negatives_from_the_table_of_all_classes():
    s = Sizes(n_classes=10**6, negatives=777)
    for n in (1, 64):
        assert sum(p.lookups for p in cluster.phases(cluster.SAMPLED, s, n)) == 777
        assert cluster.memory_per_machine(s, n)[cluster.TRAINING]["sampler, of all classes"] == 24 * 10**6


def test_hand_computed_memory_on_the_support():
    s = Sizes(n_classes=10**8, n_features=10**6, classes_per_feature=1000)
    for n in (1, 64):  # per pair: weight, state, class id, bias and exponential
        expected = 20 * 10**9 // n + 4 * (10**6 + 1) + 12 * -(-(10**8) // n)
        assert memory.total(cluster.support_memory_per_machine(s, n)) == expected


def test_shards_have_less_memory_and_work():
    s = Sizes(n_classes=10**7, n_features=10**5, batch=4096, negatives=4096)
    for storage in cluster.memory_per_machine(s, 1):
        totals = [memory.total(cluster.memory_per_machine(s, n)[storage]) for n in (1, 8, 64)]
        assert totals == sorted(totals, reverse=True)
    for way in cluster.WAYS:
        computing = [cluster.estimate(way, s, n, machine.COMMODITY).compute for n in (1, 8, 64)]
        assert computing == sorted(computing, reverse=True)


def test_the_least_batch_is_least():
    s = Sizes(n_classes=10**8, n_features=10**6, classes_per_feature=1000)
    batch = cluster.least_batch(cluster.SUPPORT, s, 64, machine.COMMODITY)
    at, below = (
        cluster.estimate(cluster.SUPPORT, s._replace(batch=b), 64, machine.COMMODITY) for b in (batch, batch // 2)
    )
    assert at.network < at.compute and below.network >= below.compute
    slow = machine.COMMODITY._replace(network=1.0)
    assert cluster.least_batch(cluster.SUPPORT, s, 64, slow) is None


def test_numbers_as_text():
    assert [tables.number(x) for x in (0, 1234.5, 12.34, 0.01234)] == ["0", "1,230", "12.3", "0.0123"]
    assert tables.size(53_700_000_000) == "53.7 GB" and tables.size(504) == "504 B"
    assert [tables.power(n) for n in (10**8, 1500)] == ["10^8", "1,500"]


@pytest.mark.parametrize(
    "change",
    [{"n_classes": 0}, {"batch": 0}, {"negatives": -1}, {"entries": 38}, {"top_k": 102}, {"classes_per_feature": 102}],
)
def test_sizes_that_make_no_sense_are_errors(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        sizes.checked(SMALL._replace(**change))


def test_other_bad_input():
    with pytest.raises(ValueError, match="storage"):
        memory.compressed(SMALL, "int4")
    with pytest.raises(ValueError, match="direct"):
        memory.model(SMALL, direct="full")
    with pytest.raises(ValueError, match="optimizer"):
        memory.model(SMALL, optimizer="adam")
    with pytest.raises(ValueError, match="sampler"):
        memory.sampler("multi_index", 10)
    with pytest.raises(ValueError, match="way"):
        cluster.estimate("fast", SMALL, 2, machine.COMMODITY)
    with pytest.raises(ValueError, match="machine"):
        cluster.shard(SMALL, 0)
    for name, value in (("flops", 0.0), ("flops", float("nan")), ("latency", float("nan")), ("network", float("inf"))):
        with pytest.raises(ValueError, match=name):
            machine.checked(ONE._replace(**{name: value}))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--classes", "1.5"], "argument --classes: not a whole number: '1.5'"),
        (["--batch", "many"], "argument --batch: not a whole number: 'many'"),
        (["--classes", "inf"], "argument --classes: not a whole number: 'inf'"),
        (["--classes", "1e300"], "argument --classes: must be from 1 to 1e+18"),
        (["--batch", "-5"], "argument --batch: must be from 1 to 1e+18, got -5"),
        (["--machines", "0"], "argument --machines: must be from 1"),
        (["--negatives", "-1"], "argument --negatives: must be from 0"),
        (["--gflops", "-1"], "argument --gflops: must be above 0"),
        (["--gflops", "nan"], "argument --gflops: not a finite number: 'nan'"),
        (["--network", "fast"], "argument --network: not a finite number: 'fast'"),
        (["--latency", "-1"], "argument --latency: must not be negative"),
        (["--entries", "2e6"], "entries must be at most n_features = 1,000,000, got 2,000,000"),
        (["--curves", "/no/such/file"], "argument --curves: /no/such/file: No such file"),
        (["--output", "/no/such/file"], "argument --output: /no/such/file: No such file"),
    ],
)
def test_the_command_names_what_is_wrong(arguments, message, capsys):
    with pytest.raises(SystemExit):
        cost_model.main(arguments)
    error = capsys.readouterr().err
    assert error.startswith("usage: fastsoftmax bench cost-model") and message in error


def test_the_command_s_help_describes_each_option_and_its_default(capsys):
    with pytest.raises(SystemExit):
        cost_model.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for option, default in (("classes", "100000000"), ("machines", "64"), ("batch", "8192"), ("latency", "30.0")):
        assert re.search(rf"--{option} N [^-]*[a-z][^-]* \(default: {default}\)", text), option
    assert "None" not in text


def _curves():
    """Results as `benches.curves` has them."""
    sizes = {"n_features": 50_000, "entries_a_row": 15, "hidden_size": 128, "batch_size": 256}
    sizes |= {"n_negatives": 1024, "classes_per_feature": 50, "top_k": 20}
    rates = {"cores": 2, "flops_per_second": 1e11, "bytes_per_second": 2e10, "available_bytes": None}
    points = [{"series": name, "x": 1000, "y": 10.0, "unit": "microseconds a row"} for name in check.WORK]
    in_memory = [
        {"series": name, "x": 1000, "y": 10**7, "unit": "bytes", "model_bytes": 26_524_000} for name in check.PEAKS
    ]
    return {
        "cost_over_classes": [*points, points[0] | {"series": "torch, full softmax"}],
        "memory_over_classes": in_memory,
        "machine_rates": rates | {"smallest_step_seconds": 1e-4},
        "problem": sizes,
    }


def test_the_command_writes_all_tables(tmp_path):
    (tmp_path / "curves.json").write_text(json.dumps({"curves": _curves()}))
    options = ["--curves", str(tmp_path / "curves.json"), "--output", str(tmp_path / "tables.md")]
    cost_model.main([*options, "--classes", "1e7", "--machines", "8"])
    text = (tmp_path / "tables.md").read_text()
    assert "## Predicted over measured" in text and "## 10^7 classes on 8 machines" in text
    assert "torch" not in text and all(f"| {name} | 10^3 |" in text for name in [*check.WORK, *check.PEAKS])


def test_the_documentation_has_the_tables_and_numbers_of_the_code(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "cost_model.md").read_text()
    cost_model.main(["--output", str(tmp_path / "tables.md")])
    assert (tmp_path / "tables.md").read_text() in text, "python -m benches.cost_model --document docs/cost_model.md"
    s = Sizes(n_classes=10**8, n_features=10**6, batch=8192, negatives=8192)
    assert f"C = {s.candidates:,.0f}; the targets alone are {s._replace(negatives=0).candidates:,.0f} diff" in text
    assert f"the negatives alone {sizes.distinct(10**8, 0, 8192):,.0f}." in text
    assert f"u = u(122,880) = {s.batch_features:,.0f}." in text


def test_the_command_fills_in_a_document(tmp_path, capsys):
    path = tmp_path / "document.md"
    path.write_text("before\n<!-- tables: begin -->\nold\n<!-- tables: end -->\nafter\n")
    for _ in range(2):
        cost_model.main(["--document", str(path)])
        text = path.read_text()
        assert text.startswith("before\n<!-- tables: begin -->\n## 10^8 classes on 64 machines\n")
        assert text.endswith("<!-- tables: end -->\nafter\n") and "old" not in text and text.count("## ") == 1
    path.write_text("no marks")
    with pytest.raises(SystemExit):
        cost_model.main(["--document", str(path)])
    assert "has no <!-- tables" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content, message", [("[1, 2]", "not results"), ("{}", "not results"), ("1 2:3", "not JSON: Extra data")]
)
def test_results_of_something_else_are_an_error(content, message, tmp_path, capsys):
    path = tmp_path / "curves.json"
    path.write_text(content)
    with pytest.raises(SystemExit):
        cost_model.main(["--curves", str(path)])
    assert f"argument --curves: {path}: {message}" in capsys.readouterr().err
