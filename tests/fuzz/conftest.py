import pytest
from fuzz import unmended


def pytest_collection_modifyitems(items):
    for item in items:
        if getattr(item, "originalname", item.name) in unmended.TESTS or item.name in unmended.TESTS:
            item.add_marker(pytest.mark.xfail(reason="a known fault", strict=True))
