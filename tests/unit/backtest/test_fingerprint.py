"""The fingerprint of what was traded: equal inputs have the same, any change of the outcome another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.signals.sketches import bars
from workbench.backtest import fingerprint
from workbench.backtest.fingerprint import Fingerprint
from workbench.signals.decisions import Decisions
from workbench.signals.inputs import BarArrays, read_bars


def known(market: BarArrays, *, enter: int = 1, ranges: bool = False, dividends: Any = None) -> str:
    decided = Decisions(
        np.full(market.present.shape, enter, dtype=np.int8),
        np.zeros(market.present.shape, dtype=np.bool_),
        np.zeros(market.present.shape, dtype=np.bool_),
    )
    return Fingerprint(market, decided, ranges=ranges, dividends=dividends).hexdigest()


@pytest.fixture(params=["at once", "in a thread"])
def somehow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in a thread":
        monkeypatch.setattr(fingerprint, "_WORTH_A_THREAD", 0)


@pytest.mark.usefixtures("somehow")
def test_it_tells_apart_whatever_decides_the_outcome() -> None:
    frame = bars(A=[10.0, 11.0, 12.0], B=[20.0, 21.0, 22.0])
    market = read_bars(frame)
    first = known(market)
    assert len(first) == 64
    assert first == known(read_bars(frame.sample(frac=1.0, random_state=1))), "the order of rows is none"
    others = [
        known(market, enter=-1),
        known(market, ranges=True),
        known(market, dividends=np.ones((3, 2))),
        known(read_bars(frame.rename({"A": "C"}, level="symbol"))),
        known(read_bars(frame.assign(open=frame["open"] + 0.5))),
        known(read_bars(frame.assign(close=frame["close"] + 0.5))),
    ]
    assert len({first, *others}) == 1 + len(others)
    assert first == known(read_bars(frame.assign(volume=1.0))), "volume fills nothing"
    higher = read_bars(frame.assign(high=frame["high"] + 5.0))
    assert first == known(higher), "without stops nothing looks at the range"
    assert known(market, ranges=True) != known(higher, ranges=True)


def test_what_goes_wrong_in_the_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Fingerprint, arrays: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(fingerprint, "_WORTH_A_THREAD", 0)
    monkeypatch.setattr(Fingerprint, "_update", fail)
    with pytest.raises(MemoryError):
        known(read_bars(bars(A=[10.0, 11.0])))
