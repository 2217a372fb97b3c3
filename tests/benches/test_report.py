"""The report of benchmarks: its forms, what it says, and that data cannot break them."""

import itertools
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import bench_results
import pytest

from fastsoftmax.benches import report
from fastsoftmax.benches.report import comparison, measures, quality, style, to_html, to_markdown
from fastsoftmax.benches.report.document import BREAK, Bullets, Cell, Heading, Paragraph, Table, prose, strong

VOID = {"meta", "br", "link", "img", "input", "hr"}
PICTURES = {
    "quality_1_tokens",
    "quality_2_odd_name",
    "cost_over_classes",
    "cost_over_negatives",
    "cost_over_threads",
    "memory_over_classes",
    "speedups",
}


SUFFIXES = dict.fromkeys(("cost_over_classes", "speedups"), "png")  # what the README shows


class Page(HTMLParser):
    """What stands in a page: attributes of all elements, and texts of the rows of its tables."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.rows, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    report.write(bench_results.results(), folder)
    return folder


@pytest.fixture(scope="module")
def html(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def markdown(folder):
    return (folder / "RESULTS.md").read_text(encoding="utf-8")


def tables(markdown):
    """Tables as lists of rows of cells."""
    for block in re.split(r"\n\n", markdown):
        if block.startswith("|"):
            yield [re.split(r" (?<!\\)\| ", line[2:-2]) for line in block.splitlines()]


# -- the page --


def test_page_needs_no_network(html, page):
    for tag, attributes in page.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href"):
                assert value.startswith("#"), (tag, name, value)
    assert not re.search(r"@import|https?://|@font-face", html)
    assert all(match.startswith("#") for match in re.findall(r"url\(([^)]*)\)", html))


def test_page_is_accessible(page):
    kinds = [tag for tag, _ in page.elements]
    assert kinds.count("h1") == kinds.count("main") == kinds.count("title") - kinds.count("svg") == 1
    assert ("html", {"lang": "en"}) in page.elements
    assert kinds.count("table") == kinds.count("caption") > 5
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.elements if tag == "th")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    pictures = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(pictures) == len(PICTURES)
    assert all(p["role"] == "img" and p["aria-labelledby"] in ids for p in pictures)
    links = [attributes["href"][1:] for tag, attributes in page.elements if tag == "a"]
    assert links and set(links) <= set(ids)


def test_references_of_inlined_pictures_are_there(html, page):
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    used = re.findall(r'xlink:href="#([^"]+)"|url\(#([^)]+)\)', html)
    assert len(used) > 50
    assert {a or b for a, b in used} <= ids


def test_inlined_pictures_take_the_colours_of_the_page(html, folder):
    assert style.INK in (folder / "pictures" / "memory_over_classes.svg").read_text()
    assert style.INK not in html and style.PAPER not in html
    assert "currentColor" in html and "prefers-color-scheme: dark" in html


def test_data_cannot_break_the_page(html, page):
    assert '<script src="x">' not in html
    assert [attributes for tag, attributes in page.elements if tag == "script"] == [{}]
    assert bench_results.ODD_REASON in "".join(page.text)


def test_pictures(folder):
    folder = folder / "pictures"
    assert {path.name for path in folder.iterdir()} == {f"{name}.{SUFFIXES.get(name, 'svg')}" for name in PICTURES}
    for path in folder.glob("*.svg"):
        ElementTree.parse(path)
        assert path.stat().st_size > 5000
    for path in folder.glob("*.png"):
        png = path.read_bytes()
        assert png.startswith(b"\x89PNG") and len(png) > 8000
    for name in (*bench_results.SYSTEMS, "NLL, nats (less is better)", "Tokens & more, 20k classes"):
        assert name in "".join(ElementTree.parse(folder / "quality_1_tokens.svg").getroot().itertext())


# -- Markdown --


def test_rows_of_a_table_have_as_many_cells_as_its_head(markdown):
    found = list(tables(markdown))
    assert len(found) > 8
    for rows in found:
        assert {len(row) for row in rows} == {len(rows[0])}
        assert all(cell.strip() for row in rows for cell in row)


def test_markdown_escapes():
    assert to_markdown.inline("a | b <c> *d* `e` [f](g) _h_ snake_case\r\n i & j") == (
        r"a \| b \<c> \*d\* \`e\` \[f\](g) \_h\_ snake_case i &amp; j"
    )
    assert to_markdown.inline("> 3") == r"\> 3" and to_markdown.inline("2 > 1") == "2 > 1"
    assert to_markdown.inline(["a", BREAK, strong("b|"), *prose("see `x`")]) == r"a<br>**b\|**see `x`"
    assert to_html.inline(["a<", BREAK, strong("b&"), *prose("see `x`")]) == (
        "a&lt;<br><strong>b&amp;</strong>see <code>x</code>"
    )


def test_both_forms_have_the_same_tables(markdown, page):
    plain = re.compile(r"\*\*|\\|<br>|&amp;|`|\s")
    in_html = [[re.sub(r"\s|&|`|\\", "", cell.replace("**", "")) for cell in row] for row in page.rows]
    in_markdown = [
        [plain.sub("", cell.replace(r"\*", "*")) for cell in row]
        for rows in tables(markdown)
        for row in [rows[0], *rows[2:]]
    ]
    assert len(in_html) == len(in_markdown)
    for a, b in zip(in_html, in_markdown, strict=True):
        assert [cell.replace("*", "") for cell in a] == [cell.replace("*", "") for cell in b[: len(a)]]
        assert set(b[len(a) :]) <= {"-"}


def test_a_row_has_to_fit_its_table():
    with pytest.raises(ValueError, match="does not fit"):
        list(Table("caption", ["a", "b"], [["1", Cell("2", width=2)]]).cells())


# -- what is told --


def test_every_system_and_status_is_told(page):
    told = {
        "missing system": "missing: not installed",
        "inapplicable system": "does not apply: one label a row",
        "slow system": "too slow: > 120 s",
        "hungry system": "no memory: Unable to allocate 12 GiB",
        "failing system": f"failed: {bench_results.ODD_REASON}",
        bench_results.UNRUN: "not measured",
    }
    for name, message in told.items():
        assert page.rows.count([name, message]) == 2  # a cell over all columns, on both problems
    for name in bench_results.SYSTEMS:
        rows = [row for row in page.rows if row[0].startswith(name) and len(row) == 1 + len(measures.MEASURES)]
        assert len(rows) >= 2
        assert all(cell.strip() not in ("", "0", "0.00", "None", "nan") for row in rows for cell in row)
    partial = next(row for row in page.rows if row[0].startswith("fastText ("))
    assert partial[0] == "fastText (2 of 3 repetitions; failed: killed by signal 9)"
    assert partial[-2:] == ["6.0000", "0.0300"]
    nll = {row[0]: row[-2] for row in page.rows if len(row) == 1 + len(measures.MEASURES)}
    assert (nll["PECOS XR-Linear"], nll[bench_results.ODD_SYSTEM], nll["gensim Word2Vec"]) == ("-", "NaN", "∞")


def test_columns_of_several_labels_are_left_out_where_rows_have_one():
    runs = [bench_results.run("tokens", "fastsoftmax full")]
    for known in (True, False):
        if not known:
            del runs[0]["metrics"]["ndcg@5"], runs[0]["metrics"]["psp@5"]
        table = quality.table("caption", [measures.Outcome.of("fastsoftmax full", 10, runs, None)])
        titles = {measure.title for measure in measures.OF_SEVERAL_LABELS}
        assert titles & set(table.header) == (titles if known else set())
        assert len(table.rows[0]) == len(table.header)


@pytest.mark.parametrize("part", ["quality", "curves", "kernels"])
def test_what_was_not_measured_is_said(part):
    blocks = list(report.parts(bench_results.results(**{part: None})))
    said = [i for i, block in enumerate(blocks) if block == Paragraph("Not measured in this run.")]
    assert len(said) == 1
    title = next(title for key, _, title in report.SECTIONS if key == part)
    assert blocks[said[0] - 1] == Heading(title)
    assert [block for block in blocks if isinstance(block, Heading)].count(Heading(title)) == 1


def test_report_of_nothing(tmp_path):
    report.write({"quality": None, "curves": None, "kernels": None}, tmp_path / "new")
    assert (tmp_path / "new" / "RESULTS.md").read_text().count("Not measured in this run.") == 3
    Page((tmp_path / "new" / "report.html").read_text())
    assert not list((tmp_path / "new" / "pictures").iterdir())


def test_asked_figures_that_were_not_reached():
    def bullets(results):
        return [block for block in report.parts(results) if isinstance(block, Bullets)][-1].items

    kernels_only = bench_results.results(quality=None, curves=None)
    misses = [
        "softmax, 64 x 1,000,000: asked ≥ 2.5× torch, measured 1.50",
        "loss, gradients, 512 x 100,000 x 128: asked ≥ 1× torch, measured 0.67",
    ]
    assert bullets(kernels_only) == misses


# -- medians, ranges, comparisons --


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], (3.0, 3.0, 3.0)),
        ([4.0, 1.0, 2.0], (2.0, 1.0, 4.0)),
        ([8.0, 1.0, 2.0, 3.0], (2.5, 1.0, 8.0)),
        ([None, 5.0], (5.0, 5.0, 5.0)),
        ([1.0, math.inf], (math.inf, 1.0, math.inf)),
    ],
)
def test_spread(values, expected):
    assert measures.Spread.of(values) == measures.Spread(*expected)


def test_spread_of_what_is_no_number():
    assert measures.Spread.of([None, None]) is None
    assert math.isnan(measures.Spread.of([1.0, math.nan]).median)


def made_up(runs, *names):
    """Outcomes on the problem "p" of systems of these names, from their runs."""
    systems = [{"name": name} for name in names]
    return list(measures.outcomes({"runs": runs, "systems": systems, "options": {"limit_seconds": 9}}, "p"))


def test_outcomes_are_of_the_main_budget_alone():
    runs = [
        bench_results.run("p", "a", 0, seconds=4.0),
        bench_results.run("p", "a", 1, seconds=2.0),
        bench_results.run("p", "a", 0, seconds=0.1, budget=1, is_main=False),
        bench_results.run("other", "a", 0, seconds=100.0),
        bench_results.failure("p", "b", "too slow", ""),
    ]
    a, b = made_up(runs, "a", "b")
    assert a.spreads[measures.TRAINING] == measures.Spread(3.0, 2.0, 4.0)
    assert (a.budget, a.n_good, a.n_runs, a.complaint) == (10, 2, 2, "")
    assert (b.spreads, b.complaint) == ({}, "too slow: > 9 s")
    points = list(measures.over_budgets({"runs": runs}, "p", "a"))
    assert [(o.budget, o.median(measures.TRAINING), is_main) for o, is_main in points] == [
        (1, 0.1, False),
        (10, 3, True),
    ]


def test_table_has_the_best_in_bold_and_ranges_where_there_are_any():
    runs = [bench_results.run("p", "a", i, seconds=s, p_at_1=0.5) for i, s in enumerate((1.0, 2.0))]
    runs += [bench_results.run("p", "b", 0, seconds=9.0, p_at_1=0.6, nll=None)]
    runs += [bench_results.failure("p", "c", "missing", "")]
    table = quality.table("caption", made_up(runs, "c", "a", "b"))
    rows = [[to_markdown.inline(cell.text) for cell in row] for row in table.cells()]
    column = table.header.index
    assert [row[0] for row in rows] == ["b", "a", "c"]
    assert [row[column("training, s")] for row in rows[:2]] == ["9.00", "**1.50** (1.00–2.00)"]
    assert [row[column("P@1, %")] for row in rows[:2]] == ["**60.00**", "50.00"]
    assert [row[column("NLL")] for row in rows[:2]] == ["-", "2.0000"]  # no best of one
    assert rows[2] == ["c", "missing: not installed"]


OURS = [
    bench_results.run("p", "fastsoftmax a", seconds=4.0, p_at_1=0.30, nll=5.0),
    bench_results.run("p", "fastsoftmax b", seconds=10.0, p_at_1=0.40, nll=4.0),
]


def test_what_is_lost_is_told_against_the_best_of_ours():
    peers = [
        bench_results.run("p", "quick", seconds=2.0, p_at_1=0.20, nll=None),
        bench_results.run("p", "quickest", seconds=1.0, p_at_1=0.35, nll=4.5),
        bench_results.run("p", "exact", seconds=99.0, p_at_1=0.50, nll=4.0),
        bench_results.run("p", "diverged", seconds=99.0, p_at_1=0.01, nll=math.nan),
    ]
    names = [run["system"] for run in OURS + peers]
    told = comparison.losing(made_up(OURS + peers, *names))
    assert told[0] == (
        "Training time: quickest 1.00 s (a factor of 4), quick 2.00 s (a factor of 2); "
        "the best of fastsoftmax, fastsoftmax a, 4.00 s."
    )
    assert "P@1: exact 50.00 % (a factor of 1.25); the best of fastsoftmax, fastsoftmax b, 40.00 %." in told
    assert not any(sentence.startswith(("NLL", "Peak", "Size", "Prediction")) for sentence in told)


def test_nothing_lost_and_nothing_to_compare():
    worse = bench_results.run("p", "worse", seconds=50.0, p_at_1=0.1, nll=9.0)
    assert (
        "Nothing: no peer" in comparison.losing(made_up([*OURS, worse], "fastsoftmax a", "fastsoftmax b", "worse"))[0]
    )
    assert "No peer has a result" in comparison.losing(made_up(OURS, "fastsoftmax a", "worse"))[0]
    assert "No variant of fastsoftmax" in comparison.losing(made_up([worse], "fastsoftmax a", "worse"))[0]


def test_front():
    points = {"slow": (9.0, 0.5), "good": (5.0, 0.5), "beaten": (5.0, 0.4), "fast": (1.0, 0.1), "equal": (1.0, 0.1)}
    runs = [bench_results.run("p", name, seconds=s, p_at_1=p, nll=None) for name, (s, p) in points.items()]
    found = made_up(runs, *points)
    assert [o.system for o in comparison.front(found, measures.P_AT_1)] == ["fast", "equal", "good"]
    assert list(comparison.front_sentences(found)) == [
        "Training time and P@1: fast (1.00 s, 10.00 %), equal (1.00 s, 10.00 %), good (5.00 s, 50.00 %).",
        "Training time and NLL: nobody has both.",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.01234, "0.0123"),
        (7.0, "7.00"),
        (9.96, "10.0"),
        (99.7, "100"),
        (12345.6, "12,346"),
        (math.inf, "∞"),
    ],
)
def test_number(value, text):
    assert measures.number(value) == text


@pytest.mark.parametrize(
    "places", [[0.0, 0.0, 0.0], [0.1, 0.12, 0.9], [0.1, 0.5, 0.9], [0.3, 0.3, 0.35, 0.5, 0.5, 0.52]]
)
def test_labels_are_apart(places):
    apart = style.spread_apart(places, 0.1)
    assert all(b - a >= 0.1 - 1e-12 for a, b in itertools.pairwise(apart))
    assert sum(apart) == pytest.approx(sum(places))
    if all(b - a >= 0.1 for a, b in itertools.pairwise(places)):
        assert apart == pytest.approx(places)


def test_unknown_parts_are_refused(tmp_path):
    with pytest.raises(TypeError, match="no part"):
        to_html.page("title", ["text"], tmp_path)
