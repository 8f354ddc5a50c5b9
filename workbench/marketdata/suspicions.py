"""The rules by which a bar looks suspicious but may be right: it is stored, and noted with a reason."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from workbench.marketdata.attendance import attendance
from workbench.marketdata.context import BarSeries, Floats, Found, Ints, moment
from workbench.marketdata.refusals import shown

__all__ = ["MOST_NOTES", "SUSPICIONS", "notes"]

SUSPICIONS = (
    "spike",
    "possible_split",
    "split_not_seen",
    "jump",
    "stale",
    "zero_volume",
    "wrong_zone",
    "off_session",
    "gap",
)
"""The names of the rules, in the order in which they are applied."""

MOST_NOTES = 100
"""Maximum notes per rule and check of a series; one more gives the number of the others."""

SPIKE_SCALES = 10.0
"""A spike is further off than this many usual moves: in the daily prices of AAPL, FB, GOOG, IBM, INTC, MSFT
and SPY from 1995 to 2018 only lows of the flash crash of 2010-05-06 are. At 8, ordinary days would be noted
too, and at 3, which Pearson proposes for normal noise, very many."""
LEAST_SPIKE = 0.01
"""A move below 1 % is never a spike, in any series: the granularity of Brownlees and Gallo (2006)."""
UNSCALED_SPIKE = float(np.log(1.5))
"""The threshold of a spike if the series is too short to estimate its usual move."""
UNIT_CHANGE = float(np.log(9.5))
"""A move to about a tenth, or to ten times, and back is a spike in any series."""

SPLIT_SCALES = 5.0
SPLIT_TOLERANCE = 0.05
"""Maximum distance, in log price, of the first open after a split from the split's ratio."""
SPLIT_RATIOS = (1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 100, 1000)
SMALLEST_SPLIT = float(np.log(min(SPLIT_RATIOS))) - SPLIT_TOLERANCE
JUMP = float(np.log(2))
"""A price that at least doubles or halves overnight, and not by a split, is a jump."""

STALE_BARS = 3
"""So many identical bars in a row are noted; of daily bars that moved and traded, already two."""

# The two prices that each price should be near, as text.
NEIGHBOURS = {
    "open": "close before and the bar's own close",
    "high": "bar's open and close",
    "low": "bar's open and close",
    "close": "closes before and after",
}

Mask = npt.NDArray[np.bool_]
HOUR = 3_600_000_000
DAY = 24 * HOUR


def notes(series: BarSeries) -> Iterator[tuple[str, int, str]]:
    """Suspicious new bars: rule, position and reason, at most `MOST_NOTES` + 1 per rule.

    If there are more, the last note gives their number and the time of the last one.
    """
    if len(series) == 0:
        return
    for rule in (_prices, _repeats, _volume, attendance):
        for found in rule(series):
            places: list[int] = found.positions.tolist()
            for position in places[:MOST_NOTES]:
                yield found.rule, position, found.reason(position)
            if len(places) > MOST_NOTES:
                further = len(places) - MOST_NOTES - 1
                reason = found.reason(places[MOST_NOTES])
                rest = f"; and {further:,} more like it, to {moment(series.times[places[-1]])}"
                yield found.rule, places[MOST_NOTES], reason + (rest if further else "")


def _prices(series: BarSeries) -> Iterator[Found]:
    if len(series) < 2:
        return
    last, following = _before(series.close), np.append(series.close[1:], np.nan)
    # Each price with the two that it should be near: it is a spike if far from both, on the same side.
    near: dict[str, tuple[Floats, Floats]] = {
        "open": (last, series.close),
        "high": (series.open, series.close),
        "low": (series.open, series.close),
        "close": (last, following),
    }
    spikes = {name: _far_off(series, getattr(series, name), *pair) for name, pair in near.items()}

    def describe(position: int) -> str:
        return "; ".join(
            f"{name} {shown(getattr(series, name)[position])} is far off {shown(pair[0][position])} and "
            f"{shown(pair[1][position])}, the {NEIGHBOURS[name]}: beyond {SPIKE_SCALES:.0f} usual moves"
            f"{_unit(getattr(series, name)[position] / pair[0][position])}"
            for name, pair in near.items()
            if spikes[name][position]
        )

    def spike(position: int) -> str:
        reasons = [describe(position)]
        if position == series.fresh and position and spikes["close"][position - 1]:
            reasons.insert(
                0, f"the bar before, of {moment(series.times[position - 1])}: {describe(position - 1)}"
            )
        return "; ".join(reason for reason in reasons if reason)

    odd = np.logical_or.reduce(list(spikes.values()))
    # Whether the last stored bar was a spike is only known with the first new bar, so it is noted there.
    if 0 < series.fresh < len(series):
        odd[series.fresh] |= spikes["close"][series.fresh - 1]
    yield Found("spike", _new(series, odd), spike)
    yield from _levels(series, spikes["close"])


