"""The vendors' server, and a sleep that only writes down how long it would have slept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vendors import VendorServer, vendor_server


@pytest.fixture
def vendors() -> Iterator[VendorServer]:
    """A local server that plays the vendors."""
    with vendor_server() as server:
        yield server


@pytest.fixture
def slept() -> list[float]:
    """The waits, in seconds; `sleep=slept.append` waits for nothing."""
    return []
