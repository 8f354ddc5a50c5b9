"""A database of the first revision, with real bars and a row in every other table, goes up unharmed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from tests.servers import Postgres, ServerPark
from workbench import Workbench
from workbench.db import migrate
from workbench.db.bootstrap import create_databases
from workbench.errors import NotKnown
from workbench.settings import Settings

DATABASE = "test_first_revision"
RUN = "6f1c7b1e-6a50-4a0c-9a37-6a9f4c0a7c11"
ENDED = "2024-01-05 00:00+00"
SCHEMAS = ["workbench", "data_ingestion", "strategy_engine", "logging"]
# One row in each table of revision 0001 but those of bars, with every column that one may give.
ROWS = f"""
INSERT INTO workbench.runs (run_id, notebook, notebook_sha256, parameters, trigger, status, code_version,
    data_revisions, headline, deployment, scheduled_for, flow_run_id, output_path, html_path, error, ended_at)
VALUES ('{RUN}', 'sma_cross.ipynb', repeat('a', 64), '{{"fast": 20}}', 'deployment', 'completed', '0.1.0',
    '{{"yahoo/AAPL": 1}}', '{{"sharpe_ratio": 0.83}}', 'sma-cross', '2024-01-02 22:30+00', '{RUN}', '/runs/1',
    '/runs/1.html', 'none', now());
INSERT INTO workbench.events (type, service, key, data, published_at, prefect_at)
VALUES ('strategies.written', 'strategy_engine', 'a', '{{"inserted": 1}}', now(), now());
INSERT INTO data_ingestion.data_quality_logs
    (symbol, data_source, origin, row_number, timestamp, rule, severity, reason, raw, run_id)
VALUES ('AAPL', 'file', 'aapl.csv', 7, '2012-01-03 00:00+00', 'outside_range', 'error', 'close above high',
    '{{"close": "1"}}', '{RUN}');
INSERT INTO strategy_engine.strategies (strategy_id, name, parameters, status)
VALUES ('sma', 'Crossing averages', '{{"fast": 20, "slow": 50}}', 'active');
INSERT INTO strategy_engine.strategy_signals
    (signal_id, strategy_id, symbol, timestamp, signal, strength, run_id)
VALUES ('sma/AAPL/1', 'sma', 'AAPL', '2012-01-03 00:00+00', 'buy', 0.1, '{RUN}');
INSERT INTO strategy_engine.strategy_configs (strategy_id, version, config, active, run_id)
VALUES ('sma', 1, '{{"cash": 1e5}}', true, '{RUN}');
INSERT INTO strategy_engine.strategy_performance
    (strategy_id, date, returns, sharpe_ratio, max_drawdown, total_trades, win_rate, run_id)
VALUES ('sma', '2012-01-03', 0.015, NULL, -0.1, 3, 0.5, '{RUN}');
INSERT INTO logging.system_logs (service, level, event_type, message, correlation_id, metadata)
VALUES ('demo', 'info', 'start', E'two\\nlines', 'c-1', '{{"pid": 1}}');
INSERT INTO logging.trading_logs (trade_id, symbol, side, quantity, price, strategy, execution_time_ms,
    status, error_message, correlation_id)
VALUES ('t-1', 'BTC', 'buy', 0.00000001, 65000.12345678, 'sma', 1.5, 'filled', 'none', 'c-1');
INSERT INTO logging.performance_logs (service, operation, execution_time_ms, memory_usage_mb,
    cpu_usage_percent, metadata)
VALUES ('demo', 'load', 12.5, 80, 99.5, '{{"rows": 1}}');
"""

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def first_revision(postgres: Postgres, servers: ServerPark, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a database at revision 0001, with the year 2012 of two real shares."""
    settings = Settings(
        # All three, or a Workbench would start a server of its own in the clone's home.
        home=tmp_path / "home",
        database_url=SecretStr(postgres.url_of(DATABASE)),
        redis_url=SecretStr(servers.valkey()),
    )
    create_databases(settings, postgres.url)
    assert migrate.upgrade(settings, postgres.url, "0001") == (None, "0001")
    with postgres.connect(DATABASE) as connection:
        _copy_bars(connection)
        connection.execute(ROWS.encode())
    yield settings
    postgres.drop(DATABASE)
    postgres.drop(f"{DATABASE}_prefect")


