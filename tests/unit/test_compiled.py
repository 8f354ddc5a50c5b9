"""What Numba compiled is kept where it can be, and is never older than its source."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from numba.core.dispatcher import Dispatcher

from workbench.db import wire
from workbench.fills import loop
from workbench.fills.execution import Execution
from workbench.fills.layout import lay_out
from workbench.fills.sizing import Percent
from workbench.paths import PACKAGE
from workbench.signals.inputs import read_bars

SQUARE = """
from workbench.compiled import compiled

def square(x):
    return x * x

square = compiled(square)
"""


@pytest.mark.parametrize("module", [loop, wire])
def test_compiled_functions_call_only_those_of_their_own_file(module: ModuleType) -> None:
    """Numba does not notice when one in another file has changed, and would go on with the old one."""
    compiled = {name: one for name, one in vars(module).items() if isinstance(one, Dispatcher)}
    assert len(compiled) > 3
    for one in compiled.values():
        function = one.py_func
        assert function.__code__.co_filename == module.__file__
        for name in function.__code__.co_names:
            called = function.__globals__.get(name)
            if isinstance(called, Dispatcher):
                assert called.py_func.__code__.co_filename == module.__file__, (function, name)


def test_one_compiled_loop_serves_backtests_and_sweeps() -> None:
    """Each kind of arguments is another compilation, of many seconds."""
    loop.compile_all()
    for walk in (loop._walk_signals, loop._walk_weights):
        kinds = {str(kind) for signature in walk.signatures for kind in signature}
        assert not [kind for kind in kinds if kind.startswith("Literal")]


@pytest.mark.parametrize("shared", [False, True])
def test_whatever_the_frames_the_loop_reads_arrays_of_one_kind(shared: bool) -> None:
    times = pd.date_range("2020-01-01", periods=3, tz="UTC")
    index = pd.MultiIndex.from_product([["A", "B"], times], names=["symbol", "timestamp"])
    market = read_bars(pd.DataFrame({"open": 1.0, "close": 1.0}, index=index))
    share = pd.DataFrame(np.full((3, 2), 0.5, order="F"), index=times, columns=["A", "B"])
    layout = lay_out(market, Execution(size=Percent(share), cash_sharing=shared), np.ones((3, 2)))
    for name in ("open", "high", "low", "close", "present", "dividends", "fractions"):
        values = getattr(layout, name)
        assert values.shape == ((1, 3, 2) if shared else (2, 3, 1)), name
        assert values.flags.c_contiguous, name
        assert not values.flags.writeable, name


def test_where_neither_code_nor_user_has_room_it_is_kept_in_the_home(tmp_path: Path) -> None:
    code, home = tmp_path / "code", tmp_path / "home"
    code.mkdir()
    (code / "squares.py").write_text(SQUARE)
    # A file stands where each of the folders would have to be made.
    (code / "__pycache__").write_text("")
    (tmp_path / "cache").write_text("")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", "import squares; print(squares.square(3))"],
        cwd=tmp_path,
        env={
            **environment,
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "WORKBENCH_HOME": str(home),
            "PYTHONPATH": f"{code}:{PACKAGE.parent}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "9\n", done.stderr
    kept = [path.name for path in (home / "cache" / "numba").rglob("*.nbi")]
    assert kept
    assert all(name.startswith("squares.square") for name in kept)
