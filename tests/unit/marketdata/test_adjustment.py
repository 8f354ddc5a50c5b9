"""Splits and dividends taken out: the published example, the vendors' own columns, and what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import bokeh_sampledata.stocks as package
import numpy as np
import pandas as pd
import pytest

from workbench.errors import QueryError
from workbench.marketdata import BAR_COLUMNS, adjust

QUANDL = {
    "Adj. Open": "open",
    "Adj. High": "high",
    "Adj. Low": "low",
    "Adj. Close": "close",
    "Adj. Volume": "volume",
}


def tidy(rows: pd.DataFrame, symbol: str, dates: str = "Date") -> pd.DataFrame:
    """A file's rows as tidy bars, all columns kept."""
    stamps = pd.DatetimeIndex(pd.to_datetime(rows[dates], utc=True)).as_unit("us")
    return rows.set_axis(pd.MultiIndex.from_product([[symbol], stamps], names=["symbol", "timestamp"]))


def closes(symbol: str = "ACME", **by_day: float) -> pd.DataFrame:
    """Bars with a close alone: closes(d0213=46.99) is of 2003-02-13."""
    days = pd.to_datetime([f"2003-{day[1:3]}-{day[3:]}" for day in by_day], utc=True).as_unit("us")
    index = pd.MultiIndex.from_product([[symbol], days], names=["symbol", "timestamp"])
    return pd.DataFrame({"close": list(by_day.values())}, index=index)


def actions(*rows: tuple[str, str, str, float], applied: bool | None = None) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=["symbol", "ex_date", "kind", "value"])
    frame["ex_date"] = pd.to_datetime(frame["ex_date"]).dt.as_unit("s")
    return frame if applied is None else frame.assign(applied=applied)


def dividend(day: str, value: float, symbol: str = "ACME") -> tuple[str, str, str, float]:
    return (symbol, day, "dividend", value)


def split(day: str, value: float, symbol: str = "ACME") -> tuple[str, str, str, float]:
    return (symbol, day, "split", value)


def listed(rows: pd.DataFrame, symbol: str, paid: str, ratio: str, dates: str = "Date") -> pd.DataFrame:
    """The actions that a file lists in two of its columns."""
    found = [
        pd.DataFrame(
            {"symbol": symbol, "ex_date": pd.to_datetime(rows[dates]), "kind": kind, "value": rows[column]}
        )[rows[column] != neutral]
        for kind, column, neutral in (("dividend", paid, 0.0), ("split", ratio, 1.0))
    ]
    return pd.concat(found, ignore_index=True)


def reproduces(adjusted: pd.DataFrame, raw: pd.DataFrame, published: pd.DataFrame) -> None:
    """The published columns to 1e-9, but for what was done to all of the file after its last bar."""
    last = raw.index.get_level_values("timestamp").argmax()
    for column in BAR_COLUMNS:
        since = published[column].iloc[last] / raw[column].iloc[last]
        np.testing.assert_allclose(adjusted[column] * since, published[column], rtol=1e-9)


# Yahoo's help page "What is the adjusted close?", by its two multipliers 0.5 and 0.9968.
YAHOO_CLOSES = closes(d0213=46.99, d0214=48.30, d0218=24.96, d0219=24.53)
YAHOO_ACTIONS = actions(split("2003-02-18", 2.0), dividend("2003-02-19", 0.08))


def test_yahoos_own_example() -> None:
    adjusted = adjust(YAHOO_CLOSES, YAHOO_ACTIONS)
    assert adjusted["close"].round(2).tolist() == [23.42, 24.07, 24.88, 24.53]


@pytest.mark.parametrize(
    ("close", "paid", "multiplier"),
    # The other multipliers of the same page.
    [(24.96, 0.08, 0.9968), (16.51, 2.40, 0.8546), (51.20, 1.25, 0.9756)],
)
def test_yahoos_dividend_multipliers(close: float, paid: float, multiplier: float) -> None:
    adjusted = adjust(closes(d0511=close, d0512=close), actions(dividend("2003-05-12", paid)))
    assert round(adjusted["close"].iloc[0] / close, 4) == multiplier