def _copy_bars(connection: Connection) -> None:
    from bokeh_sampledata import stocks

    fields = ("date", "open", "high", "low", "close", "volume")
    with connection.cursor().copy(
        "COPY data_ingestion.market_data (symbol, timestamp, open, high, low, close, volume, data_source) "
        "FROM STDIN"
    ) as copy:
        for symbol in ("AAPL", "IBM"):
            series = getattr(stocks, symbol)
            for day, *numbers in zip(*(series[name] for name in fields), strict=True):
                if day.startswith("2012"):
                    copy.write_row((symbol, f"{day} 00:00+00", *numbers, "yahoo"))


def _columns(connection: Connection) -> dict[str, list[str]]:
    """The columns that each table of ours has now."""
    rows = connection.execute(
        "SELECT n.nspname || '.' || c.relname, array_agg(a.attname::text ORDER BY a.attnum) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition GROUP BY 1",
        [SCHEMAS],
    ).fetchall()
    return {str(table): names for table, names in rows}


def _contents(connection: Connection, columns: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Every row of each table, in the given columns."""
    found = {}
    for table, names in columns.items():
        listed = sql.SQL(", ").join(map(sql.Identifier, names))
        query = sql.SQL("SELECT {0} FROM {1} ORDER BY {0}").format(listed, sql.Identifier(*table.split(".")))
        found[table] = connection.execute(query).fetchall()
    return found


def test_every_row_is_there_afterwards_as_it_was(first_revision: Settings, postgres: Postgres) -> None:
    with postgres.connect(DATABASE) as connection:
        columns = _columns(connection)
        before = _contents(connection, columns)
    assert {table: len(rows) for table, rows in before.items() if len(rows) != 1} == {
        "data_ingestion.market_data": 500,  # 250 sessions of the NYSE in 2012, two shares
        "data_ingestion.ingestion_status": 2,
    }
    assert migrate.upgrade(first_revision, postgres.url) == ("0001", migrate.head())
    with postgres.connect(DATABASE) as connection:
        assert _contents(connection, columns) == before
    assert migrate.check(first_revision, postgres.url) == []


def test_it_is_worked_with_afterwards_like_a_new_one(first_revision: Settings, postgres: Postgres) -> None:
    """Old rows load, new tables take rows that point to old ones, and the roles may do what they must."""
    migrate.upgrade(first_revision, postgres.url)
    order = {"order_id": "o", "account_id": "a", "symbol": "AAPL", "side": "buy", "order_type": "market"}
    with Workbench(first_revision) as wb:
        wb.execution.write_orders(pd.DataFrame([order | {"quantity": 1.0, "run_id": RUN}]))
        assert wb.execution.load_orders(run_id=RUN)["status"].tolist() == ["pending"]
        assert len(wb.data_ingestion.load_market_data("AAPL", source="yahoo")) == 250
        assert wb.strategy_engine.load_strategy_signals(run_id=RUN)["strength"].tolist() == [0.1]


def test_old_events_stay_and_a_new_one_is_told_in_its_services_own_name(
    first_revision: Settings, postgres: Postgres
) -> None:
    assert migrate.upgrade(first_revision, postgres.url, "0005") == ("0001", "0005")
    forged = "INSERT INTO workbench.events (type, service) VALUES ('a.done', 'logging')"
    with postgres.connect(DATABASE) as connection:
        connection.execute("SET ROLE workbench_analytics")
        connection.execute(forged)
        connection.execute("RESET ROLE")
        assert migrate.upgrade(first_revision, postgres.url) == ("0005", migrate.head())
        stored = connection.execute("SELECT service FROM workbench.events ORDER BY event_id").fetchall()
        assert stored == [("strategy_engine",), ("logging",)]
        connection.execute("SET ROLE workbench_analytics")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="that is for workbench_logging"):
            connection.execute(forged)


def test_what_was_saved_before_waits_for_nothing_and_is_of_the_next_save_as_a_whole(
    first_revision: Settings, postgres: Postgres
) -> None:
    migrate.upgrade(first_revision, postgres.url)
    with Workbench(first_revision) as wb:
        old = wb.strategy_engine.load_strategies("sma").iloc[0]
        assert (old["rules"], old["inputs"], bool(pd.isna(old["run_id"]))) == ({}, {}, True)
        signals = wb.strategy_engine.load_strategy_signals("sma")
        assert signals["pending"].tolist() == [False]
        assert signals["run_id"].tolist() == [RUN]
        days = wb.strategy_engine.load_strategy_performance("sma")
        wb.strategy_engine.write_backtest(
            strategy_id="sma", name="Crossing averages", parameters={"fast": 20, "slow": 50}, status="active",
            signals=signals[["symbol", "timestamp", "signal", "strength"]].assign(pending=True),
            performance=days[["date", "returns", "max_drawdown"]], rules={"fees": 0.001},
        )  # fmt: skip
        new = wb.strategy_engine.load_strategies("sma").iloc[0]
        assert (new["rules"], new["created_at"]) == ({"fees": 0.001}, old["created_at"])
        assert wb.strategy_engine.load_strategy_signals("sma", pending=True)["run_id"].isna().tolist() == [
            True
        ]
        assert wb.strategy_engine.load_strategy_performance("sma")["run_id"].isna().tolist() == [True]


def test_bars_that_were_there_are_known_from_the_upgrade_on(
    first_revision: Settings, postgres: Postgres
) -> None:
    """What they were before is not known, and said so; what is corrected afterwards is kept."""
    assert migrate.upgrade(first_revision, postgres.url, "0008") == ("0001", "0008")
    with postgres.connect(DATABASE) as connection:
        connection.execute("UPDATE data_ingestion.market_data SET volume = 1 WHERE symbol = 'AAPL'")
    migrate.upgrade(first_revision, postgres.url)
    with Workbench(first_revision) as wb:
        log = wb.data_ingestion.load_series_revisions()
        assert log[["symbol", "revision", "kind", "bars"]].to_numpy().tolist() == [
            ["IBM", 1, "before", 250],
            ["AAPL", 2, "before", 250],
        ]
        load = wb.data_ingestion.load_market_data
        before = load("AAPL", source="yahoo")
        moment = pd.Timestamp.now("UTC")
        with postgres.connect(DATABASE) as connection:
            connection.execute("DELETE FROM data_ingestion.market_data WHERE timestamp < '2012-06-01'")
        assert len(load("AAPL", source="yahoo")) < 250
        pd.testing.assert_frame_equal(load("AAPL", source="yahoo", as_known=moment), before)
        with pytest.raises(NotKnown, match=r"the history of yahoo/AAPL begins on .* \(revision 2\)"):
            load("AAPL", source="yahoo", as_known="2012-12-31 00:00Z")
        with pytest.raises(NotKnown, match=r"revision 1 among them, are not there"):
            load("AAPL", source="yahoo", as_known=RUN)
        pd.testing.assert_frame_equal(load(["AAPL"], source="yahoo", as_known=moment), before)


def test_runs_of_before_have_the_slots_that_they_were_scheduled_for(
    first_revision: Settings, postgres: Postgres
) -> None:
    assert migrate.upgrade(first_revision, postgres.url, "0007") == ("0001", "0007")
    ids = [f"6f1c7b1e-6a50-4a0c-9a37-6a9f4c0a7c{number}" for number in range(21, 26)]
    rows = [
        # The slot of 3 January failed, and was tried again; of those of the 4th one still runs.
        (ids[0], "deployment", "failed", ENDED, "sma-cross", "2024-01-03 22:30+00"),
        (ids[1], "deployment", "completed", ENDED, "sma-cross", "2024-01-03 22:30+00"),
        (ids[2], "deployment", "running", None, "sma-cross", "2024-01-04 22:30+00"),
        # By hand, and by a command.
        (ids[3], "deployment", "completed", ENDED, "sma-cross", None),
        (ids[4], "command", "completed", ENDED, None, None),
    ]
    with postgres.connect(DATABASE) as connection:
        for row in rows:
            connection.execute(
                "INSERT INTO workbench.runs (run_id, notebook, trigger, status, ended_at, deployment, "
                "scheduled_for) VALUES (%s, 'a.ipynb', %s, %s, %s, %s, %s)",
                row,
            )
    migrate.upgrade(first_revision, postgres.url)
    with Workbench(first_revision) as wb:
        listed = wb.deployments.slots()
        assert [f"{slot:%m-%d %H:%M}" for slot in listed["slot"]] == [
            "01-04 22:30",
            "01-03 22:30",
            "01-02 22:30",
        ]
        assert listed["state"].tolist() == ["running", "completed", "completed"]
        assert listed["run_id"].tolist() == [ids[2], ids[1], RUN]
        assert listed["attempts"].tolist() == [1, 2, 1]
        by_hand, command = wb.runs.show(ids[3]), wb.runs.show(ids[4])
        assert (by_hand["slot"], by_hand["purpose"]) == (None, "live")
        assert (command["slot"], command["purpose"]) == (None, None)
