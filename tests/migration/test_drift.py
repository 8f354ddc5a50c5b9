"""The migrations and the declared tables say the same, and `check` notices where a database does not."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tests.conftest import Connection
from workbench import Workbench
from workbench.db import migrate
from workbench.db.roles import SERVICES
from workbench.settings import Settings
from workbench.tables.constraints import RULES
from workbench.tables.types import METADATA


def test_all_migrations_together_make_the_declared_tables(
    database_settings: Settings, database_url: str
) -> None:
    assert migrate.check(database_settings, database_url) == []


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        (
            "ALTER TABLE strategy_engine.strategies DROP COLUMN name",
            "add column: strategy_engine, strategies",
        ),
        ("ALTER TABLE logging.system_logs ADD COLUMN extra text", "remove column: logging, system_logs"),
        (
            "ALTER TABLE data_ingestion.market_data ALTER COLUMN close TYPE numeric(15, 4)",
            "modify type: data_ingestion, market_data, close",
        ),
        (
            "ALTER TABLE strategy_engine.strategy_performance ALTER COLUMN returns DROP NOT NULL",
            "modify nullable: strategy_engine, strategy_performance, returns",
        ),
        (
            "ALTER TABLE strategy_engine.strategies ALTER COLUMN status SET DEFAULT 'active'",
            "default of strategy_engine.strategies.status: the database has active, the table inactive",
        ),
        (
            "ALTER TABLE logging.trading_logs ALTER COLUMN timestamp DROP DEFAULT",
            "default of logging.trading_logs.timestamp: the database has None, the table now()",
        ),
        (
            "ALTER TABLE workbench.events ALTER COLUMN event_id DROP IDENTITY",
            "default of workbench.events.event_id",
        ),
        ("DROP INDEX strategy_engine.strategy_signals_strategy_idx", "add index: "),
        ("DROP INDEX workbench.runs_live_slot_key", "add index: "),
        ("CREATE INDEX extra_idx ON logging.system_logs (service)", "remove index: "),
        (
            "ALTER TABLE data_ingestion.ingestion_status DROP CONSTRAINT ingestion_status_key",
            "add constraint: ",
        ),
        (
            "ALTER TABLE strategy_engine.strategy_signals DROP CONSTRAINT strategy_signals_run_id_fkey",
            "add fk: ",
        ),
        (
            "ALTER TABLE execution.orders ALTER COLUMN side TYPE text USING side::text",
            "modify type: execution, orders, side",
        ),
        (
            "ALTER TYPE execution.order_status ADD VALUE 'expired'",
            "enum execution.order_status: the database has ['pending', 'submitted', 'filled', 'partially_fi",
        ),
        (
            "ALTER TYPE execution.order_side RENAME VALUE 'buy' TO 'bid'",
            "enum execution.order_side: the database has ['bid', 'sell'], the tables ['buy', 'sell']",
        ),
        (
            "ALTER TABLE execution.orders ALTER COLUMN status SET DEFAULT 'submitted'",
            "default of execution.orders.status: the database has submitted, the table pending",
        ),
        (
            "ALTER TABLE execution.trades DROP CONSTRAINT trades_order_id_fkey",
            "add fk: ",
        ),
        (
            "ALTER TABLE analytics.reports ALTER COLUMN file TYPE text USING encode(file, 'hex')",
            "modify type: analytics, reports, file",
        ),
        (
            (
                "ALTER TABLE analytics.performance_metrics DROP CONSTRAINT performance_metrics_key, "
                "ADD CONSTRAINT performance_metrics_key "
                "UNIQUE (strategy, metric, period_start, period_end, run_id)"
            ),
            "remove constraint: ",
        ),
        ("DROP TABLE logging.performance_logs", "add table: logging.performance_logs"),
        ("CREATE TABLE logging.extra (id int)", "remove table: logging.extra"),
    ],
)
def test_check_says_where_a_database_differs(
    database_settings: Settings, database_url: str, admin: Connection, drift: str, said: str
) -> None:
    admin.execute(drift.encode())
    found = migrate.check(database_settings, database_url)
    assert any(sentence.startswith(said) for sentence in found), found


def test_every_check_constraint_has_its_sentence_and_every_sentence_its_constraint(
    admin: Connection,
) -> None:
    rows = admin.execute(
        "SELECT DISTINCT c.conname FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace "
        "WHERE c.contype = 'c' AND n.nspname = ANY (%s)",
        [list(migrate.SCHEMAS)],
    ).fetchall()
    assert {name for (name,) in rows} == set(RULES)


def test_every_table_of_a_service_has_its_loader_and_its_writer(wb: Workbench) -> None:
    """What each is called is the design's: `wb.<service>.load_<table>` and `write_<table>`."""
    tables = [table for table in METADATA.sorted_tables if table.schema != "workbench"]
    assert {table.schema for table in tables} == set(SERVICES)
    for table in tables:
        service = getattr(wb, str(table.schema))
        assert callable(getattr(service, f"load_{table.name}", None)), table
        kept = bool(table.info.get("kept_by_triggers"))
        assert callable(getattr(service, f"write_{table.name}", None)) is not kept, table


