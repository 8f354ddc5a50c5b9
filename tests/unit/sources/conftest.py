"""Sources on a local server that plays the vendors, with a sleep that only records how long it would last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.sources.members import Opened
from tests.vendors import vendor_server

Open = Callable[[str], Opened]


@pytest.fixture
def open_member(tmp_path: Path) -> Iterator[Open]:
    """`open_member("polygon")`: that source on recorded answers."""
    with vendor_server() as server:
        yield lambda name: Opened(name, tmp_path, server)
