"""docs/torch.md runs as it stands."""

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
PAGE = Path(__file__).parents[3] / "docs" / "torch.md"


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # of torch's own optimisers
def test_the_blocks_of_the_page_run_in_order():
    if not PAGE.exists():
        pytest.skip("no docs beside the tests")
    names = {"__name__": "page"}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert names["loss"] < 8  # ln(5000) is 8.5
    assert names["class_ids"].shape == (8, 5)
    assert names["head"].weight.grad.is_sparse
