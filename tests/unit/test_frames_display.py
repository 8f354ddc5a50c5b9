"""Frames as a notebook shows them: dates for midnights, ids of runs in short; the frames stay as they are."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from workbench.display.frames import frame_html, frame_text, plain_frames, short_frames

RUN, OTHER = str(uuid.UUID(int=7 << 96)), str(uuid.UUID(int=9 << 96))
DAYS = pd.date_range("2024-01-02", periods=3, tz="UTC", name="timestamp")
MINUTES = pd.date_range("2024-01-02 14:30", periods=3, freq="min", tz="UTC", name="timestamp")
BARS = pd.DataFrame(
    {"close": 1.5}, index=pd.MultiIndex.from_product([["AAPL", "IBM"], DAYS], names=["symbol", "timestamp"])
)


def _both(frame: pd.DataFrame) -> str:
    return f"{frame_html(frame)}{frame_text(frame)}"


@pytest.mark.parametrize(
    "frame",
    [
        BARS,
        BARS.reset_index(),
        BARS["close"].unstack("symbol"),
        BARS["close"].unstack("timestamp"),
        pd.DataFrame({"exit_time": [DAYS[0], pd.NaT, DAYS[1]]}),
        pd.DataFrame({"a": [DAYS[0]], "b": [DAYS[1]]}).set_axis(["same", "same"], axis="columns"),
        pd.DataFrame({"x": 1}, index=DAYS.as_unit("s")),
    ],
    ids=["bars", "columns", "wide", "across", "with NaT", "two of one name", "seconds"],
)
def test_midnights_in_utc_are_dates_and_the_frame_is_not_touched(frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    shown = _both(frame)
    assert "2024-01-02" in shown
    assert "00:00" not in shown
    pd.testing.assert_frame_equal(frame, before)


def test_when_a_row_was_written_is_shown_to_the_second_and_a_moment_of_the_market_in_full() -> None:
    moment = pd.Timestamp("2024-01-02 14:30:05.123456", tz="UTC")
    frame = pd.DataFrame({"created_at": [moment, pd.NaT], "executed": [moment, pd.NaT]})
    for shown in (frame_html(frame) or "", frame_text(frame)):
        assert shown.count("14:30:05.123456") == 1
        assert shown.count("14:30:05") == 2
    assert frame["created_at"][0] == moment


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": 1}, index=MINUTES),
        pd.DataFrame({"t": [DAYS[0], MINUTES[0]]}),
        pd.DataFrame({"x": 1}, index=DAYS.tz_convert("America/New_York")),
        pd.DataFrame({"x": range(2_000)}, index=[*([DAYS[0]] * 1_999), MINUTES[0]]),
        pd.DataFrame({"t": pd.Series([None, None], dtype="datetime64[us, UTC]")}),
        pd.DataFrame(),
        pd.DataFrame({"x": [uuid.UUID(int=5)], "text": ["2024-01-02 is <b>"]}),
    ],
    ids=["minutes", "one of them", "another zone", "the last", "no time", "empty", "ids that are no run's"],
)
def test_everything_else_is_shown_as_pandas_shows_it(frame: pd.DataFrame) -> None:
    html = frame_html(frame)
    assert html is not None
    assert html.replace(' style="white-space:nowrap"', "") == frame._repr_html_()  # type: ignore[operator]
    assert frame_text(frame) == repr(frame)


def test_a_runs_id_is_short_and_its_rest_is_there_to_be_copied() -> None:
    frame = pd.DataFrame({"run_id": [RUN, None, OTHER], "n": [1, 2, 3]})
    html = frame_html(frame) or ""
    assert f'title="{RUN}"' in html
    assert f'{RUN[:8]}<span style="font-size:0">{RUN[8:]}</span>' in html
    text = frame_text(frame)
    assert RUN[:8] in text
    assert RUN not in text
    assert RUN[:8] in frame_text(frame["run_id"])
    assert list(frame["run_id"].dropna()) == [RUN, OTHER]


def test_a_series_keeps_what_its_dtype_says() -> None:
    assert "datetime64[us, UTC]" in frame_text(pd.Series(DAYS.as_unit("us")))
    assert "00:00" not in frame_text(BARS["close"])


def test_frames_of_other_kinds_and_options_of_pandas_are_left_alone() -> None:
    class Own(pd.DataFrame):
        def _repr_html_(self) -> str:
            return "<p>own</p>"

    assert frame_html(Own({"t": DAYS})) == "<p>own</p>"
    with pd.option_context("display.notebook_repr_html", False):
        assert frame_html(BARS) is None


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    shell = InteractiveShell()
    yield shell
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()


def test_it_is_switched_on_and_off_and_never_takes_the_place_of_another_display(
    shell: InteractiveShell,
) -> None:
    def shown() -> str:
        data, _ = shell.display_formatter.format(BARS)
        return f"{data['text/html']}{data['text/plain']}"

    assert "00:00:00+00:00" in shown()
    short_frames(shell)
    short_frames(shell)
    assert "00:00:00+00:00" not in shown()
    plain_frames(shell)
    plain_frames(shell)
    assert "00:00:00+00:00" in shown()
    shell.display_formatter.formatters["text/html"].for_type(pd.DataFrame, lambda _: "theirs")
    short_frames(shell)
    assert shown().startswith("theirs")
    plain_frames(shell)
    assert shown().startswith("theirs")


def test_to_html_is_pandas_own() -> None:
    assert "00:00:00+00:00" in BARS.to_html()
