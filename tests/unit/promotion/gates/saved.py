"""Signals that two runs saved, for the tests of what is compared."""

from __future__ import annotations

import pandas as pd

from workbench.promotion.gates.capture import KEYS, SIGNALS, Captured
from workbench.promotion.gates.cells import CellNames

CELLS = CellNames({"cells": [{"cell_type": "code", "metadata": {"tags": []}, "source": "# it\nsave()"}]}, {})
Row = tuple[str, str, str, str, str]
"""Symbol, day, signal, strength, pending."""


def captured(*rows: Row, cell: int = 1) -> Captured:
    frame = pd.DataFrame(rows, columns=["symbol", "timestamp", "signal", "strength", "pending"])
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True)
    frame = frame.assign(cell=cell, strategy_id="mine")
    empty = {table: pd.DataFrame(columns=["cell", *key]) for table, key in KEYS.items()}
    return Captured({**empty, SIGNALS: frame}, {"yahoo/A": 1}, (), 1, [], [], [])