# The table of schemas in the project's design.
DESIGN = {
    "data_ingestion": ["market_data", "data_quality_logs", "ingestion_status"],
    "strategy_engine": ["strategies", "strategy_signals", "strategy_configs", "strategy_performance"],
    "execution": ["orders", "trades", "positions", "execution_logs"],
    "risk_management": ["risk_limits", "risk_events", "position_limits"],
    "analytics": ["performance_metrics", "reports", "analytics_cache"],
    "notification": ["alert_configs", "notification_logs"],
    "logging": ["system_logs", "trading_logs", "performance_logs"],
}


@pytest.mark.filterwarnings("ignore::workbench.errors.NoBarsWarning")
def test_the_database_has_the_22_tables_of_the_design(admin: Connection, wb: Workbench) -> None:
    names = [f"{schema}.{table}" for schema, tables in DESIGN.items() for table in tables]
    assert len(names) == 22
    assert set(names) <= {str(table) for table in METADATA.sorted_tables}
    for name in names:
        schema, table = name.split(".")
        admin.execute(f"SELECT 1 FROM {name}".encode())
        assert getattr(getattr(wb, schema), f"load_{table}")().empty
        assert callable(getattr(getattr(wb, schema), f"write_{table}"))


# The column contract of the core tables in the project's design; what the project adds stands apart.
CONTRACT = {
    "execution.orders": (
        "id order_id account_id symbol side order_type quantity price status strategy created_at updated_at",
        "run_id",
    ),
    "execution.trades": (
        "id trade_id order_id account_id symbol quantity price commission executed_at strategy created_at",
        "run_id",
    ),
    "execution.positions": (
        "id account_id symbol quantity avg_price market_value unrealized_pnl last_updated created_at",
        "run_id",
    ),
}


@pytest.mark.parametrize("name", CONTRACT)
def test_a_core_table_has_the_columns_of_its_contract(admin: Connection, name: str) -> None:
    rows = admin.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema || '.' || table_name = %s",
        [name],
    ).fetchall()
    contract, added = CONTRACT[name]
    assert {column for (column,) in rows} == set(f"{contract} {added}".split())


def test_the_enums_hold_what_the_design_says(admin: Connection) -> None:
    for name, values in {
        "order_side": ["buy", "sell"],
        "order_type": ["market", "limit", "stop", "stop_limit"],
        "order_status": ["pending", "submitted", "filled", "partially_filled", "cancelled", "rejected"],
    }.items():
        stored = admin.execute(f"SELECT unnest(enum_range(NULL::execution.{name}))::text".encode())
        assert [value for (value,) in stored.fetchall()] == values


DTYPES = {
    "NUMERIC(20, 8)": "float64",
    "NUMERIC(24, 8)": "float64",
    "DOUBLE": "float64",
    "BIGINT": "int64",
    "INTEGER": "int64",
    "BOOLEAN": "bool",
    "TEXT": "str",
    "CHAR(32)": "str",  # what SQLAlchemy calls a UUID where it knows of no database
    "TIMESTAMP": "datetime64[us, UTC]",
    "DATE": "datetime64[s]",
    "JSONB": "object",
    "BLOB": "object",  # what SQLAlchemy calls bytes where it knows of no database
}
"""As documented in `workbench.db.columns`; a BIGINT that may be NULL is Int64."""


def test_every_loader_gives_an_empty_frame_with_the_tables_columns_and_dtypes(wb: Workbench) -> None:
    for table in METADATA.sorted_tables:
        if table.schema == "workbench" or table.name == "market_data":
            continue
        frame = getattr(getattr(wb, str(table.schema)), f"load_{table.name}")()
        assert frame.empty
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
            # What the triggers keep for the cache of bars is not for people.
            column.name: _documented_dtype(column)
            for column in table.columns
            if column.name != "lineage"
        }


def _documented_dtype(column: sa.Column[Any]) -> str:
    kind = "str" if isinstance(column.type, sa.Enum) else DTYPES[str(column.type)]
    return "Int64" if kind == "int64" and column.nullable else kind


def test_every_year_has_its_partition_and_no_timestamp_is_without_one(
    admin: Connection, wb: Workbench
) -> None:
    admin.execute(
        "INSERT INTO data_ingestion.market_data "
        "(symbol, timestamp, open, high, low, close, volume, data_source) "
        "SELECT 'X', t, 1, 1, 1, 1, 0, 'file' FROM unnest(ARRAY['0001-01-01', '1989-12-31', '1990-01-01', "
        "'2039-12-31 23:59:59', '2040-01-01', '9999-12-31']::timestamptz[]) t"
    )
    stored = admin.execute(
        "SELECT tableoid::regclass::text FROM data_ingestion.market_data ORDER BY timestamp"
    ).fetchall()
    assert [name.rpartition("_")[2] for (name,) in stored] == ["1990", "1990", "1990", "2039", "2040", "2040"]
    assert len(wb.data_ingestion.load_market_data("X")) == 6
