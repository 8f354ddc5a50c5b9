"""Raw prices are kept as they came; adjusted ones are derived from stored splits and dividends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.integration.conftest import MakeBars
from workbench import Workbench
from workbench.errors import QueryError, ValueRefused

PRICES = ["open", "high", "low", "close"]
NAMES = ("AAPL", "AES", "AIG", "IBM", "ORCL")


def _quandl(folder: Path, symbol: str) -> pd.DataFrame:
    """One of Quandl's files: raw prices, ex-dividends, split ratios, and Quandl's own adjusted prices."""
    rows = pd.read_csv(folder / "adjusted" / f"WIKI-{symbol}-2011-quandl.csv")
    rows["timestamp"] = pd.to_datetime(rows["Date"]).dt.tz_localize("UTC").astype("datetime64[us, UTC]")
    rows["symbol"] = symbol
    return rows.rename(columns=str.lower).sort_values("timestamp", ignore_index=True)


def _actions(rows: pd.DataFrame) -> pd.DataFrame:
    dates = rows["timestamp"].dt.tz_localize(None)
    dividends = rows["ex-dividend"] > 0
    splits = rows["split ratio"] != 1
    return pd.concat(
        [
            pd.DataFrame({"symbol": rows["symbol"], "ex_date": dates, "kind": kind, "value": rows[column]})[
                chosen
            ]
            for kind, column, chosen in (
                ("dividend", "ex-dividend", dividends),
                ("split", "split ratio", splits),
            )
        ]
    ).assign(data_source="file")


@pytest.fixture
def quandl(wb: Workbench, shared_data: Path) -> pd.DataFrame:
    """Five shares of 2011, stored raw with their actions; the rows of the files, by symbol and day."""
    rows = pd.concat([_quandl(shared_data, name) for name in NAMES])
    raw = rows[["symbol", "timestamp", *PRICES, "volume"]]
    wb.data_ingestion.write_market_data(raw, source="file")
    wb.data_ingestion.write_corporate_actions(_actions(rows))
    return rows.set_index(["symbol", "timestamp"]).sort_index()


def test_quandls_own_adjusted_prices_come_out(wb: Workbench, quandl: pd.DataFrame) -> None:
    """All five shares, four prices, to 1e-9, up to the factor of what happened after the file's last day."""
    found = wb.data_ingestion.load_market_data(list(NAMES), adjust="crsp")
    expected = quandl[[f"adj. {name}" if f"adj. {name}" in quandl else f"adj {name}" for name in PRICES]]
    later = (expected.iloc[:, 3] / quandl["close"]).groupby("symbol").transform("last")
    np.testing.assert_allclose(
        found[PRICES].to_numpy(), expected.to_numpy() / later.to_numpy()[:, None], rtol=1e-9
    )
    raw = wb.data_ingestion.load_market_data(list(NAMES))
    pd.testing.assert_frame_equal(raw[PRICES], quandl[PRICES], check_index_type=False)


@pytest.mark.parametrize("method", ["yahoo", "crsp", "splits"])
def test_an_excerpt_is_adjusted_as_the_whole_is(wb: Workbench, quandl: pd.DataFrame, method: str) -> None:
    load = wb.data_ingestion.load_market_data
    whole = load(["AAPL", "IBM", "AIG"], adjust=method)
    excerpt = load(["AAPL", "IBM", "AIG"], "2011-02-07", "2011-03-01", adjust=method, fields=["close"])
    days = whole.index.get_level_values("timestamp")
    expected = whole.loc[(days >= "2011-02-07") & (days < "2011-03-01"), ["close"]]
    pd.testing.assert_frame_equal(excerpt, expected, check_index_type=False, rtol=1e-12)


def test_as_of_a_day_only_what_had_happened_is_applied(wb: Workbench, quandl: pd.DataFrame) -> None:
    load = wb.data_ingestion.load_market_data
    raw = load("IBM")
    ex_dates = wb.data_ingestion.load_corporate_actions("IBM", kind="dividend")["ex_date"]
    assert len(ex_dates) == 4
    before_any = load("IBM", adjust="yahoo", as_of=ex_dates.iloc[0] - pd.Timedelta(days=1))
    pd.testing.assert_frame_equal(before_any, raw)
    after_one = load("IBM", adjust="yahoo", as_of=ex_dates.iloc[0])
    first = raw.index.get_level_values("timestamp") < pd.Timestamp(ex_dates.iloc[0], tz="UTC")
    assert (after_one.loc[first, "close"] < raw.loc[first, "close"]).all()
    assert (after_one.loc[~first, "close"] == raw.loc[~first, "close"]).all()


def test_actions_come_back_and_by_filter(wb: Workbench, quandl: pd.DataFrame) -> None:
    load = wb.data_ingestion.load_corporate_actions
    assert len(load(kind="dividend")) == (quandl["ex-dividend"] > 0).sum() > 0
    assert len(load(kind="split")) == (quandl["split ratio"] != 1).sum()
    one = load("IBM", "2011-02-01", "2011-03-01", source="file")
    assert (len(one), one["value"].iloc[0]) == (1, 0.65)
    assert load("NOPE").dtypes.to_dict() == one.dtypes.to_dict()
    loaded = load("IBM").drop(columns=["id", "created_at"])
    assert wb.data_ingestion.write_corporate_actions(loaded).unchanged == 4


def test_a_senseless_action_is_refused(wb: Workbench) -> None:
    action = {"symbol": "A", "data_source": "file", "ex_date": pd.Timestamp("2024-01-02"), "kind": "split"}
    with pytest.raises(ValueRefused, match="value must be above zero"):
        wb.data_ingestion.write_corporate_actions(pd.DataFrame([action | {"value": 0.0}]))
    with pytest.raises(ValueRefused, match="kind must be split or dividend"):
        wb.data_ingestion.write_corporate_actions(pd.DataFrame([action | {"value": 2.0, "kind": "merger"}]))


def test_a_method_that_there_is_not_and_a_day_without_a_method_are_refused(
    wb: Workbench, make_bars: MakeBars
) -> None:
    wb.data_ingestion.write_market_data(make_bars(), source="file")
    with pytest.raises(QueryError, match="yahoo, crsp"):
        wb.data_ingestion.load_market_data("AAPL", adjust="magic")
    with pytest.raises(QueryError, match="adjust='yahoo'"):
        wb.data_ingestion.load_market_data("AAPL", as_of="2024-01-02")
