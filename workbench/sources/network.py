"""What the vendors' sources share: symbols one by one, a vendor's records as rows, its actions as a frame."""

from __future__ import annotations

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from workbench.errors import KeyRefused, SourceError, UnknownSymbol
from workbench.sources.faults import Faults
from workbench.sources.retry import Patience, Reply, Tell
from workbench.sources.source import ROW_COLUMNS, VALUE_COLUMNS, RawBars, Span

__all__ = ["DAILY", "Action", "NetworkSource", "actions_frame", "dates_as_utc", "rows_frame"]

DAILY = "1d"
NEW_YORK = "America/New_York"

Action = tuple[date | str, str, float]
"""Ex date, kind ("split" or "dividend") and value."""

# What vendors use in symbols (BRK.B, ^GSPC, EURUSD=X, M&M.NS, X:BTCUSD); no slash, for it goes into a path.
_SYMBOL = re.compile(r"(?!.*\.\.)[A-Za-z0-9.^=:&_-]{1,32}")
# A record of an action may come late: so far back it is asked for again.
_LATE_ACTIONS = pd.Timedelta(days=30)


class NetworkSource(ABC):
    """Bars from a vendor, one symbol after the other.

    Attributes
    ----------
    vendor : str
        What it is called here; its daily bars are stored under this name, shorter ones under it and their
        length, as ``yahoo_1min``.
    calendar : str
        The exchange whose sessions its bars keep, by its exchange_calendars name.
    intervals : mapping of str to object
        The lengths of bar it gives, and what it calls them.
    limit : int
        Requests a minute that it allows; 0 where it states no limit.
    rescales : bool
        Whether a split changes all of its earlier prices.
    where : str
        Where a key is made, and which settings it goes into; empty where none is needed.

    Parameters
    ----------
    interval : str
        One of `intervals`.
    per_minute : int, optional
        Another limit than the vendor's; 0 for none.
    data_source : str, optional
        Another name to store the bars under.
    on_wait : callable, optional
        Told in words of long waits, and of what had to be left out.
    attempts : int
        How often a request is sent at most.
    sleep : callable
        What waits, in seconds.

    Raises
    ------
    SourceError
        When there is no such interval.
    """

    vendor: ClassVar[str]
    calendar: ClassVar[str] = "XNYS"
    intervals: ClassVar[Mapping[str, Any]]
    limit: ClassVar[int] = 0
    rescales: ClassVar[bool] = False
    where: ClassVar[str] = ""

    def __init__(
        self,
        *,
        interval: str = DAILY,
        per_minute: int | None = None,
        data_source: str | None = None,
        on_wait: Tell | None = None,
        attempts: int = 6,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if interval not in self.intervals:
            raise SourceError(
                f'{self.vendor} has no bars of "{interval}"; it has {", ".join(self.intervals)}'
            )
        self.interval = interval
        self.data_source = data_source or self.usual_name
        self.on_wait = on_wait
        self.patience = Patience(
            self.vendor,
            per_minute=self.limit if per_minute is None else per_minute,
            attempts=attempts,
            on_wait=on_wait,
            sleep=sleep,
        )

    @property
    def daily(self) -> bool:
        """Whether the bars are daily ones."""
        return self.interval == DAILY

    @property
    def usual_name(self) -> str:
        """What its bars are stored under where nobody says otherwise: a series has bars of one length."""
        return self.vendor if self.daily else f"{self.vendor}_{self.interval}"

    @property
    def origin(self) -> str:
        """What the rows are read from: the vendor and the bars' length."""
        return f"{self.vendor} {self.interval}"

    def fetch(
        self,
        symbols: Sequence[str],
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> Iterator[RawBars]:
        """One `RawBars` a symbol, in [start, end), UTC, each as soon as it is there.

        Without `start`, all that the vendor gives of daily bars, and the last 30 days (or what the vendor
        keeps, where that is less) of shorter ones. A symbol that the vendor knows, but has no bars of in
        the range, has empty rows.

        Raises
        ------
        UnknownSymbol
            When it is a symbol's turn that the vendor does not have.
        EmptyRange
            When start is not before end.
        KeyRefused
            When the vendor refuses the key.
        SourceUnreachable
            When it does not answer, however often it is asked.
        SourceError
            When it refuses a request, or answers with something unexpected.
        """
        return self._each(dict.fromkeys(symbols), Span(start, end))

    def _each(self, symbols: Iterable[str], span: Span) -> Iterator[RawBars]:
        for symbol in symbols:
            if not _SYMBOL.fullmatch(symbol):
                raise UnknownSymbol(
                    f'{self.vendor} cannot have the symbol "{symbol}": '
                    "symbols are letters, digits and . - ^ = : & _",
                    symbols=[symbol],
                )
            rows, actions = self._bars(symbol, span)
            yield RawBars(
                symbol,
                self.data_source,
                self.origin,
                span.cut(rows),
                actions_frame(symbol, actions, splits_applied=self.rescales),
            )

    @abstractmethod
    def _bars(self, symbol: str, span: Span) -> tuple[pd.DataFrame, list[Action]]:
        """The rows of a symbol, which may reach beyond the span, and its actions."""

    def _judge(self, reply: Reply) -> Reply:
        """The reply, where it is a good one; else the error that it means."""
        if reply.status < 400:
            return reply
        said = _said(reply.body)
        about_the_plan = any(word in said.lower() for word in ("plan", "subscription"))
        if reply.status == 401 or (reply.status == 403 and not about_the_plan):
            raise KeyRefused(f"{self.vendor} refuses the key ({said}): {self.where}")
        advice = "; ask for another range, or another plan" if reply.status == 403 else ""
        raise SourceError(f"{self.vendor} refuses the request with status {reply.status}: {said}{advice}")

    def _unexpected(self, symbol: str, error: Exception) -> SourceError:
        return SourceError(
            f"{self.vendor} answers for {symbol} with something other than it documents "
            f"({type(error).__name__}: {error}); try again, or update its client package"
        )

    def _need(self, **keys: str | None) -> list[str]:
        """The keys, all there; one that is missing is an error that says where to get and put it."""
        if not all(keys.values()):
            raise KeyRefused(f"the source {self.vendor} needs a key: {self.where}")
        return [str(key) for key in keys.values()]

    @staticmethod
    def _since(span: Span, earliest: str) -> str:
        """The date from which actions are asked for."""
        return earliest if span.start is None else f"{(span.start - _LATE_ACTIONS).date()}"


def rows_frame(
    raw: Sequence[Mapping[str, Any]], timestamps: pd.Series[pd.Timestamp], names: Mapping[str, str]
) -> pd.DataFrame:
    """A vendor's records as the rows of `RawBars`.

    Parameters
    ----------
    raw : sequence of mappings
        One record a bar, fit for JSON.
    timestamps : Series
        datetime64, UTC, one for each record; NaT where unreadable.
    names : mapping of str to str
        Which of a record's keys is open, high, low, close and volume.
    """
    faults = Faults(len(raw))
    columns: dict[str, Any] = {}
    for field in VALUE_COLUMNS:
        found = [record.get(names[field]) for record in raw]
        values = np.full(len(raw), np.nan)
        for position, value in enumerate(found):
            if isinstance(value, int | float) and not isinstance(value, bool):
                values[position] = value
            elif value is None:
                faults.add(position, "missing_value", f"{field} is missing")
            else:
                faults.add(position, "not_a_number", f"{field} is {value!r}, not a number")
        columns[field] = values
    moments = timestamps.dt.as_unit("us").reset_index(drop=True)
    unreadable = moments.isna().to_numpy()
    seconds = pd.DatetimeIndex(moments).asi8 // 1_000_000
    number = pd.Series(np.where(unreadable, np.arange(1, len(raw) + 1), seconds))
    # Two bars of one moment need two numbers, too.
    number += number.groupby(number).cumcount()
    frame = pd.DataFrame({"row": number.astype("int64"), "timestamp": moments, **columns})
    frame["rule"], frame["reason"] = faults.rule, faults.reason
    frame["raw"] = pd.Series([dict(record) for record in raw], dtype=object)
    return frame[list(ROW_COLUMNS)]


def dates_as_utc(moments: pd.Series[pd.Timestamp], timezone: str = NEW_YORK) -> pd.Series[pd.Timestamp]:
    """00:00 UTC of the date that each moment has at the exchange: the stamp of a daily bar."""
    return moments.dt.tz_convert(timezone).dt.tz_localize(None).dt.normalize().dt.tz_localize("UTC")


def actions_frame(symbol: str, actions: Sequence[Action], *, splits_applied: bool) -> pd.DataFrame:
    """Splits and dividends as `RawBars.actions`, one of a kind a day: dividends added, splits multiplied.

    What has no positive value is no action, and left out.
    """
    whole: dict[tuple[str, str], float] = {}
    for day, kind, value in actions:
        if value > 0:
            key = (f"{day}", kind)
            before = whole.get(key)
            whole[key] = value if before is None else before * value if kind == "split" else before + value
    keys = sorted(whole)
    frame = pd.DataFrame(
        {
            "symbol": pd.Series([symbol] * len(keys), dtype="str"),
            "ex_date": pd.to_datetime(pd.Series([day for day, _ in keys], dtype="str")),
            "kind": pd.Series([kind for _, kind in keys], dtype="str"),
            "value": pd.Series([whole[key] for key in keys], dtype="float64"),
            "applied": pd.Series([splits_applied and kind == "split" for _, kind in keys], dtype="bool"),
        }
    )
    frame["ex_date"] = frame["ex_date"].astype("datetime64[s]")
    return frame


def _said(body: bytes | str) -> str:
    """What the vendor says in an error's body: its message where it is JSON with one, else the text."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if isinstance(said, dict):
        for key in ("message", "error"):
            if isinstance(said.get(key), str):
                return str(said[key])
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())[:200] or "without a word"
