"""Display of frames in notebooks and IPython: midnights as dates, run ids short but copied whole.

Times of writing (`created_at` and so on) are shown to the second.

Only the display is changed: the frames keep their index, time zone and ids, and `to_html`, `print`, Styler
and subclasses of DataFrame are as in pandas.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["frame_html", "frame_text", "plain_frames", "short_frames"]

_IN_A_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_SHORT_ID = 8
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_TIME = r"\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d:\d\d)?)?"
_CELL = re.compile(rf"<(?P<open>(?P<tag>t[dh])[^>]*)>(?:(?P<id>{_UUID})|(?P<time>{_TIME}))</(?P=tag)>")
# In frames with more rows, plain text shows whole ids, because shortening all of them is slow.
_MANY_ROWS = 100_000
_A_LOOK = 1_000

Table = TypeVar("Table", "pd.DataFrame", "pd.Series[Any]")


def short_frames(shell: InteractiveShell | None = None) -> None:
    """Register the short display of frames; an existing formatter for DataFrames is kept.

    Parameters
    ----------
    shell : InteractiveShell, optional
        Default: the current one. Outside of IPython this does nothing.
    """
    shell = shell or _shell()
    if shell is None:
        return
    html, text = (shell.display_formatter.formatters[kind] for kind in ("text/html", "text/plain"))
    for formatter, name, function in (
        (html, "DataFrame", frame_html),
        (text, "DataFrame", _print),
        (text, "Series", _print),
    ):
        try:
            formatter.lookup_by_type(f"pandas.{name}")
        except KeyError:
            formatter.for_type_by_name("pandas", name, function)


def plain_frames(shell: InteractiveShell | None = None) -> None:
    """Restore pandas' display of frames; `short_frames()`, or a new `Workbench()`, changes it back."""
    shell = shell or _shell()
    if shell is None:
        return
    for kind, name in (("text/html", "DataFrame"), ("text/plain", "DataFrame"), ("text/plain", "Series")):
        formatter = shell.display_formatter.formatters[kind]
        try:
            if formatter.lookup_by_type(f"pandas.{name}") in {frame_html, _print}:
                formatter.pop(f"pandas.{name}")
        except KeyError:
            continue


def frame_html(frame: pd.DataFrame) -> str | None:
    """The frame as pandas' HTML for a notebook, with midnights as dates and short run ids.

    A click on an id selects the whole id for copying; hovering shows it.

    Returns
    -------
    str or None
        None if pandas' options are set to show frames as text.
    """
    import pandas as pd

    if type(frame) is not pd.DataFrame:
        other: str | None = frame._repr_html_()  # type: ignore[operator]
        return other
    html: str | None = _with_dates(frame)._repr_html_()  # type: ignore[operator]
    if html is None:
        return None
    has_runs = any(_is_run(name) for name in (*frame.columns, *frame.index.names))
    return _CELL.sub(lambda cell: _cell(cell, shorten=has_runs), html)


def frame_text(frame: Table) -> str:
    """The frame's `repr`, with midnights as dates and the first characters of run ids."""
    import pandas as pd

    if type(frame) not in (pd.DataFrame, pd.Series):
        return repr(frame)
    return repr(_with_short_ids(_with_dates(frame)))


def _print(frame: Any, printer: Any, _cycle: bool) -> None:
    with printer.group():
        for number, line in enumerate(frame_text(frame).splitlines()):
            if number:
                printer.break_()
            printer.text(line)


def _shell() -> InteractiveShell | None:
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def _cell(found: re.Match[str], *, shorten: bool) -> str:
    whole = found["id"] or found["time"]
    shown = whole
    if found["id"] and shorten:
        # The rest has font size 0, so it is selected and copied too, without a script.
        shown = (
            f'<span title="{whole}" style="-webkit-user-select:all;user-select:all;cursor:copy">'
            f'{whole[:_SHORT_ID]}<span style="font-size:0">{whole[_SHORT_ID:]}</span></span>'
        )
    return f'<{found["open"]} style="white-space:nowrap">{shown}</{found["tag"]}>'


def _is_run(name: object) -> bool:
    return isinstance(name, str) and name.endswith("run_id")


def _with_dates(frame: Table) -> Table:
    """The frame with midnights in UTC as times without a zone, which pandas shows as dates.

    The values of a Series are not changed: its dtype is printed below, and would lack the time zone.
    """
    import pandas as pd

    shown = frame.copy(deep=False)
    shown.index = _dates(frame.index)
    if isinstance(shown, pd.DataFrame):
        shown.columns = _dates(shown.columns)
        for place, dtype in enumerate(shown.dtypes):
            if isinstance(dtype, pd.DatetimeTZDtype):
                times = pd.DatetimeIndex(shown.iloc[:, place])
                # Times of writing without microseconds, which only take space.
                times = times.floor("s") if str(shown.columns[place]).endswith("_at") else times
                shown.isetitem(place, _dates(times))
    return shown


def _dates(index: Any) -> Any:
    import pandas as pd

    if isinstance(index, pd.DatetimeIndex):
        return index.tz_localize(None) if _are_days(index) else index
    if isinstance(index, pd.MultiIndex):
        levels = [_dates(level) for level in index.levels]
        return index.set_levels(levels) if levels else index
    return index


def _are_days(times: pd.DatetimeIndex) -> bool:
    """Whether they are in UTC, and all midnights except NaT."""
    if str(times.tz) != "UTC":
        return False
    if len(times) > _A_LOOK and not _are_days(times[:_A_LOOK]):
        return False  # for intraday bars the first ones are enough
    counts = times.asi8[times.notna()]
    return bool(len(counts)) and not (counts % _IN_A_DAY[times.unit]).any()


def _with_short_ids(frame: Table) -> Table:
    import pandas as pd

    if len(frame) > _MANY_ROWS:
        return frame
    if isinstance(frame, pd.Series):
        return frame.map(_short_id) if _is_run(frame.name) else frame
    names = [name for name in frame.columns if _is_run(name)]
    return frame.assign(**{name: frame[name].map(_short_id) for name in names}) if names else frame


def _short_id(value: object) -> object:
    return value[:_SHORT_ID] if isinstance(value, str) and re.fullmatch(_UUID, value) else value
