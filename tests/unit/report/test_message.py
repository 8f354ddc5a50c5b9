"""The picture for messages: of one size, with nothing cut at its edges, and with any title."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.backtest import BacktestResult, backtest
from workbench.drawing.colours import LIGHT
from workbench.report.message import message_png


@pytest.fixture(scope="module")
def result(aapl: pd.DataFrame) -> BacktestResult:
    above = aapl["close"].rolling(20).mean() > aapl["close"].rolling(100).mean()
    return backtest(aapl, above, ~above)


Pixels = npt.NDArray[np.int64]


def _pixels(png: bytes) -> Pixels:
    import matplotlib.image  # A second, which is the figure's alone.

    image = matplotlib.image.imread(io.BytesIO(png), format="png")
    return np.asarray(np.rint(np.asarray(image)[..., :3] * 255), dtype=np.int64)


def _has(pixels: Pixels, colour: str) -> bool:
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return bool((np.abs(pixels - wanted).max(axis=-1) <= 2).any())


def test_it_is_1200_by_900_and_draws_strategy_benchmark_and_drawdown(result: BacktestResult) -> None:
    pixels = _pixels(message_png(result, title="AAPL", verdict="Luck."))
    assert pixels.shape == (900, 1200, 3)
    assert (pixels[0, 0] == 255).all()
    for colour in (LIGHT.strategy, LIGHT.benchmark, LIGHT.loss, LIGHT.gain):
        assert _has(pixels, colour)


def test_nothing_is_cut_at_the_edges(result: BacktestResult) -> None:
    words = "a verdict that goes on and on; " * 20
    pixels = _pixels(message_png(result, title="A very long title of a backtest " * 5, verdict=words))
    for edge in (pixels[:8], pixels[-8:], pixels[:, :24], pixels[:, -24:]):
        assert (edge == 255).all()


@pytest.mark.parametrize("title", ["$x^2$ and $", "策略 🚀", "", "a_b^c{d}\\frac"])
def test_any_title_can_be_drawn(result: BacktestResult, title: str) -> None:
    assert message_png(result, title=title, verdict="50 % of $10 is $5.").startswith(b"\x89PNG")
