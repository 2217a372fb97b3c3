"""Comparison of counts with those on record."""

import json
from dataclasses import dataclass

TOLERANCE = 0.05  # counts of the same build differ by less than 0.001


@dataclass(frozen=True)
class Line:
    """One kernel on one instruction set; a count is None where there is none."""

    isa: str
    kernel: str
    recorded: int | None
    measured: int | None

    @property
    def ratio(self):
        return self.measured / self.recorded

    @property
    def verdict(self):
        if self.recorded is None:
            return "not on record"
        if self.measured is None:
            return "no longer measured"
        if self.ratio > 1 + TOLERANCE:
            return "more"
        return "less" if self.ratio < 1 - TOLERANCE else ""

    @property
    def fails(self):
        return self.verdict not in ("", "less")


def lines(recorded, measured):
    """Return a Line for each kernel of either; both are {isa: {kernel: count}}."""
    of = {(isa, kernel): None for counts in (recorded, measured) for isa in counts for kernel in counts[isa]}
    return [
        Line(isa, kernel, recorded.get(isa, {}).get(kernel), measured.get(isa, {}).get(kernel)) for isa, kernel in of
    ]


def report(lines, recorded_with, measured_with):
    """Write a table, and what is to be done."""
    failed = [line for line in lines if line.fails]
    less = [line for line in lines if line.verdict == "less"]
    text = table(lines)
    if failed:
        text += "\n\nFailed: " + "; ".join(f"{line.kernel} ({line.isa}): {line.verdict}" for line in failed) + "."
        text += f"\nA rise above {TOLERANCE:.0%} is to be undone, or to be explained in the commit that records anew."
    if less:
        text += "\n\nFewer instructions: " + ", ".join(f"{line.kernel} ({line.isa})" for line in less) + "."
        text += "\nRecord anew, so that the gain is not lost unseen: fastsoftmax bench instructions record"
    differing = [what for what in measured_with if measured_with[what] != recorded_with.get(what)]
    if differing and (failed or less):
        text += "\n\nCounts depend on how the library was built, and it was built differently:"
        for what in differing:
            text += f"\n  {what}: recorded with {recorded_with.get(what)}, measured with {measured_with[what]}"
    return text


def table(lines):
    width = max(len(line.kernel) for line in lines)
    rows = [f"{'kernel':{width}}  {'ISA':8}  {'recorded':>12}  {'measured':>12}  ratio"]
    for line in lines:
        counts = (f"{'-' if n is None else format(n, ','):>12}" for n in (line.recorded, line.measured))
        ratio = f"{line.ratio:.3f}" if None not in (line.recorded, line.measured) else "    -"
        rows.append(f"{line.kernel:{width}}  {line.isa:8}  {'  '.join(counts)}  {ratio}  {line.verdict}".rstrip())
    return "\n".join(rows)


def load(path):
    """Return the counts of a record, and what they were measured with."""
    record = json.loads(path.read_text())
    return record["instructions"], record["made with"]


def save(path, counts, made_with):
    path.write_text(json.dumps({"made with": made_with, "instructions": counts}, indent=2) + "\n")