def test_a_reverse_split_multiplies_and_volume_counts_shares_of_today() -> None:
    # The same page: in a 1 for 5 reverse split the data before it is multiplied by 5.
    bars = closes(d0211=10.0, d0212=50.0).assign(volume=[1000.0, 200.0])
    adjusted = adjust(bars, actions(split("2003-02-12", 0.2), dividend("2003-02-12", 5.0)), "splits")
    assert adjusted.to_numpy().tolist() == [[50.0, 200.0], [50.0, 200.0]]


@pytest.mark.parametrize("ticker", ["AAPL", "AES", "AIG", "IBM", "ORCL"])
def test_quandls_adjusted_columns_of_2011(shared_data: Path, ticker: str) -> None:
    rows = tidy(pd.read_csv(shared_data / "adjusted" / f"WIKI-{ticker}-2011-quandl.csv"), ticker)
    raw = rows.rename(columns=str.lower)[list(BAR_COLUMNS)]
    found = listed(rows.reset_index(drop=True), ticker, "Ex-Dividend", "Split Ratio")
    assert len(found) == {"AAPL": 0, "AES": 0, "AIG": 1, "IBM": 4, "ORCL": 4}[ticker]
    adjusted = adjust(raw, found, "crsp")
    # The file is newest first, and so is the result.
    assert adjusted.index.equals(raw.index)
    reproduces(adjusted, raw, rows[list(QUANDL)].rename(columns=QUANDL))


def test_quandls_adjusted_columns_of_2014_all_symbols_at_once(shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "adjusted" / "zipline-QUANDL_ARCHIVE.zip") as archive:
        rows = pd.read_csv(archive.open("QUANDL_SAMPLE_TABLE.csv"))
    parts = {str(ticker): part.reset_index(drop=True) for ticker, part in rows.groupby("ticker")}
    raw = pd.concat([tidy(part, ticker, "date") for ticker, part in parts.items()])
    found = pd.concat(
        [listed(part, ticker, "ex-dividend", "split_ratio", "date") for ticker, part in parts.items()]
    )
    # Apple split 7:1 on 2014-06-09, between dividends; Berkshire and Zendesk did nothing.
    assert found.groupby("symbol").size().to_dict() == {"AAPL": 5, "MSFT": 4}
    adjusted = adjust(raw, found, "crsp")
    for ticker in parts:
        published = raw.loc[[ticker], [f"adj_{column}" for column in BAR_COLUMNS]]
        reproduces(adjusted.loc[[ticker]], raw.loc[[ticker]], published.set_axis(list(BAR_COLUMNS), axis=1))
    # What the symbols without actions and the other columns are, they stay.
    for ticker in ("BRK_A", "ZEN"):
        pd.testing.assert_frame_equal(adjusted.loc[[ticker]], raw.loc[[ticker]])
    pd.testing.assert_series_equal(adjusted["adj_close"], raw["adj_close"])
    splits = adjust(raw, found, "splits").loc["AAPL"]
    np.testing.assert_allclose(splits["close"].iloc[0], 553.13 / 7, rtol=1e-12)
    assert splits["volume"].iloc[0] == 58671200.0


