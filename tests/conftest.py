import pytest

from fastsoftmax import _rowops


@pytest.fixture(params=_rowops.available())
def isa(request):
    """Every instruction set that this CPU runs, in turn."""
    before = _rowops.selected()
    _rowops.select(request.param)
    yield request.param
    _rowops.select(before)
