"""The warning of symbols without bars: how far their series reach, or which other source has them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from workbench.errors import NoBarsWarning
from workbench.outward import warn
from workbench.services.bar_series import way_to_ingest
from workbench.services.bar_store import SeriesState
from workbench.services.slot_clamp import SlotClamp

__all__ = ["warn_of_none", "warn_of_nothing"]

_SHOWN = 5


def warn_of_none(
    missing: Sequence[str],
    states: Sequence[SeriesState],
    source: str,
    start: int | None,
    end: int | None,
    *,
    clamp: SlotClamp | None = None,
) -> None:
    """Warn, at the caller's line outside of workbench, that these symbols have no bar in `[start, end)`.

    Parameters
    ----------
    missing : sequence of str
        In the order of the text, which describes only the first few one by one.
    states : sequence of SeriesState
        Their series, of every source.
    source : str
        The source that was asked; empty where no source holds a bar of them.
    start, end : int, optional
        Microseconds since 1970, UTC.
    clamp : SlotClamp, optional
        What the run may see; the text says nothing of what it may not.
    """
    holding: dict[str, list[SeriesState]] = {}
    for state in states:
        holding.setdefault(state.symbol, []).append(state)
    told = [_told(symbol, holding.get(symbol, []), source, start, end, clamp) for symbol in missing[:_SHOWN]]
    if len(missing) > _SHOWN:
        told.append(f"and {len(missing) - _SHOWN:,} more, see load_ingestion_status()")
    whose = ", ".join(missing) if len(missing) <= _SHOWN else f"{len(missing):,} symbols"
    where = f" from {_moment(start)}" if start is not None else ""
    where += f" before {_moment(end)}" if end is not None else ""
    if clamp is not None:
        told.append(
            f"this run is for the slot {clamp.slot:%Y-%m-%d %H:%M} UTC and sees only what was complete then"
        )
    _warn(f"no bars of {whose}{where}: {'; '.join(told)}", missing, source)


def warn_of_nothing(source: str, sources: Collection[str]) -> None:
    """Warn that there is no bar at all: of that source, or of any."""
    if sources:
        text = f"no bars are from {source!r}; there are bars from {', '.join(sorted(sources))}"
    else:
        text = f"there are no bars yet; to get some: {way_to_ingest(['AAPL', 'IBM'], 'sample')}"
    _warn(text, [], source)


def _told(
    symbol: str,
    states: Sequence[SeriesState],
    source: str,
    start: int | None,
    end: int | None,
    clamp: SlotClamp | None,
) -> str:
    holding = [state for state in states if state.bars]
    for state in holding:
        if state.source == source:
            if clamp is not None and clamp.hides(state):
                return _reach(state, clamp, symbol)
            beside = (start is not None and start > state.last) or (end is not None and end <= state.first)
            return f"{_reach(state, clamp, symbol)}{'' if beside else ', with a gap there'}"
    if not holding and any(state.revision for state in states):
        return f"all bars of {symbol} were deleted"
    if not holding:
        return (
            f"{symbol} was ingested, but no bar of it is stored; "
            f"wb.data_ingestion.load_data_quality_logs({symbol!r}) says what was refused"
        )
    elsewhere = ", ".join(_reach(state, clamp) for state in holding[:_SHOWN])
    return f"{source} has none of {symbol}, but {elsewhere}"


def _reach(state: SeriesState, clamp: SlotClamp | None, symbol: str = "it") -> str:
    begins = f"{state.source} has {symbol} from {_moment(state.first)}"
    if clamp is None or not clamp.hides(state):
        return f"{begins} to {_moment(state.last)}"
    before = clamp.before(state)
    shown = "none" if before <= state.first else f"those before {_moment(before)}"
    return f"{begins} on, of which the slot shows {shown}"


def _moment(microseconds: int) -> str:
    moment = pd.Timestamp(microseconds, unit="us", tz="UTC")
    return f"{moment:%Y-%m-%d}" if moment == moment.floor("D") else f"{moment:%Y-%m-%d %H:%M} UTC"


def _warn(text: str, symbols: Sequence[str], source: str) -> None:
    warn(NoBarsWarning(text, symbols=symbols, source=source))
