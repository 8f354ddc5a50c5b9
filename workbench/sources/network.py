"""The base class of the vendors' sources; converts their records to rows and their actions to a frame."""

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

# Characters of vendors' symbols (BRK.B, ^GSPC, EURUSD=X, M&M.NS, X:BTCUSD); no slash, as it is put in a URL.
_SYMBOL = re.compile(r"(?!.*\.\.)[A-Za-z0-9.^=:&_-]{1,32}")
# Vendors may record an action late, so actions are requested again this far back.
_LATE_ACTIONS = pd.Timedelta(days=30)


class NetworkSource(ABC):
    """Bars from a vendor, one symbol after the other.

    Attributes
    ----------
    vendor : str
        The source's name; its daily bars are stored under it, shorter ones under it and their length, as
        ``yahoo_1min``.
    calendar : str
        The exchange of its bars, by its exchange_calendars name.
    intervals : mapping of str to object
        The lengths of bars it has, and the vendor's names for them.
    limit : int
        Requests a minute that the vendor allows; 0 if it states no limit.
    rescales : bool
        Whether a split changes all of the vendor's earlier prices.
    where : str
        Where to create a key, and which settings to put it in; empty if none is needed.

    Parameters
    ----------
    interval : str
        One of `intervals`.
    per_minute : int, optional
        A limit other than the vendor's; 0 for none.
    data_source : str, optional
        Another name to store the bars under.
    on_wait : callable, optional
        Called with a text about each long wait, and about data that had to be left out.
    attempts : int
        Maximum attempts per request.
    sleep : callable
        Used to wait, in seconds.

    Raises
    ------
    SourceError
        There is no such interval.
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
        """The default data source name of its bars, with their length: a series has bars of one length."""
        return self.vendor if self.daily else f"{self.vendor}_{self.interval}"

    @property
    def origin(self) -> str:
        """The origin of the rows: the vendor and the bars' length."""
        return f"{self.vendor} {self.interval}"

    def fetch(
        self,
        symbols: Sequence[str],
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> Iterator[RawBars]:
        """One `RawBars` per symbol, in [start, end), UTC, each as soon as it is fetched.

        Without `start`: all daily bars that the vendor has, or the last 30 days (less if the vendor keeps
        less) of shorter ones. A symbol that the vendor has, but without bars in the range, has empty rows.

        Raises
        ------
        UnknownSymbol
            The vendor does not have a symbol; raised when that symbol is fetched.
        EmptyRange
            start is not before end.
        KeyRefused
            The vendor refuses the key.
        SourceUnreachable
            The vendor does not answer after all attempts.
        SourceError
            The vendor refuses a request, or its reply is not as documented.
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
                interval=self.interval,
            )

    @abstractmethod
    def _bars(self, symbol: str, span: Span) -> tuple[pd.DataFrame, list[Action]]:
        """The rows of a symbol, which may exceed the span, and its actions."""

    def _judge(self, reply: Reply) -> Reply:
        """Return a successful reply; else raise the matching error."""
        if reply.status < 400:
            return reply
        message = _message(reply.body)
        about_the_plan = any(word in message.lower() for word in ("plan", "subscription"))
        if reply.status == 401 or (reply.status == 403 and not about_the_plan):
            raise KeyRefused(f"{self.vendor} refuses the key ({message}): {self.where}")
        advice = "; use another range, or another plan" if reply.status == 403 else ""
        raise SourceError(f"{self.vendor} refuses the request with status {reply.status}: {message}{advice}")

    def _unexpected(self, symbol: str, error: Exception) -> SourceError:
        return SourceError(
            f"the reply of {self.vendor} for {symbol} is not as documented "
            f"({type(error).__name__}: {error}); try again, or update its client package"
        )

    def _need(self, **keys: str | None) -> list[str]:
        """The keys; raises if one is missing, with advice where to get it and where to set it."""
        if not all(keys.values()):
            raise KeyRefused(f"the source {self.vendor} needs a key: {self.where}")
        return [str(key) for key in keys.values()]

    @staticmethod
    def _since(span: Span, earliest: str) -> str:
        """The date from which actions are requested."""
        return earliest if span.start is None else f"{(span.start - _LATE_ACTIONS).date()}"


def rows_frame(
    raw: Sequence[Mapping[str, Any]], timestamps: pd.Series[pd.Timestamp], names: Mapping[str, str]
) -> pd.DataFrame:
    """Convert a vendor's records to the rows of `RawBars`.

    Parameters
    ----------
    raw : sequence of mappings
        One record per bar, JSON-serialisable.
    timestamps : Series
        datetime64, UTC, one for each record; NaT if unreadable.
    names : mapping of str to str
        Open, high, low, close and volume to the record's keys.
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
    # Two bars with the same timestamp need different row numbers.
    number += number.groupby(number).cumcount()
    frame = pd.DataFrame({"row": number.astype("int64"), "timestamp": moments, **columns})
    frame["rule"], frame["reason"] = faults.rule, faults.reason
    frame["raw"] = pd.Series([dict(record) for record in raw], dtype=object)
    return frame[list(ROW_COLUMNS)]


def dates_as_utc(moments: pd.Series[pd.Timestamp], timezone: str = NEW_YORK) -> pd.Series[pd.Timestamp]:
    """00:00 UTC of each moment's date in the exchange's time zone: the timestamp of a daily bar."""
    return moments.dt.tz_convert(timezone).dt.tz_localize(None).dt.normalize().dt.tz_localize("UTC")


def actions_frame(symbol: str, actions: Sequence[Action], *, splits_applied: bool) -> pd.DataFrame:
    """Splits and dividends as `RawBars.actions`; those of one kind and day are added (multiplied for splits).

    Actions without a positive value are left out.
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


def _message(body: bytes | str) -> str:
    """The message in an error's body: the one in its JSON if it has one, else the text."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        for key in ("message", "error"):
            if isinstance(parsed.get(key), str):
                return str(parsed[key])
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())[:200] or "no message"
