"""How long it takes to explain a row, and to list who read a series, in a database of years."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import SecretStr

from benchmarks import BenchmarkSize, Report, WrongResult
from benchmarks.server import Server, private_server
from benchmarks.turns import say

__all__ = ["run"]

_SERIES = 500
_READ = 20  # series of a run
_REVISIONS = 250  # of a series: a year of days
_PER_ROUND = 25

# Deployments with three versions each, whose runs read twenty series each, at a revision of some day.
_FILL = """
INSERT INTO workbench.deployment_versions
    (deployment, version, content, notebook, code_version, lock_sha256, made_by)
SELECT 'deployment-' || d, v, repeat('a', 64), 'strategies/one.ipynb', '1.0+gabc', repeat('b', 64), 'ann@lab'
FROM generate_series(1, {deployments}) d, generate_series(1, 3) v;
INSERT INTO workbench.deployments (name, version, changed_by)
SELECT 'deployment-' || d, 3, 'ann@lab' FROM generate_series(1, {deployments}) d;
INSERT INTO data_ingestion.ingestion_status
    (symbol, data_source, first_bar, last_bar, bars, revision)
SELECT 'SYM' || s, 'yahoo', '2020-01-01', timestamptz '2020-01-01' + interval '1 day' * {revisions},
       {revisions}, {revisions}
FROM generate_series(0, {series} - 1) s;
INSERT INTO data_ingestion.series_revisions
    (symbol, data_source, revision, kind, changed, first_bar, last_bar, bars, committed_at)
SELECT 'SYM' || s, 'yahoo', r, 'inserted', 1, '2020-01-01', timestamptz '2020-01-01' + interval '1 day' * r,
       r, timestamptz '2020-01-01' + interval '1 day' * r
FROM generate_series(0, {series} - 1) s, generate_series(1, {revisions}) r;
INSERT INTO data_ingestion.market_data_history
    (symbol, data_source, until_revision, timestamp, open, high, low, close, volume)
SELECT 'SYM' || s, 'yahoo', r, timestamptz '2020-01-01' + interval '1 day' * (r / 2), 1, 1, 1, 1, 1
FROM generate_series(0, {series} - 1) s, generate_series(5, {revisions}, 5) r;
INSERT INTO workbench.runs
    (run_id, notebook, parameters, trigger, status, deployment, deployment_version, slot, purpose,
     version_sha256, data_revisions, headline, evidence, started_at, ended_at)
SELECT md5('run' || n)::uuid, 'strategies/one.ipynb', '{{"fast": 10, "slow": 50}}', 'deployment', 'completed',
       'deployment-' || n % {deployments} + 1, 3, timestamptz '2020-01-01' + interval '1 minute' * n, 'live',
       repeat('a', 64),
       (SELECT jsonb_object_agg('yahoo/SYM' || (n + 7 * s) % {series}, 1 + n % ({revisions} - 1))
        FROM generate_series(1, {read}) s),
       '{{"sharpe_ratio": 1.0, "max_drawdown": -0.1}}',
       jsonb_build_object('saved_in', jsonb_build_array(jsonb_build_object(
           'cell', 5, 'table', 'strategy_engine.strategy_signals', 'owners',
           jsonb_build_array('strategy-' || n % {deployments} + 1), 'code', 'wb.save(result)')::text)),
       timestamptz '2020-01-01' + interval '1 minute' * n, timestamptz '2020-01-01' + interval '1 minute' * n
FROM generate_series(1, {runs}) n;
INSERT INTO strategy_engine.strategies (strategy_id, name)
SELECT 'strategy-' || d, 'S' FROM generate_series(1, {deployments}) d;
INSERT INTO strategy_engine.strategy_signals (signal_id, strategy_id, symbol, timestamp, signal, run_id)
SELECT 'signal-' || n, 'strategy-' || n % {runs} % {deployments} + 1, 'SYM' || n % {series},
       timestamptz '2020-01-01' + interval '1 minute' * n, 'buy', md5('run' || 1 + n % {runs})::uuid
FROM generate_series(1, {signals}) n;
"""
_FILLED = ("workbench", "strategy_engine", "data_ingestion")


def run(size: BenchmarkSize) -> Report:
    """Explain signals of random runs: a loaded row, one by its id, a hundred; and list a series' readers.

    `why_ms` and `runs_of_ms` are the 95th percentiles; the first of each is not counted.

    Raises
    ------
    WrongResult
        A row is said to be of another run, or a list has other runs.
    """
    from workbench import Workbench
    from workbench.settings import Settings

    with private_server() as server:
        say(f"filling: {size.explained_runs:,} runs, {size.explained_signals:,} signals")
        _fill(server, size)
        settings = Settings(home=server.folder / "mine", database_url=SecretStr(server.url))
        with Workbench(settings) as wb:
            random = np.random.default_rng(0)
            engine = wb.strategy_engine
            count = size.rounds * _PER_ROUND + 1

            def strategy() -> str:
                return f"strategy-{random.integers(size.explained_deployments) + 1}"

            def explain(many: int) -> float:
                rows = engine.load_strategy_signals(strategy(), latest=many)
                seconds, why = _timed(lambda: wb.why(rows))
                told = [why] if many == 1 else list(why)
                if [one.run["run_id"] for one in told] != rows["run_id"].tolist():
                    raise WrongResult("a row is said to be of another run")
                return seconds

            def by_name() -> float:
                name = f"signal-{random.integers(size.explained_signals) + 1}"
                return _timed(lambda: wb.why(name))[0]

            def readers() -> float:
                name = f"yahoo/SYM{random.integers(_SERIES)}"
                seconds, found = _timed(lambda: wb.runs.of(series=name))
                if found.empty or found["revision_now"].ne(_REVISIONS).any():
                    raise WrongResult(f"{name} was read by other runs")
                return seconds

            taken = {
                "a row": _repeated(lambda: explain(1), count),
                "a signal by its id": _repeated(by_name, count),
                "100 rows": _repeated(lambda: explain(100), size.rounds + 1),
                "who read a series": _repeated(readers, count),
            }
    rows = [(name, _percentile(times, 50), _percentile(times, 95)) for name, times in taken.items()]
    return Report(
        columns=(f"{size.explained_runs:,} runs, {size.explained_signals:,} signals", "median ms", "p95 ms"),
        rows=rows,
        figures={"why_ms": rows[0][2], "runs_of_ms": rows[3][2]},
    )


def _fill(server: Server, size: BenchmarkSize) -> None:
    counts = {
        "deployments": size.explained_deployments,
        "runs": size.explained_runs,
        "signals": size.explained_signals,
        "series": _SERIES,
        "read": _READ,
        "revisions": _REVISIONS,
    }
    with server.connect() as connection:
        # No foreign key is checked row by row: they are true by construction.
        connection.execute("SET session_replication_role = replica")
        for statement in _FILL.format(**counts).split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
        tables = connection.execute(
            "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY(%s)",
            (list(_FILLED),),
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"VACUUM (ANALYZE) {table}".encode())
        connection.execute("CHECKPOINT")


def _repeated(turn: Callable[[], float], count: int) -> list[float]:
    return [turn() for _ in range(count)][1:]


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    done = work()
    return time.perf_counter() - started, done


def _percentile(seconds: Sequence[float], of_hundred: int) -> float:
    """In milliseconds: of the sorted times the one that so many of a hundred do not exceed."""
    ordered = sorted(seconds)
    return ordered[math.ceil(len(ordered) * of_hundred / 100) - 1] * 1e3
