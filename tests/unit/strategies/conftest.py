"""Bars for the strategies' tests: real ones, and those that Stock.Indicators publishes expectations for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture(scope="session")
def quotes(shared_data: Path) -> pd.DataFrame:
    """Stock.Indicators' default quotes: 502 daily bars of 2017 and 2018, without symbol."""
    return pd.read_csv(shared_data / "dirty" / "default.csv", parse_dates=["date"], index_col="date").astype(
        "float64"
    )
