"""The guard of instruction counts, without valgrind: what it reads, what it says, and that its kernels run."""

import shutil
from pathlib import Path

import pytest

from fastsoftmax.benches.instructions import RECORD, compare, kernels, main, measure

DUMP = """\
# callgrind format
version: 1
desc: Trigger: Client Request: top k, CSR
positions: line
events: Ir
summary: 1190

ob=/usr/lib/libopenblas.so
fl=???
fn=sgemm
0 1000
cob=/site/fastsoftmax/_rowops.so
cfi=???
cfn=leaf
calls=3 0
0 120

ob=/site/fastsoftmax/_topk.so
fl=???
fn=topk
0 20
0 5
cob=/site/fastsoftmax/_rowops.so
cfi=???
cfn=leaf
calls=1 0
0 40

ob=/site/fastsoftmax/_rowops.so
fl=???
fn=leaf
0 160
fi=other.h
5 5

totals: 1190
"""
MADE_WITH = {"compiler": "GCC: 12.2.0", "Cython": "3.1.0", "valgrind": "3.19.0"}


@pytest.fixture
def counted(monkeypatch):
    """Sets what is measured, instead of measuring it."""

    def set_counts(counts, made_with=MADE_WITH):
        monkeypatch.setattr(measure, "check_tools", lambda: None)
        monkeypatch.setattr(measure, "made_with", lambda: made_with)
        monkeypatch.setattr(measure, "count", lambda isa, dumps: counts[isa])

    return set_counts


@pytest.fixture
def check(counted, tmp_path, capsys):
    """Exit status and output of a check of counts against recorded ones, {kernel: count}, the same for every ISA."""

    def run(recorded, measured, made_with=MADE_WITH):
        path = tmp_path / "counts.json"
        counted({isa: recorded for isa in measure.ISAS})
        assert main(["record", "--counts", str(path)]) == 0
        counted({isa: measured for isa in measure.ISAS}, made_with)
        capsys.readouterr()
        return main(["check", "--counts", str(path)]), capsys.readouterr().out

    return run


def test_only_our_own_objects_count_and_none_twice():
    name, by_object = measure.parse(DUMP)
    assert name == "top k, CSR"
    assert by_object == {
        "/usr/lib/libopenblas.so": 1000,
        "/site/fastsoftmax/_topk.so": 25,
        "/site/fastsoftmax/_rowops.so": 165,
    }
    assert measure.ours(name, by_object, Path("/site/fastsoftmax")) == 190


def test_a_kernel_that_runs_nothing_of_ours_is_an_error():
    with pytest.raises(measure.CannotCount, match=r"top k, CSR.*libopenblas"):
        measure.ours(*measure.parse(DUMP), Path("/elsewhere/fastsoftmax"))


@pytest.mark.parametrize(
    "damage", [("totals: 1190", "totals: 1191"), ("totals: 1190", ""), (measure.TRIGGER, "desc: ")]
)
def test_a_file_that_does_not_add_up_is_an_error(damage):
    with pytest.raises(measure.CannotCount, match="not understood"):
        measure.parse(DUMP.replace(*damage))


@pytest.mark.parametrize(
    ("measured", "status", "verdict"), [(1051, 1, "more"), (1049, 0, ""), (951, 0, ""), (949, 0, "less")]
)
def test_five_per_cent(check, measured, status, verdict):
    assert compare.Line("avx2", "softmax", 1000, measured).verdict == verdict
    found, text = check({"softmax": 1000, "top k": 10_000}, {"softmax": measured, "top k": 10_000})
    assert found == status
    assert ("Failed: softmax (baseline): more; softmax (avx2): more." in text) == (verdict == "more")
    assert ("Record anew" in text) == (verdict == "less")
    row = next(line for line in text.splitlines() if line.startswith("softmax"))
    assert row.split()[1:] == ["baseline", "1,000", format(measured, ","), f"{measured / 1000:.3f}", *verdict.split()]


def test_other_kernels_than_on_record_fail(check):
    status, text = check({"softmax": 1, "old": 2}, {"softmax": 1, "new": 3})
    assert status == 1
    assert "old (avx2): no longer measured" in text and "new (avx2): not on record" in text


def test_an_instruction_set_that_is_not_on_record_fails():
    (line,) = compare.lines({}, {"avx2": {"softmax": 1}})
    assert line.fails and line.verdict == "not on record"


def test_another_compiler_is_named_where_it_may_be_the_reason(check):
    other = MADE_WITH | {"compiler": "GCC: 14.1.0"}
    assert "recorded with GCC: 12.2.0, measured with GCC: 14.1.0" in check({"softmax": 100}, {"softmax": 120}, other)[1]
    assert "14.1.0" not in check({"softmax": 100}, {"softmax": 100}, other)[1]
    assert "built differently" not in check({"softmax": 100}, {"softmax": 120})[1]


@pytest.mark.parametrize("missing", ["valgrind", "cc"])
def test_without_its_tools_it_says_so_and_does_not_pass(missing, monkeypatch, capsys):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(measure.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: None if name == missing else f"/usr/bin/{name}")
    assert main(["check"]) == 2
    assert f"{missing}" in capsys.readouterr().err


def test_without_a_record_it_says_so_and_does_not_pass(tmp_path, capsys):
    assert main(["check", "--counts", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err


def test_a_process_that_fails_is_an_error_that_shows_its_output():
    with pytest.raises(measure.CannotCount, match=r"(?s)status 3.*no such CPU"):
        measure._run([measure.sys.executable, "-c", "print('no such CPU'); raise SystemExit(3)"])


def test_the_record_has_every_kernel_of_every_instruction_set():
    counts, _ = compare.load(RECORD)
    assert {isa: set(names) for isa, names in counts.items()} == {isa: set(kernels.KERNELS) for isa in measure.ISAS}


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_kernels_run_twice(name):
    call = kernels.KERNELS[name]()
    call()
    call()
