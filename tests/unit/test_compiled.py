"""What Numba compiled is never older than its source, and is compiled once for all callers."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from numba.core.dispatcher import Dispatcher

from workbench.db import wire
from workbench.fills import lines, loop, pairing
from workbench.fills.execution import Execution
from workbench.fills.layout import lay_out
from workbench.fills.sizing import Percent
from workbench.signals.inputs import read_bars


@pytest.mark.parametrize("module", [loop, pairing, wire])
def test_compiled_functions_call_only_those_of_their_own_file(module: ModuleType) -> None:
    """Numba does not notice a change of a function in another file, and would run the old one."""
    compiled = {name: one for name, one in vars(module).items() if isinstance(one, Dispatcher)}
    assert len(compiled) > 1
    for one in compiled.values():
        function = one.py_func
        assert function.__code__.co_filename == module.__file__
        for name in function.__code__.co_names:
            called = function.__globals__.get(name)
            if isinstance(called, Dispatcher):
                assert called.py_func.__code__.co_filename == module.__file__, (function, name)


def test_what_a_line_says_is_the_same_to_all_who_read_it() -> None:
    """Compiled functions keep the numbers that they were compiled with, so each file states them."""
    assert (pairing._BUY, pairing._DIVIDEND) == (lines.BUY, lines.DIVIDEND)
    assert (loop._BUY, loop._SELL, loop._DIVIDEND) == (lines.BUY, lines.SELL, lines.DIVIDEND)


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