def _levels(series: BarSeries, spikes: Mask) -> Iterator[Found]:
    """Prices that stay at a new level: splits and jumps."""
    opening, moved = np.log(series.open / _before(series.close)), np.log(series.close / _before(series.close))
    explained, unseen = _splits(series, opening)
    with np.errstate(invalid="ignore"):
        # Not a new level: an open that the close reverses, and a move to a spike or back.
        stays = (np.sign(opening) == np.sign(moved)) & (np.abs(moved) >= np.abs(opening) / 2)
        stays &= ~spikes & ~np.append(False, spikes[:-1]) & ~explained
        large = np.flatnonzero(stays & (np.abs(opening) >= SMALLEST_SPLIT))
    size, scales = np.abs(opening[large]), series.scale(large)
    logs = np.log(np.array(SPLIT_RATIOS))
    nearest = np.argmin(np.abs(size[:, None] - logs), axis=1) if len(large) else large
    simple = np.abs(size - logs[nearest]) <= SPLIT_TOLERANCE
    simple &= ~(size <= SPLIT_SCALES * scales)
    ratio = dict(zip(large.tolist(), nearest.tolist(), strict=True))

    def change(position: int) -> str:
        factor = series.open[position] / series.close[position - 1]
        return (
            f"open {shown(series.open[position])} after a close of {shown(series.close[position - 1])}: "
            f"{factor:.4g} times as much"
        )

    def split(position: int) -> str:
        new, old = float(SPLIT_RATIOS[ratio[position]]).as_integer_ratio()
        down = opening[position] < 0
        kind = f"a split {new}:{old}" if down else f"a reverse split {old}:{new}"
        unit = ", or a change of unit," if old == 1 and new in (10, 100, 1000) else ""
        return f"{change(position)}, as {kind}{unit} would make it; no corporate action explains it"

    def missed(position: int) -> str:
        return (
            f"{change(position)}, though a split of {unseen[position]:g} new shares for one takes effect: "
            "either the prices are adjusted for it, or there was none"
        )

    yield Found("possible_split", _new(series, large[simple]), split)
    yield Found("split_not_seen", _new(series, np.array(sorted(unseen), dtype=np.int64)), missed)
    wild = ~simple & (size >= JUMP) & ~(size <= SPIKE_SCALES * scales)
    yield Found("jump", _new(series, large[wild]), lambda p: f"{change(p)}, and it stays there")


def _splits(series: BarSeries, opening: Floats) -> tuple[Mask, dict[int, float]]:
    """Which steps known splits explain, and which splits have no step, with their ratios."""
    explained = np.zeros(len(series), dtype=bool)
    unseen: dict[int, float] = {}
    stamps = series.times.asi8
    for ex_date, ratio in zip(series.ex_dates.tolist(), series.ratios.tolist(), strict=True):
        at = int(np.searchsorted(stamps, ex_date))
        if not 0 < at < len(stamps):
            continue
        step = -float(np.log(ratio))
        # Intraday, any bar of the session may have the step; in UTC a session may begin the day before.
        reach = (at, at) if series.daily else np.searchsorted(stamps, [ex_date - 14 * HOUR, ex_date + DAY])
        first, end = max(int(reach[0]), 1), max(int(reach[1]), at + 1)
        nearest = first + int(np.argmin(np.abs(opening[first:end] - step)))
        if abs(opening[nearest] - step) < abs(opening[nearest]):
            explained[nearest] = True
        elif abs(step) >= SMALLEST_SPLIT:
            unseen[at] = ratio
    return explained, unseen


def _repeats(series: BarSeries) -> Iterator[Found]:
    columns = (series.open, series.high, series.low, series.close, series.volume)
    whole = np.append(False, np.logical_and.reduce([np.diff(own) == 0 for own in columns]))
    idle = np.append(False, np.diff(series.close) == 0) & (series.volume == 0)
    again = whole | idle
    place = np.arange(len(series))
    run = place - np.maximum.accumulate(np.where(again, 0, place))
    pair = (run == 1) & whole & (series.volume > 0) & (series.high > series.low) & series.daily
    # Once per run, at the bar that makes it long enough: so notes do not depend on how bars are split up.
    odd = pair | ((run == STALE_BARS - 1) & ~np.append(False, pair[:-1]))

    def reason(position: int) -> str:
        first = position - int(run[position])
        breaks = np.flatnonzero(~again[position:])
        last = position + (int(breaks[0]) if len(breaks) else len(series) - position) - 1
        what = "close and no volume" if idle[position] else "open, high, low, close and volume"
        return f"{last - first + 1} bars in a row from {moment(series.times[first])} have the same {what}"

    yield Found("stale", _new(series, odd), reason)


def _volume(series: BarSeries) -> Iterator[Found]:
    # A series mostly without volume, such as an index, is not noted.
    traded = np.count_nonzero(series.volume) * 2 > len(series)
    odd = (series.volume == 0) & (series.high > series.low) & traded
    yield Found(
        "zero_volume",
        _new(series, odd),
        lambda p: f"volume is 0, yet the price moved from {shown(series.low[p])} to {shown(series.high[p])}",
    )


def _far_off(series: BarSeries, values: Floats, one: Floats, other: Floats) -> Mask:
    """Which prices are far from both neighbours, on the same side, while the neighbours agree."""
    from_one, from_other = np.log(values / one), np.log(values / other)
    with np.errstate(invalid="ignore"):
        off = np.minimum(np.abs(from_one), np.abs(from_other))
        peak = (from_one * from_other > 0) & (np.abs(from_one - from_other) <= off) & (off >= LEAST_SPIKE)
    places = np.flatnonzero(peak)
    usual = series.scale(places)
    limit = np.where(np.isnan(usual), UNSCALED_SPIKE, np.minimum(SPIKE_SCALES * usual, UNIT_CHANGE))
    far = np.zeros(len(values), dtype=bool)
    far[places[off[places] > limit]] = True
    return far


def _unit(factor: float) -> str:
    tens = round(float(np.log10(factor)))
    if tens == 0 or abs(np.log(factor) - tens * np.log(10)) > SPLIT_TOLERANCE:
        return ""
    return f"; about {shown(10.0**tens)} times as much: a slip of the unit or the decimal point?"


def _before(values: Floats) -> Floats:
    return np.append(np.nan, values[:-1])


def _new(series: BarSeries, odd: Mask | Ints) -> Ints:
    places = np.flatnonzero(odd) if odd.dtype == np.bool_ else odd.astype(np.int64)
    return places[places >= series.fresh]
