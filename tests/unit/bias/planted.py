"""Rules that know the future, each in one of the usual ways, and rules that do not; small bars for them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.backtest import Signals, Weights

N_BARS = 320
MONTH = 23
"""The most bars that a month of these has: January 2020, whose every weekday is a bar."""


def walk(symbols: tuple[str, ...] = ("AAA", "BBB", "CCC"), n_bars: int = N_BARS) -> pd.DataFrame:
    """Random walks on weekdays from 2020-01-01 on; the last symbol begins 40 bars later, BBB has a gap."""
    generator = np.random.default_rng(7)
    days = pd.bdate_range("2020-01-01", periods=n_bars, tz="UTC", name="timestamp")
    frames = []
    for place, symbol in enumerate(symbols):
        close = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.02, n_bars)))
        opens = close * np.exp(generator.normal(0.0, 0.01, n_bars))
        frame = pd.DataFrame(
            {
                "open": opens,
                "high": np.maximum(opens, close) * 1.01,
                "low": np.minimum(opens, close) * 0.99,
                "close": close,
                "volume": generator.integers(1_000, 2_000, n_bars).astype(np.float64),
            },
            index=pd.MultiIndex.from_product([[symbol], days], names=["symbol", "timestamp"]),
        )
        if place == len(symbols) - 1 and place:
            frame = frame.iloc[40:]
        elif place == 1:
            frame = frame.drop(frame.index[150:153])
        frames.append(frame)
    return pd.concat(frames)


def panel(bars: pd.DataFrame, field: str = "close") -> pd.DataFrame:
    """One column of the bars, timestamp by symbol."""
    return bars[field].unstack("symbol")


def states(above: pd.DataFrame) -> Signals:
    """In where it is so, out where it is not."""
    return Signals(entries=above, exits=~above)


def months(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """The number of each row's month."""
    return pd.DatetimeIndex(frame.index).tz_localize(None).to_period("M").asi8


# What knows the future.