def csvdir(shared_data: Path, ticker: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Prices that are split-adjusted already, and the actions beside them, which list the splits again."""
    rows = pd.read_csv(shared_data / "adjusted" / f"zipline-csvdir-{ticker}.csv.gz")
    found = listed(rows, ticker, "dividend", "split", "date")
    return tidy(rows, ticker, "date"), found.assign(applied=found["kind"] == "split")


@pytest.mark.parametrize(("ticker", "splits"), [("AAPL", 1), ("KO", 1), ("IBM", 0), ("MSFT", 0)])
def test_a_split_that_is_in_the_prices_already_is_not_applied_again(
    shared_data: Path, ticker: str, splits: int
) -> None:
    bars, found = csvdir(shared_data, ticker)
    assert found["applied"].sum() == splits
    pd.testing.assert_frame_equal(
        adjust(bars, found, "splits")[list(BAR_COLUMNS)], bars[list(BAR_COLUMNS)].astype(np.float64)
    )
    dividends = found[found["kind"] == "dividend"]
    for method in ("yahoo", "crsp"):
        pd.testing.assert_frame_equal(adjust(bars, found, method), adjust(bars, dividends, method))
    # Applied all the same, it shows as a jump that the prices do not have.
    if splits:
        twice = adjust(bars, found.assign(applied=False), "splits")["close"].pct_change().abs().max()
        assert twice > 0.4 > bars["close"].pct_change().abs().max()


def test_yahoos_adjusted_close_of_apple_by_dividends_from_elsewhere(shared_data: Path) -> None:
    # Yahoo's file has prices to 6 decimals, zipline's dividends (0.37857 for 2.65 / 7) 5: so 1e-6.
    path = shared_data / "daily" / "yahoofinance-AAPL-20040819-20180120.csv"
    rows = pd.read_csv(path)
    rows = rows[rows["Date"].between("2012-01-03", "2014-12-31")].reset_index(drop=True)
    raw = tidy(rows, "AAPL").rename(columns=str.lower)
    _, found = csvdir(shared_data, "AAPL")
    factor = rows["Adj Close"] / rows["Close"]
    published = (factor / factor.iloc[-1]).to_numpy()
    by_yahoo, by_crsp = (adjust(raw, found, method)["close"] / raw["close"] for method in ("yahoo", "crsp"))
    np.testing.assert_allclose(by_yahoo, published, rtol=1e-6)
    assert abs(by_crsp / published - 1).max() > 1e-4


@pytest.mark.parametrize("ticker", ["IBM", "MSFT"])
def test_the_samples_adjusted_close_is_by_crsps_method(shared_data: Path, ticker: str) -> None:
    # The package's raw and adjusted closes, with dividends from zipline's files.
    rows = pd.DataFrame(getattr(package, ticker))
    rows = rows[rows["date"] >= "2012-01-03"].reset_index(drop=True)
    _, found = csvdir(shared_data, ticker)
    adjusted = adjust(tidy(rows, ticker, "date"), found, "crsp")["close"]
    since = rows["adj_close"].iloc[-1] / rows["close"].iloc[-1]
    np.testing.assert_allclose(adjusted * since, rows["adj_close"], rtol=1e-9)


def test_the_samples_splits_leave_no_jump() -> None:
    # Apple split 2:1 in 2000 and 2005, Microsoft in 2003, as anybody can look up.
    found = actions(
        split("2000-06-21", 2.0, "AAPL"), split("2005-02-28", 2.0, "AAPL"), split("2003-02-18", 2.0, "MSFT")
    )
    bars = pd.concat([tidy(pd.DataFrame(getattr(package, name)), name, "date") for name in ("AAPL", "MSFT")])
    adjusted = adjust(bars, found, "splits")
    jumps = adjusted.groupby("symbol")["close"].pct_change().abs()
    days = [pd.Timestamp(row[1], tz="UTC") for row in found[["symbol", "ex_date"]].itertuples(index=False)]
    assert all(jumps[(symbol, day)] < 0.1 for symbol, day in zip(found["symbol"], days, strict=True))


def test_as_of_a_day_only_what_had_happened_is_taken_out() -> None:
    def seen(day: str) -> list[float]:
        return adjust(YAHOO_CLOSES, YAHOO_ACTIONS, as_of=day)["close"].round(2).tolist()

    assert seen("2003-02-17") == [46.99, 48.30, 24.96, 24.53]
    assert seen("2003-02-18") == [23.50, 24.15, 24.96, 24.53]
    assert seen("2003-02-19") == seen("2030-01-01") == [23.42, 24.07, 24.88, 24.53]
    evening = pd.Timestamp("2003-02-18 23:00", tz="UTC")
    assert adjust(YAHOO_CLOSES, YAHOO_ACTIONS, as_of=evening)["close"].iloc[0] == 46.99 / 2


def test_what_is_announced_for_after_the_last_bar_changes_nothing() -> None:
    ahead = actions(dividend("2003-02-20", 1.0), split("2003-03-01", 3.0))
    for method in ("yahoo", "crsp", "splits"):
        pd.testing.assert_frame_equal(adjust(YAHOO_CLOSES, ahead, method), YAHOO_CLOSES)
    # Unless one asks for the day on which it has happened; CRSP's factor needs a close of that day.
    asked = adjust(YAHOO_CLOSES, ahead, as_of="2003-03-01")["close"]
    np.testing.assert_allclose(asked, YAHOO_CLOSES["close"] / 3 * (1 - 1 / 24.53))
    by_crsp = adjust(YAHOO_CLOSES, ahead, "crsp", as_of="2003-03-01")["close"]
    np.testing.assert_allclose(by_crsp, YAHOO_CLOSES["close"] / 3)


def test_an_excerpt_with_the_closes_of_the_whole_is_an_excerpt_of_the_whole() -> None:
    early = YAHOO_CLOSES.iloc[:2]
    for method in ("yahoo", "crsp"):
        whole = adjust(YAHOO_CLOSES, YAHOO_ACTIONS, method)
        pd.testing.assert_frame_equal(
            adjust(early, YAHOO_ACTIONS, method, closes=YAHOO_CLOSES), whole.iloc[:2]
        )


def test_an_ex_date_without_a_bar_applies_to_the_bars_before_it() -> None:
    # 2003-02-15 and -16 are a weekend; the closes are Friday's (Yahoo) and Monday's (CRSP).
    bars = closes(d0213=50.0, d0214=40.0, d0217=39.0)
    paid = actions(dividend("2003-02-16", 1.0))
    by_yahoo, by_crsp = (adjust(bars, paid, method)["close"] for method in ("yahoo", "crsp"))
    np.testing.assert_allclose(by_yahoo, [50 * (1 - 1 / 40), 39.0, 39.0])
    np.testing.assert_allclose(by_crsp, [50 / (1 + 1 / 39), 40 / (1 + 1 / 39), 39.0])


def test_a_dividend_and_its_close_are_taken_on_one_basis() -> None:
    # Split 2:1 and dividend on one day: the close before it counts half, the dividend is per new share.
    bars = closes(d0213=50.0, d0214=26.0)
    both = actions(split("2003-02-14", 2.0), dividend("2003-02-14", 1.0))
    np.testing.assert_allclose(adjust(bars, both)["close"], [25 * (1 - 1 / 25), 26.0])
    np.testing.assert_allclose(adjust(bars, both, "crsp")["close"], [25 / (1 + 1 / 26), 26.0])
    # A split between the ex date and the next bar: the dividend was per old share.
    between = actions(dividend("2003-02-15", 1.0), split("2003-02-16", 2.0))
    bars = closes(d0214=50.0, d0217=24.0)
    np.testing.assert_allclose(adjust(bars, between)["close"].iloc[0], 25 * (1 - 0.5 / 25))
    np.testing.assert_allclose(adjust(bars, between, "crsp")["close"].iloc[0], 25 / (1 + 0.5 / 24))


@pytest.mark.parametrize("method", ["yahoo", "crsp"])
def test_intraday_bars_take_the_last_close_of_the_exchanges_day(method: str) -> None:
    # Minutes of 13 and 14 February in New York: 00:30 UTC on the 14th is still the evening of the 13th.
    stamps = pd.to_datetime(
        ["2003-02-13 14:30", "2003-02-13 20:59", "2003-02-14 00:30", "2003-02-14 14:30", "2003-02-14 20:59"],
        utc=True,
    ).as_unit("us")
    index = pd.MultiIndex.from_product([["ACME"], stamps], names=["symbol", "timestamp"])
    bars = pd.DataFrame({"close": [52.0, 51.0, 50.0, 48.0, 49.0]}, index=index)
    factor = {"yahoo": 1 - 1 / 50, "crsp": 1 / (1 + 1 / 49)}[method]
    adjusted = adjust(bars, actions(dividend("2003-02-14", 1.0)), method)["close"]
    np.testing.assert_allclose(adjusted, [52 * factor, 51 * factor, 50 * factor, 48.0, 49.0])


def test_symbols_rows_and_columns_stay_as_they_came() -> None:
    bars = pd.concat([YAHOO_CLOSES, closes("IDLE", d0218=7.0)]).assign(note=list("abcde"))
    shuffled = bars.iloc[[3, 0, 4, 2, 1]]
    adjusted = adjust(shuffled, pd.concat([YAHOO_ACTIONS, actions(split("2003-02-18", 9.0, "GONE"))]))
    assert adjusted.index.equals(shuffled.index)
    assert adjusted["note"].tolist() == list("daecb")
    assert adjusted["close"].round(2).tolist() == [24.53, 23.42, 7.0, 24.88, 24.07]
    assert shuffled["close"].tolist() == [24.53, 46.99, 7.0, 24.96, 48.30]
    whole = bars[["close"]].astype("int64")
    assert adjust(whole, actions())["close"].dtype == np.float64
    assert adjust(bars.iloc[:0], YAHOO_ACTIONS).empty


def test_missing_closes_are_passed_over() -> None:
    bars = closes(d0213=50.0, d0214=np.nan, d0217=39.0)
    adjusted = adjust(bars, actions(dividend("2003-02-17", 1.0)))["close"]
    np.testing.assert_allclose(adjusted, [50 * (1 - 1 / 50), np.nan, 39.0])


@pytest.mark.parametrize(
    ("given", "told", "message"),
    [
        (
            actions(dividend("2003-02-19", 24.96)),
            {},
            r"dividend of ACME on 2003-02-19 \(24\.96\) is as large as",
        ),
        (actions(dividend("2003-02-19", 30.0)), {"method": "crsp"}, "as large as the close before it"),
        (actions(dividend("2003-02-19", 0.0)), {}, "a value that is not above 0"),
        (actions(split("2003-02-19", -2.0)), {}, r"split of ACME .* not above 0"),
        (
            actions(split("2003-02-19", np.nan), split("2003-02-20", np.inf)),
            {},
            r"\(and 1 more\) has a value",
        ),
        (actions(("ACME", "2003-02-19", "spinoff", 1.0)), {}, "is not one of split, dividend"),
        (
            actions(dividend("2003-02-19", 0.1), dividend("2003-02-19", 0.2)),
            {},
            "given more than once: give the",
        ),
        (actions(("ACME", "NaT", "split", 2.0)), {}, "has no ex date"),
        (actions().drop(columns="value"), {}, "these have no value"),
        (YAHOO_ACTIONS, {"method": "yaho"}, 'no adjustment method "yaho"; choose one of yahoo, crsp, splits'),
        (
            actions(dividend("2003-06-01", 1.0)),
            {"as_of": "2003-06-01"},
            "more than ten days after the last close",
        ),
        (YAHOO_ACTIONS, {"closes": YAHOO_CLOSES.iloc[3:]}, "has bars before it, but no close"),
        (YAHOO_ACTIONS, {"closes": YAHOO_CLOSES.rename(columns={"close": "c"})}, "needs the column close"),
    ],
)
def test_what_makes_no_sense_is_refused(given: pd.DataFrame, told: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        adjust(YAHOO_CLOSES, given, **told)


def test_bars_that_are_none_are_refused() -> None:
    with pytest.raises(QueryError, match=r"indexed \(symbol, timestamp\)"):
        adjust(YAHOO_CLOSES.reset_index(), YAHOO_ACTIONS)
