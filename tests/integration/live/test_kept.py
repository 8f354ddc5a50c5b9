"""Live rows and contradictions are changed, deleted and made up by nobody: no role, owner or replica."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.conftest import Connection
from tests.integration.live.conftest import DEPLOYMENT, Kernel, bars_of, say, slot
from workbench import Workbench
from workbench.errors import PermissionRefused

SIGNALS = "strategy_engine.strategy_signals"
BARS = {"AAPL": [100.0, 101.0, 99.0]}

CHANGES = [
    f"UPDATE {SIGNALS} SET signal = 'sell' WHERE kind = 'live'",
    f"UPDATE {SIGNALS} SET run_id = NULL",
    f"UPDATE {SIGNALS} SET kind = 'backtest', deployment = NULL, slot = NULL WHERE kind = 'live'",
    f"UPDATE {SIGNALS} SET kind = 'live', deployment = 'x', slot = now() WHERE kind = 'backtest'",
    f"DELETE FROM {SIGNALS} WHERE kind = 'live'",
    f"DELETE FROM {SIGNALS}",
    f"TRUNCATE {SIGNALS}",
    "TRUNCATE strategy_engine.strategies CASCADE",
    "DELETE FROM strategy_engine.strategies",
    "UPDATE strategy_engine.signal_contradictions SET cause = 'code'",
    "DELETE FROM strategy_engine.signal_contradictions",
    "TRUNCATE strategy_engine.signal_contradictions",
]


@pytest.fixture
def said(wb: Workbench, kernel: Kernel) -> None:
    """A slot that was said about and contradicted; a run of another slot that goes on."""
    bars = bars_of(BARS)
    first = kernel("2026-11-25")
    say(first, bars, end="crashed")
    say(kernel("2026-11-25"), bars_of({"AAPL": [100.0, 101.0, 102.0]}))
    assert len(wb.strategy_engine.load_signal_contradictions()) == 1


def _all(admin: Connection) -> list[object]:
    found: list[object] = []
    for table in ("strategy_signals", "signal_contradictions", "strategies"):
        found += admin.execute(f"SELECT * FROM strategy_engine.{table} ORDER BY id".encode()).fetchall()
    return found


def _refused(connection: Connection, statement: str) -> None:
    with pytest.raises((psycopg.errors.RaiseException, psycopg.DatabaseError)) as refused:
        connection.execute(statement.encode())
    assert refused.value.sqlstate in ("WB002", "42501", "23503", "0A000"), refused.value


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize(
    "role", ["workbench_strategy_engine", "workbench_readonly", "workbench_runs", "workbench_execution"]
)
def test_no_role_changes_what_was_said(
    admin: Connection, connect_as: Callable[[str], Connection], role: str
) -> None:
    before = _all(admin)
    connection = connect_as(role)
    for statement in CHANGES:
        _refused(connection, statement)
    assert _all(admin) == before


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize("replication", ["origin", "replica"])
def test_not_even_the_owner_does(admin: Connection, replication: str) -> None:
    admin.execute(f"SET session_replication_role = {replication}".encode())
    before = _all(admin)
    for statement in CHANGES:
        if replication == "replica" and statement == "DELETE FROM strategy_engine.strategies":
            continue  # a replica checks no foreign keys
        _refused(admin, statement)
    assert _all(admin) == before


def _insert(connection: Connection, run_id: object, **changes: object) -> None:
    values = {
        "signal_id": "made-up",
        "strategy_id": "rising",
        "symbol": "IBM",
        "timestamp": slot("2026-11-24"),
        "signal": "buy",
        "run_id": run_id,
        "kind": "live",
        "deployment": DEPLOYMENT,
        "slot": slot("2026-11-24"),
        "said_at": slot("2026-11-24"),
    } | changes
    columns = ", ".join(f'"{name}"' for name in values)
    connection.execute(
        f"INSERT INTO {SIGNALS} ({columns}) VALUES ({', '.join(['%s'] * len(values))})".encode(),
        list(values.values()),
    )


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize("as_owner", [False, True])
def test_no_live_row_is_made_up_by_sql(
    wb: Workbench,
    admin: Connection,
    connect_as: Callable[[str], Connection],
    kernel: Kernel,
    as_owner: bool,
) -> None:
    connection = admin if as_owner else connect_as("workbench_strategy_engine")
    if as_owner:
        admin.execute("SET session_replication_role = replica")
    ended = wb.strategy_engine.load_strategy_signals(kind="live")["run_id"].iloc[0]
    rehearsal, running = kernel("2026-11-24", purpose="rehearsal"), kernel("2026-11-24")
    words = (
        "is said by a running live run of that deployment and slot, when it saves a result; run .* is none"
    )
    for run_id, changes in (
        (None, {}),
        (ended, {"slot": slot("2026-11-25")}),
        (rehearsal.run_id, {}),
        (running.run_id, {"slot": slot("2026-11-23")}),
        (running.run_id, {"deployment": "other"}),
        (running.run_id, {"member": "IBM"}),
    ):
        with pytest.raises(psycopg.DatabaseError, match=words) as refused:
            _insert(connection, run_id, **changes)
        assert refused.value.sqlstate == "WB002"
    with pytest.raises(
        psycopg.DatabaseError, match="is of a bar that was complete then, and not of the bar at"
    ):
        _insert(connection, running.run_id, timestamp=slot("2026-11-25"))
    # What a running live run may say, it says now, whatever time and version are given.
    _insert(connection, running.run_id, version="b" * 64)
    (row,) = admin.execute(
        "SELECT said_at > now() - interval '5 minutes', version FROM strategy_engine.strategy_signals "
        "WHERE signal_id = 'made-up'"
    ).fetchall()
    assert row == (True, None)


@pytest.mark.usefixtures("said")
def test_a_write_of_the_id_of_a_live_row_says_why_it_is_refused(wb: Workbench) -> None:
    rows = wb.strategy_engine.load_strategy_signals(kind="live")
    frame = rows[["signal_id", "strategy_id", "symbol", "timestamp"]].assign(signal="buy")
    with pytest.raises(PermissionRefused, match="keeps what was said as it was said"):
        wb.strategy_engine.write_strategy_signals(frame)