def next_close(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return states(close.shift(-1) > close)


def return_of_three_bars(bars: pd.DataFrame) -> Weights:
    close = panel(bars)
    return Weights((close.shift(-3) / close - 1.0).clip(-0.2, 0.2))


def next_body(bars: pd.DataFrame) -> Signals:
    return states((panel(bars, "close") > panel(bars, "open")).shift(-1, fill_value=False))


def next_volume(bars: pd.DataFrame) -> Signals:
    volume = panel(bars, "volume")
    return states(volume.shift(-1) > volume)


def centred_mean(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return states(close > close.rolling(11, center=True).mean())


def slope(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    rising = np.gradient(close.to_numpy(), axis=0) > 0
    return states(pd.DataFrame(rising, index=close.index, columns=close.columns))


def z_score(bars: pd.DataFrame) -> Signals:
    returns = panel(bars).pct_change()
    return states((returns - returns.mean()) / returns.std() > 1.0)


def z_score_weights(bars: pd.DataFrame) -> Weights:
    close = panel(bars)
    return Weights(((close - close.mean()) / close.std()).clip(-1.0, 1.0) / 3.0)


def min_max(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return states((close - close.min()) / (close.max() - close.min()) > 0.5)


def whole_quantile(bars: pd.DataFrame) -> Signals:
    returns = panel(bars).pct_change()
    return states(returns > returns.quantile(0.9))


def whole_rank(bars: pd.DataFrame) -> Signals:
    return states(panel(bars).rank(pct=True) > 0.6)


def bottom(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return Signals(entries=close.eq(close.min()), exits=close.eq(close.max()))


def trend_line(bars: pd.DataFrame) -> Signals:
    close = panel(bars).ffill().bfill()
    days = np.arange(len(close), dtype=np.float64)
    line = np.polynomial.polynomial.polyfit(days, close.to_numpy(), 1)
    return states(close < line[0] + np.outer(days, line[1]))


def sparse(bars: pd.DataFrame) -> pd.DataFrame:
    """Closes at rows 0, 13, 26, …; NaN between them."""
    close = panel(bars)
    return close.where(np.broadcast_to((np.arange(len(close)) % 13 == 0)[:, None], close.shape))


def back_filled(bars: pd.DataFrame) -> Signals:
    return states(panel(bars) < sparse(bars).bfill())


def interpolated(bars: pd.DataFrame) -> Signals:
    return states(panel(bars) < sparse(bars).interpolate(limit_area="inside"))


def month_labelled_at_its_start(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return states(close < close.resample("MS").last().reindex(close.index, method="ffill"))


def week_labelled_at_its_start(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    weekly = close.resample("W", label="left", closed="right").last()
    return states(close < weekly.reindex(close.index, method="ffill"))


def mean_of_the_month(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return states(close < close.groupby(months(close)).transform("mean"))


def both_ways(bars: pd.DataFrame) -> Signals:
    """Smoothed forwards and then backwards, as scipy's filtfilt does."""
    close = panel(bars).ffill()
    forwards = close.ewm(span=10).mean()
    return states(close > forwards[::-1].ewm(span=10).mean()[::-1])


def last_bar_of_the_month(bars: pd.DataFrame) -> Weights:
    close = panel(bars)
    last = np.append(np.diff(months(close)) != 0, True)
    return Weights(close.pct_change(5).clip(0.0, 0.3).where(np.broadcast_to(last[:, None], close.shape)))


def share_of_the_length(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    split = int(len(close) * 0.6)
    above = close > close.iloc[:split].mean()
    above.iloc[:split] = False
    return states(above)


def another_symbols_future(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    above = close > close.rolling(10).mean()
    above["BBB"] &= close["AAA"].shift(-2) > close["AAA"]
    return states(above)


def seldom(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    above = close > close.rolling(60).mean()
    crossing = above & ~above.shift(1, fill_value=False)
    return Signals(entries=crossing & (close.shift(-3) > close), exits=~above)


def one_kind(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    above = close > close.rolling(10).mean()
    return Signals(above, ~above, short_entries=close.shift(-2) < close, short_exits=above)


# What does not.


def averages(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return states(close.rolling(10).mean() > close.rolling(30).mean())


def exponential(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return states(close.ewm(span=10).mean() > close.ewm(span=30, adjust=False).mean())


def expanding(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return states((close - close.expanding().mean()) / close.expanding().std() > 1.0)


def ranks(bars: pd.DataFrame) -> Weights:
    ranked = panel(bars).pct_change(20).rank(axis=1, pct=True)
    return Weights(ranked.div(ranked.sum(axis=1), axis=0))


def first_bar_of_the_month(bars: pd.DataFrame) -> Weights:
    close = panel(bars)
    first = np.append(True, np.diff(months(close)) != 0)
    equal = pd.DataFrame(1.0 / close.shape[1], index=close.index, columns=close.columns)
    return Weights(equal.where(np.broadcast_to(first[:, None], close.shape)))


def last_month(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    monthly = close.resample("MS").last().shift(1)
    return states(close > monthly.reindex(close.index, method="ffill"))


def week_labelled_at_its_end(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return states(close > close.resample("W-FRI").last().reindex(close.index, method="ffill"))


def seeded(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    heads = np.random.default_rng(3).random(close.shape) > 0.5
    return states(pd.DataFrame(heads, index=close.index, columns=close.columns))


def volatility(bars: pd.DataFrame) -> Weights:
    deviation = panel(bars).pct_change().rolling(20).std()
    return Weights((0.005 / deviation).clip(upper=0.3))


def channel(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    high, low = panel(bars, "high").rolling(55).max(), panel(bars, "low").rolling(20).min()
    return Signals(entries=close > high.shift(1), exits=close < low.shift(1))


def trailing_stop(bars: pd.DataFrame) -> Signals:
    close = panel(bars)
    return states(close > 0.9 * close.cummax())


def on_tidy_rows(bars: pd.DataFrame) -> Signals:
    mean = bars.groupby("symbol")["close"].transform(lambda close: close.rolling(20).mean())
    above = bars["close"] > mean
    return Signals(entries=above, exits=~above)


CAUSAL = (
    averages,
    exponential,
    expanding,
    ranks,
    first_bar_of_the_month,
    last_month,
    week_labelled_at_its_end,
    seeded,
    volatility,
    channel,
    trailing_stop,
    on_tidy_rows,
)
