"""The real prices of the unit tests, for those that ask another engine in a process of its own."""

from __future__ import annotations

from tests.unit.conftest import aapl, stocks

__all__ = ["aapl", "stocks"]
