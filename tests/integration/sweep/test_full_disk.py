"""A sweep whose disk is full, for real: the kernel refuses to let its parts grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import resource, sys
import numpy as np, pandas as pd
from workbench.backtest import Signals, strategy
from workbench.sweep import store, sweep
from workbench.errors import SweepError

times = pd.date_range("2020-01-01", periods=200, tz="UTC")
close = 100 + np.cumsum(np.sin(np.arange(200) / 5))
index = pd.MultiIndex.from_product([["A"], times], names=["symbol", "timestamp"])
bars = pd.DataFrame({"open": close, "close": close}, index=index)
calls = 0

@strategy
def shifted(bars: pd.DataFrame, n: int = 5) -> Signals:
    global calls
    calls += 1
    close = bars["close"].unstack("symbol")
    return Signals(close > close.shift(n), close < close.shift(n))

def run(**options):
    return sweep(
        shifted, bars, {"n": range(1, 301)}, store=sys.argv[1], workers=1, progress=False, **options
    )

# Parts of 20 rows fit, one of 200 does not.
store._PART_ROWS = 20
before = resource.getrlimit(resource.RLIMIT_FSIZE)
run_first = sys.argv[2] == "first"
if run_first:
    written = []
    write = store.PartStore.write
    def counted(self, rows):
        if len(written) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1]))
        written.append(rows)
        return write(self, rows)
    store.PartStore.write = counted
try:
    found = run(chunk=20)
except SweepError as error:
    print(type(error).__name__, error)
else:
    print(len(found), found.n_failed, found.estimate.variants, calls)
"""


def run(folder: Path, turn: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), turn],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_a_full_disk_is_told_and_the_next_sweep_does_only_what_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    said = run(folder, "first")
    assert said.startswith("SweepError There is no space left for the sweep in "), said
    assert "finished rows stay" in said
    parts = sorted(path.name for path in folder.glob("*/*.arrow"))
    assert len(parts) == 3
    assert not list(folder.glob("*/*.tmp"))
    rows, failed, left, calls = map(int, run(folder, "again").split())
    assert (rows, failed, left) == (300, 0, 240)
    # Three at most are called once more to time them.
    assert left <= calls <= left + 3
