"""Bars to write, which several tests of services share."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

MakeBars = Callable[..., pd.DataFrame]


@pytest.fixture
def make_bars() -> MakeBars:
    """`make_bars("AAPL", days=5, start="2024-01-01", price=10.0)`: flat daily bars as columns."""

    def make(
        symbol: str = "AAPL", *, days: int = 5, start: str = "2024-01-01", price: float = 10.0
    ) -> pd.DataFrame:
        close = price + np.arange(days, dtype=np.float64)
        return pd.DataFrame(
            {
                "symbol": symbol,
                "timestamp": pd.date_range(start, periods=days, tz="UTC").as_unit("us"),
                "open": close,
                "high": close + 0.5,
                "low": close - 0.5,
                "close": close,
                "volume": 100.0,
            }
        )

    return make


@pytest.fixture(scope="module", autouse=True)
def _main_module_as_python_makes_it() -> None:
    """A shell that another test opened may leave one without a spec, and no process starts from that."""
    main = sys.modules["__main__"]
    if not hasattr(main, "__spec__"):
        main.__spec__ = None
