"""What was promoted with the imports of an earlier version runs on."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.backtest import backtest
from workbench.moved import MOVED
from workbench.paths import PACKAGE


@pytest.mark.parametrize("name", sorted(MOVED))
def test_an_old_name_is_the_very_module(name: str) -> None:
    moved = importlib.import_module(name)
    assert moved is importlib.import_module(MOVED[name])
    assert moved.__name__ == MOVED[name]


def test_what_notebooks_of_version_0_4_import() -> None:
    for line in (
        "from workbench.backtest import Bayesian, Grid, Random, Signals, Weights, backtest, strategy, sweep",
        "from workbench.backtest import metrics, vectorbt_portfolio",
        "from workbench.backtest.bias import check_lookahead, check_recursive",
        "from workbench.backtest.overfitting import probability_of_overfitting, reality_check",
        "from workbench.backtest.validation import combinatorial_purged, purged_kfold",
        "from workbench.backtest.validation import validate, walk_forward",
        "from workbench.backtest.signals import SignalArrays",
        "from workbench.backtest.inputs import BarArrays",
    ):
        names: dict[str, object] = {}
        exec(line, names)
        assert all(names.values()), line
    assert callable(backtest)


def test_a_folder_that_an_update_left_behind_does_not_hide_it(tmp_path: Path) -> None:
    """Git deletes a module and leaves its folder, where Python has put something: an empty package."""
    package = tmp_path / "workbench"
    shutil.copytree(PACKAGE.parent / "workbench", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "backtest" / "validation" / "__pycache__").mkdir(parents=True)
    script = "from workbench.backtest.validation import walk_forward; print(walk_forward.__module__)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "workbench.validation.splits", done.stderr


def test_a_name_that_there_never_was_is_refused() -> None:
    with pytest.raises(ImportError):
        importlib.import_module("workbench.backtest.nothing")
