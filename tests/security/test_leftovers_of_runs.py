"""A run, a sweep and a cluster that were killed leave only what the next one of their home sweeps."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.security.leftovers import kill, our_folders, said_by, started
from tests.servers import wait_for
from workbench.home.temporary import LOCK

pytestmark = pytest.mark.timeout(200)

RUN = """
import sys
from pathlib import Path
from workbench.headless.execute import execute_notebook
home, notebook = Path(sys.argv[1]), Path(sys.argv[2])
execute_notebook(notebook, {}, home / "runs" / "one", home=home)
"""
SWEEP = """
import sys, time
from contextlib import nullcontext
from pathlib import Path
import numpy as np, pandas as pd
from workbench.backtest import Signals, strategy, sweep
from workbench.home.temporary import temporaries_in

PAUSE = float(sys.argv[1])

@strategy
def slow(bars, wait: int = 1):
    time.sleep(PAUSE)
    up = bars.close > bars.close.rolling(wait).mean()
    return Signals(up, ~up)

days = pd.date_range("2024-01-01", periods=30, tz="UTC")
close = 100 + np.sin(np.arange(30.0))
index = pd.MultiIndex.from_product([["A"], days], names=["symbol", "timestamp"])
columns = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1.0}
bars = pd.DataFrame(columns, index=index)
with temporaries_in(Path(sys.argv[2])) if len(sys.argv) > 2 else nullcontext():
    found = sweep(slow, bars, {"wait": range(1, 9)}, workers=2, progress=False)
    print(len(found))
"""


def notebook_of(source: str, path: Path) -> Path:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    return path


def test_a_killed_run_leaves_nothing_but_in_its_home_and_the_next_run_sweeps_that(tmp_path: Path) -> None:
    home, tmp = tmp_path / "home", tmp_path / "tmp"
    begun = tmp_path / "begun"
    source = f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(100)"
    process = started(RUN, str(home), str(notebook_of(source, tmp_path / "slow.ipynb")), tmp=tmp)
    wait_for(begun.exists, "the cell runs")
    (left,) = (home / "tmp").iterdir()
    assert {path.name for path in left.iterdir()} >= {"kernel.json", "slow.ipynb"}
    kill(process)
    assert left.exists()
    said_by(RUN, str(home), str(notebook_of("1 + 1", tmp_path / "quick.ipynb")), tmp=tmp)
    assert our_folders(home / "tmp") == []
    assert our_folders(tmp) == []
    assert sorted(path.name for path in (home / "runs" / "one").iterdir()) == ["quick.html", "quick.ipynb"]


@pytest.mark.parametrize("with_home", [True, False])
def test_a_killed_sweep_s_folders_go_with_the_next_sweep(tmp_path: Path, with_home: bool) -> None:
    home, tmp = tmp_path / "home", tmp_path / "tmp"
    words = [str(home)] if with_home else []
    where = home / "tmp" if with_home else tmp
    process = started(SWEEP, "0.5", *words, tmp=tmp)
    wait_for(lambda: where.exists() and len(our_folders(where)) >= 1, "the sweep's folders are there")
    # One for its rows, one for what its processes need; held, for in the moment before a kill leaves it.
    wait_for(
        lambda: sum((where / name / LOCK).exists() for name in our_folders(where)) == 2,
        "the sweep's processes have their shipment",
    )
    kill(process)
    assert len(our_folders(where)) == 2
    assert said_by(SWEEP, "0", *words, tmp=tmp).endswith("8\n")
    assert our_folders(where) == []
    assert our_folders(tmp) == []


def test_a_cluster_of_dask_works_in_its_home_and_leaves_nothing(tmp_path: Path) -> None:
    program = """
import sys, tempfile
from pathlib import Path
from workbench.sweep.executors.dask_cluster import private_cluster
if __name__ == "__main__":
    home = Path(sys.argv[1])
    with private_cluster(1, home) as cluster:
        print([path.name for path in home.glob("tmp/dask-*/*")], flush=True)
        if len(sys.argv) > 2:
            sys.stdin.read()
"""
    home, tmp = tmp_path / "home", tmp_path / "tmp"
    script = tmp_path / "cluster.py"
    script.write_text(program)
    at = repr(str(script))
    run = f"import runpy, sys; sys.argv[0] = {at}; runpy.run_path({at}, run_name='__main__')"
    killed = started(run, str(home), "wait", tmp=tmp)
    assert killed.stdout is not None
    assert "dask-scratch-space" in killed.stdout.readline()
    kill(killed)
    assert len(our_folders(home / "tmp")) == 1
    assert "dask-scratch-space" in said_by(run, str(home), tmp=tmp)
    assert our_folders(home / "tmp") == []
    assert our_folders(tmp) == []
