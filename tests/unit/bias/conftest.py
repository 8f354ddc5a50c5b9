"""Small bars for the checks: three random walks, of which one begins late and one has a gap."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.unit.bias.planted import walk


@pytest.fixture(scope="session")
def bars() -> pd.DataFrame:
    """AAA and BBB from 2020-01-01, CCC 40 weekdays later; 320 weekdays."""
    return walk()
