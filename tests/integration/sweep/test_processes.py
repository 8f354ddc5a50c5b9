"""Sweeps in several processes: strategies of a notebook, and a store that survives a kill and two at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd

from tests.unit.sweep.conftest import two_years
from tests.unit.sweep.test_sweep import parts_of, quick
from workbench.backtest import Signals, strategy

__all__ = ["two_years"]


def test_a_strategy_of_a_notebook_runs_in_processes(tmp_path: Path) -> None:
    script = tmp_path / "notebook.py"
    script.write_text(
        """
import numpy as np, pandas as pd
from workbench.backtest import Signals, strategy, sweep

times = pd.date_range("2020-01-01", periods=200, tz="UTC")
close = 100 + np.cumsum(np.sin(np.arange(200) / 5))
bars = pd.DataFrame(
    {"open": close, "close": close},
    index=pd.MultiIndex.from_product([["A"], times], names=["symbol", "timestamp"]),
)
HELPED = 1

def shifted(close, n):
    return close.shift(n * HELPED)

@strategy
def mine(bars: pd.DataFrame, n: int = 5) -> Signals:
    close = bars["close"].unstack("symbol")
    return Signals(close > shifted(close, n), close < shifted(close, n))

if __name__ == "__main__":
    found = sweep(mine, bars, {"n": range(1, 9)}, workers=2, progress=False)
    print(found.estimate.place, len(found), found.n_failed)
"""
    )
    words = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr) == ("processes 8 0\n", "")


KILLED = """
import os, signal, sys
import pandas as pd
from workbench.backtest import Signals, strategy, sweep
from workbench.sweep import store

store._PART_ROWS = 1
bars = pd.read_pickle(sys.argv[1])

@strategy
def momentum(bars: pd.DataFrame, n: int = 5) -> Signals:
    # The third chunk's turn: gone without a word.
    if n == 22 and sys.argv[3] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    close = bars["close"].unstack("symbol")
    return Signals(close > close.shift(n), close < close.shift(n))

found = sweep(momentum, bars, {"n": range(2, 42)}, store=sys.argv[2], workers=1, chunk=10, progress=False)
print(found.estimate.variants)
found.frame.to_pickle(sys.argv[2] + "/" + sys.argv[3] + ".pkl")
"""


@strategy
def plain_momentum(bars: pd.DataFrame, n: int = 5) -> Signals:
    """The rule of the scripts."""
    close = bars["close"].unstack("symbol")
    return Signals(close > close.shift(n), close < close.shift(n))


def run_script(tmp_path: Path, script: str, *arguments: str) -> subprocess.Popen[str]:
    (tmp_path / "script.py").write_text(script)
    return subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), *arguments], stdout=subprocess.PIPE, text=True
    )


def test_a_killed_sweep_goes_on_where_it_was(two_years: pd.DataFrame, tmp_path: Path) -> None:
    bars, folder = str(tmp_path / "bars.pkl"), str(tmp_path / "store")
    two_years.loc[["IBM"]].to_pickle(bars)
    died = run_script(tmp_path, KILLED, bars, folder, "die")
    died.communicate(timeout=120)
    assert died.returncode == -signal.SIGKILL
    finished = parts_of(Path(folder))
    assert finished
    resumed = run_script(tmp_path, KILLED, bars, folder, "resume")
    assert int(resumed.communicate(timeout=120)[0]) == 20
    whole = quick(plain_momentum, two_years.loc[["IBM"]], {"n": range(2, 42)})
    pd.testing.assert_frame_equal(pd.read_pickle(f"{folder}/resume.pkl"), whole.frame)


def test_two_processes_at_once_do_no_harm(two_years: pd.DataFrame, tmp_path: Path) -> None:
    bars, folder = str(tmp_path / "bars.pkl"), str(tmp_path / "store")
    two_years.loc[["IBM"]].to_pickle(bars)
    both = [run_script(tmp_path, KILLED, bars, folder, name) for name in ("one", "other")]
    assert [process.wait(120) for process in both] == [0, 0]
    for process in both:
        process.communicate()
    pd.testing.assert_frame_equal(*(pd.read_pickle(f"{folder}/{name}.pkl") for name in ("one", "other")))
    assert not list(Path(folder).glob("*/*.tmp"))
