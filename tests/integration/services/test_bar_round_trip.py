"""Bars come back exactly as they were written, or are refused with nothing written."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.integration.conftest import MakeBars
from tests.servers import ServerPark
from workbench import Workbench
from workbench.errors import FrameRefused
from workbench.services import bar_writer
from workbench.settings import Settings

KEY = ["symbol", "timestamp"]
FIELDS = ["open", "high", "low", "close", "volume"]

examples = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.fixture(scope="module", params=["postgresql-18", "postgresql-15"])
def stored_in(
    request: pytest.FixtureRequest, servers: ServerPark, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """One database for all examples; each empties the table first."""
    server = servers.postgres(request.param)
    name = server.clone()
    home: Path = tmp_path_factory.mktemp("home")
    with Workbench(
        Settings(
            home=home,
            database_url=SecretStr(server.url_of(name)),
            redis_url=SecretStr(servers.valkey()),
        )
    ) as workbench:
        yield workbench
    server.drop(name)


symbols = st.sampled_from(
    ["BRK.B", "O'Neil\"", "../x", "=1+1", "🚀", "a\\b", "tab\there", " ", "NULL", "\\N"]
)
moments = st.datetimes(
    min_value=pd.Timestamp("0001-01-02").to_pydatetime(), max_value=pd.Timestamp("9999-12-30").to_pydatetime()
)
prices = (
    st.decimals(min_value=Decimal("0.00000001"), max_value=10**12, places=8, allow_nan=False).map(float)
    | st.floats(min_value=1e-8, max_value=1e13)
    | st.integers(1, 10**12).map(float)
)
volumes = st.integers(0, 10**16).map(float) | st.decimals(0, 10**9, places=8, allow_nan=False).map(float)


@st.composite
def bars(draw: st.DrawFn) -> pd.DataFrame:
    """Up to twenty bars, each with four prices in their right order."""
    rows: list[dict[str, Any]] = []
    for symbol, moment in draw(st.lists(st.tuples(symbols, moments), min_size=1, max_size=20, unique=True)):
        low, opened, close, high = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
        rows.append(
            {
                "symbol": symbol,
                "timestamp": pd.Timestamp(moment, tz="UTC").as_unit("us"),
                "open": opened,
                "high": high,
                "low": low,
                "close": close,
                "volume": draw(volumes),
            }
        )
    return pd.DataFrame(rows).astype({"symbol": "str", "timestamp": "datetime64[us, UTC]"})


@pytest.mark.parametrize("compiled", [False, True], ids=["text", "binary"])
@examples
@given(frame=bars())
def test_bars_are_exact_or_refused(stored_in: Workbench, compiled: bool, frame: pd.DataFrame) -> None:
    service = stored_in.data_ingestion
    with service.pool.begin() as connection:
        connection.exec_driver_sql("DELETE FROM data_ingestion.market_data")
    with pytest.MonkeyPatch.context() as patched:
        for name in ("_MANY", "_MANY_WHEN_LOADED"):
            patched.setattr(bar_writer, name, 0 if compiled else 10**9)
        try:
            written = service.write_market_data(frame, source="file")
        except FrameRefused:
            assert service.load_ingestion_status()["bars"].sum() == 0
            # Only what the column cannot hold is refused.
            numbers = [Decimal(repr(value)) for value in frame[FIELDS].to_numpy().ravel().tolist()]
            assert any(
                number != round(number, 8) or number >= 10**12 or len(number.as_tuple().digits) > 15
                for number in numbers
            )
            return
    assert written.inserted == len(frame)
    loaded = service.load_market_data(source="file")
    pd.testing.assert_frame_equal(loaded, frame.set_index(KEY).sort_index(), check_exact=True)
    assert service.write_market_data(frame, source="file").unchanged == len(frame)


@examples
@given(frame=bars(), seed=st.integers(0, 2**32 - 1))
def test_a_second_write_inserts_what_is_new_and_updates_what_differs(
    stored_in: Workbench, frame: pd.DataFrame, seed: int
) -> None:
    """Against a dict as the table: half of the bars, then all of them with some closes changed."""
    service, random = stored_in.data_ingestion, np.random.default_rng(seed)
    frame[FIELDS] = np.sort(random.uniform(1, 1000, (len(frame), 5)).round(2))[:, [1, 3, 0, 2, 4]]
    with service.pool.begin() as connection:
        connection.exec_driver_sql("DELETE FROM data_ingestion.market_data")
    first = frame[random.random(len(frame)) < 0.5]
    second = frame.copy()
    differing = random.random(len(frame)) < 0.5
    second.loc[differing, "volume"] += 1
    service.write_market_data(first, source="file")
    written = service.write_market_data(second.sample(frac=1, random_state=seed % 1000), source="file")
    there = second.index.isin(first.index)
    assert written.inserted == (~there).sum()
    assert written.updated == (there & differing).sum()
    assert written.unchanged == (there & ~differing).sum()
    pd.testing.assert_frame_equal(
        service.load_market_data(source="file"), second.set_index(KEY).sort_index(), check_exact=True
    )


@pytest.mark.parametrize("symbol", ["BRK.B", "O'Neil\"", "../x", "=1+1", "🚀", "%s", ":symbol", "a,b", "{}"])
def test_odd_symbols_come_back_and_are_found_by_name(
    stored_in: Workbench, make_bars: MakeBars, symbol: str
) -> None:
    service = stored_in.data_ingestion
    service.write_market_data(make_bars(symbol), source="file")
    assert service.load_market_data(symbol, source="file").index.get_level_values(0).unique().tolist() == [
        symbol
    ]


@pytest.mark.parametrize("symbol", ["", None, "nul\0", 7, "\ud800"])
def test_what_is_no_symbol_is_refused(stored_in: Workbench, make_bars: MakeBars, symbol: object) -> None:
    service = stored_in.data_ingestion
    frame = make_bars("AAPL").astype({"symbol": object})
    frame["symbol"] = pd.Series([symbol] * len(frame), dtype=object)
    with pytest.raises(FrameRefused, match="symbol"):
        service.write_market_data(frame, source="file")


def test_a_bar_written_past_us_in_the_same_moment_is_taken_into_account(
    stored_in: Workbench, make_bars: MakeBars, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain SQL takes no turns: its bar may appear between our look at the table and our COPY."""
    service = stored_in.data_ingestion
    look = bar_writer._against_stored

    def look_and_be_overtaken(*arguments: Any) -> Any:
        found = look(*arguments)
        with stored_in.strategy_engine.pool.begin():
            pass
        with service.pool.engine.connect() as other, other.begin():
            other.exec_driver_sql(
                "INSERT INTO data_ingestion.market_data "
                "(symbol, timestamp, open, high, low, close, volume, data_source) "
                "VALUES ('RACE', '2024-01-03', 1, 1, 1, 1, 0, 'file')"
            )
        return found

    monkeypatch.setattr(bar_writer, "_against_stored", look_and_be_overtaken)
    written = service.write_market_data(make_bars("RACE"), source="file")
    assert (written.inserted, written.updated, written.unchanged) == (4, 1, 0)
    assert service.load_market_data("RACE")["close"].tolist() == [10, 11, 12, 13, 14]
