"""The demo: the whole workflow on real prices, each step checked, with a short summary at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from workbench.demo_said import said_of, show_said, why_said
from workbench.errors import DemoFailed
from workbench.paths import shipped
from workbench.project import the_project
from workbench.promotion.once import add_run_at, await_started, remove_schedule
from workbench.promotion.records import Deployment, FlowRun
from workbench.promotion.trigger import wait
from workbench.settings import Settings
from workbench.stack import Endpoints, Stack, prefect_environment
from workbench.stack.environment import process_environment
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.schedules import in_zone, next_run_of
from workbench.tables.data_ingestion import market_data
from workbench.tables.strategy_engine import strategies, strategy_performance, strategy_signals
from workbench.terminal import SAY, note, step, steps
from workbench.workbench import Workbench

__all__ = ["Demo", "DemoFailed", "Report", "summary"]

SYMBOLS = ("AAPL", "IBM", "MSFT", "GOOG", "FB")
BARS = 12_154
NOTEBOOK = "strategies/sma_cross.ipynb"
DEPLOYMENT = "sma-cross-demo"
CRON = "30 17 * * mon-fri"
TIMEZONE = "America/New_York"
_RUN_PATIENCE = 300.0
_EVENT_PATIENCE = 30.0
_PLAN_PATIENCE = 90.0
# Prefect plans within five seconds.
_SOON = 8.0


@dataclass
class Report:
    """What the demo did; `--json` prints `facts`."""

    facts: dict[str, Any] = field(default_factory=dict)
    headline: dict[str, float | None] = field(default_factory=dict)
    html: str = ""
    prefect_ui_url: str | None = None
    prefect_sign_in: str | None = None
    seconds: float = 0.0
    kept: bool = False


class Demo:
    """One pass of the whole workflow.

    Parameters
    ----------
    settings : Settings
    keep : bool
        Leave the servers running at the end. Those that ran before are left in any case.
    """

    def __init__(self, settings: Settings, *, keep: bool) -> None:
        self._settings = settings
        self._project = the_project()
        self._keep = keep
        self._stack = Stack(settings)
        self._next_run: datetime | None = None

    def run(self) -> Report:
        """Do every step, and check that it had its effect.

        Raises
        ------
        WorkbenchError
            A step failed; the error says which and why.
        """
        started = time.monotonic()
        report = Report(kept=self._keep or self._stack.is_up())
        try:
            with _step("Servers", "PostgreSQL, Valkey, Prefect, a worker and the event relay are up") as tell:
                endpoints = self._stack.up(tell)
            with Workbench(self._settings) as wb:
                self._ingest(wb)
                first = self._run_in_flow(wb, endpoints)
                second, third = self._promote(wb, endpoints)
                runs = [wb.runs.show(run_id) for run_id in (first, second, third)]
                events = self._await_events(wb, {first, second, third})
                report.facts = _facts(wb, runs, events, self._next_run)
            report.headline = runs[0]["headline"]
            report.html = runs[0]["html_path"]
            report.prefect_ui_url = endpoints.prefect_ui_url
            report.prefect_sign_in = endpoints.prefect_auth_string
        finally:
            if not report.kept:
                with _step("Stopping", "everything is stopped; what was made stays") as tell:
                    self._stack.down(tell)
        report.seconds = time.monotonic() - started
        return report

    def _ingest(self, wb: Workbench) -> None:
        with _step("Prices", f"{BARS:,} daily bars of {', '.join(SYMBOLS)}, raw and adjusted") as tell:
            wb.ingest(
                list(SYMBOLS),
                source="sample",
                progress=lambda one: tell(f"{one.symbol} ({one.data_source}): {one.written}"),
            )
            for source in ("yahoo", "yahoo_adjusted"):
                found = len(
                    wb.data_ingestion.load_market_data(list(SYMBOLS), source=source, fields=["close"])
                )
                if found != BARS:
                    raise DemoFailed(f"{found:,} bars of {source} are stored, {BARS:,} were expected")

    def _run_in_flow(self, wb: Workbench, endpoints: Endpoints) -> str:
        """The notebook, headless, inside a Prefect flow in a process of its own; return its run's id."""
        before = set(wb.runs.list(latest=1000, notebook=NOTEBOOK)["run_id"])
        with _step("Backtest", f"{NOTEBOOK} ran headless inside a Prefect flow"):
            environment = process_environment(self._settings, prefect_environment(self._settings, endpoints))
            flow = str(shipped("flows") / "run_notebook.py")
            try:
                done = subprocess.run(
                    [sys.executable, flow, NOTEBOOK, "--parameters", '{"symbols": ["AAPL"]}'],
                    cwd=self._project,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=_RUN_PATIENCE,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise DemoFailed(
                    f"the flow did not end in {_RUN_PATIENCE:.0f} s and was stopped; try: workbench doctor"
                ) from error
            if done.returncode:
                said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
                raise DemoFailed(f"the flow failed: {said[-1] if said else f'exit code {done.returncode}'}")
            after = wb.runs.list(latest=1000, notebook=NOTEBOOK)
            mine = after[~after["run_id"].isin(before) & (after["trigger"] == "command")]
            if mine.empty or mine["status"].iloc[0] != "completed":
                raise DemoFailed("the flow ended, but no completed run of the notebook is recorded")
            return str(mine["run_id"].iloc[0])

    def _promote(self, wb: Workbench, endpoints: Endpoints) -> tuple[str, str]:
        """Deploy the notebook; return the ids of two runs: one asked for, one started by the schedule."""
        prefect = PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string)
        with _step("Gates", "it says the same twice, without the future and with another one") as tell:
            deployment = wb.promote(
                NOTEBOOK,
                name=DEPLOYMENT,
                cron=CRON,
                timezone=TIMEZONE,
                parameters={"symbols": ["AAPL", "IBM", "MSFT"]},
                progress=tell,
            )
        for gate in deployment.gates:
            note(str(gate))
        with _step(
            "Promotion", f"deployed as {DEPLOYMENT}: {CRON}, {TIMEZONE}; a run asked for completed"
        ) as tell:
            asked = wb.deployments.trigger(deployment, timeout_seconds=_RUN_PATIENCE, progress=_changes(tell))
            second = _recorded(wb, asked)
        # Its own schedule comes at half past five; a second one comes once, in a few seconds. Not before the
        # run that was asked for has ended: that one would be for the newest slot, this one's.
        moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=_SOON)
        once = add_run_at(prefect, deployment, moment)
        with _step("Schedule", f"its run of {moment:%H:%M:%S} UTC was started by the schedule") as tell:
            begun = await_started(
                prefect, deployment, moment, timeout_seconds=_RUN_PATIENCE, progress=_changes(tell)
            )
            remove_schedule(prefect, deployment, once)
            third = _recorded(
                wb, wait(prefect, begun, timeout_seconds=_RUN_PATIENCE, progress=_changes(tell))
            )
            self._await_plan(prefect, deployment, tell)
        return second, third

    def _await_plan(self, prefect: PrefectApi, deployment: Deployment, tell: Any) -> None:
        tell("waiting for Prefect to plan the next run")
        deadline = time.monotonic() + _PLAN_PATIENCE
        while (moment := next_run_of(prefect, deployment.deployment_id)) is None:
            if time.monotonic() > deadline:
                raise DemoFailed(f"Prefect has planned no run of {deployment.name}; try: workbench doctor")
            time.sleep(0.2)
        self._next_run = moment

    def _await_events(self, wb: Workbench, run_ids: set[str]) -> dict[str, int]:
        """Wait until the events of these runs stand in the stream; return the counts by type."""
        with _step("Events", "what was written and has run was told on Redis"):
            deadline = time.monotonic() + _EVENT_PATIENCE
            while True:
                told = {
                    str(event.data.get("run_id"))
                    for event in wb.events.recent(500)
                    if event.type == "notebook_run.completed"
                }
                if run_ids <= told:
                    return wb.events.counts()
                if time.monotonic() > deadline:
                    raise DemoFailed(
                        "the runs' events did not arrive on Redis; is the relay running? workbench status"
                    )
                time.sleep(0.2)


def _recorded(wb: Workbench, ended: FlowRun) -> str:
    """The id of the notebook run that a flow run recorded; both must have completed."""
    if ended.state != "COMPLETED":
        raise DemoFailed(f"the deployment's run {ended.name} ended {ended.state.lower()}: {ended.message}")
    with wb.runs.pool.begin() as connection:
        run_id = connection.execute(
            sa.text(
                "SELECT run_id FROM workbench.runs WHERE flow_run_id = :flow_run AND status = 'completed'"
            ),
            {"flow_run": ended.flow_run_id},
        ).scalar()
    if run_id is None:
        raise DemoFailed(f"flow run {ended.name} completed, but its notebook's run is not recorded")
    return str(run_id)


def _facts(
    wb: Workbench, runs: list[dict[str, Any]], events: dict[str, int], next_run: datetime | None
) -> dict[str, Any]:
    with wb.strategy_engine.pool.begin() as connection:
        bars = connection.execute(
            sa.select(market_data.c.data_source, sa.func.count())
            .group_by(market_data.c.data_source)
            .order_by(market_data.c.data_source)
        ).all()
        counts = {
            table.name: connection.execute(
                sa.select(sa.func.count()).select_from(table).where(*where)
            ).scalar_one()
            for table, where in (
                (strategies, ()),
                (strategy_signals, (strategy_signals.c.kind == "backtest",)),
                (strategy_performance, (strategy_performance.c.kind == "backtest",)),
            )
        }
        waiting = sa.select(sa.func.count()).select_from(strategy_signals).where(strategy_signals.c.pending)
        pending = connection.execute(waiting).scalar_one()
    for name, count in counts.items():
        if not count:
            raise DemoFailed(f"no row was written to {name}")
    scheduled = next(run for run in runs if run["scheduled_for"] is not None)
    return {
        "bars": {str(source): int(count) for source, count in bars},
        "strategies": counts["strategies"],
        "signals": counts["strategy_signals"],
        "pending": pending,
        "performance": counts["strategy_performance"],
        "runs": [_run_facts(run) for run in runs if run["scheduled_for"] is None],
        "scheduled_run": _run_facts(scheduled)
        | {"scheduled_for": scheduled["scheduled_for"], "started_at": scheduled["started_at"]},
        "said": said_of(wb, DEPLOYMENT, scheduled["run_id"]),
        "why": why_said(wb, DEPLOYMENT),
        "deployment": {
            "name": DEPLOYMENT,
            "schedule": CRON,
            "timezone": TIMEZONE,
            "next_run": next_run,
        },
        "events": events,
    }


def _run_facts(run: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": run["run_id"],
        "notebook": run["notebook"],
        "status": run["status"],
        "output": run["output_path"],
        "html": run["html_path"],
    }


def summary(report: Report) -> None:
    """Print what the demo did, where its files are, and what to type next."""
    facts, headline = report.facts, report.headline
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(justify="right")
    for source, count in facts["bars"].items():
        rows.add_row(f"bars, {source}", f"{count:,}")
    rows.add_row("strategies", f"{facts['strategies']:,}")
    rows.add_row("signals", f"{facts['signals']:,}")
    rows.add_row("pending for the next bar", f"{facts['pending']:,}")
    rows.add_row("days of performance", f"{facts['performance']:,}")
    rows.add_row("events on Redis", f"{sum(facts['events'].values()):,} of {len(facts['events'])} types")
    figures = Table.grid(padding=(0, 2))
    figures.add_column(no_wrap=True)
    figures.add_column(justify="right")
    for label, name, form in (
        ("return", "total_return", "{:+.1%}"),
        ("buy and hold", "benchmark_return", "{:+.1%}"),
        ("Sharpe", "sharpe_ratio", "{:.2f}"),
        ("max drawdown", "max_drawdown", "{:.1%}"),
        ("trades", "total_trades", "{:.0f}"),
        ("win rate", "win_rate", "{:.0%}"),
    ):
        value = headline.get(name)
        figures.add_row(label, "–" if value is None else form.format(value))
    both = Table.grid(padding=(0, 3))
    both.add_row("[bold]In the database[/]", "[bold]SMA 20/50 on AAPL[/]")
    both.add_row(rows, figures)
    SAY.print(
        Panel(both, title="workbench demo", subtitle=f"{report.seconds:.0f} s", expand=False, padding=(1, 2))
    )
    show_said(facts["said"], facts["why"])
    SAY.print()
    deployment = facts["deployment"]
    running = "" if report.kept else "  [dim](while the servers run)[/]"
    for label, what in (
        ("page", escape(report.html)),
        ("notebook", escape(str(facts["runs"][0]["output"]))),
        ("schedule", f"{deployment['name']}: {deployment['schedule']} ({deployment['timezone']})"),
        ("next run", in_zone(deployment["next_run"], deployment["timezone"]) + running),
        ("Prefect", f"{report.prefect_ui_url}{running}"),
        ("sign in", escape(report.prefect_sign_in or "not needed")),
    ):
        SAY.print(f"[bold]{label:<9}[/] {what}", soft_wrap=True)
    SAY.print("\n[bold]Next[/]")
    command = _command()
    for words, what in (
        ("lab", "JupyterLab at 00_start_here.ipynb"),
        ("up --detach", "start the servers again; the schedule runs while they do"),
        ("runs list", "what ran, and how it went"),
        ("run strategies/sma_cross.ipynb -p symbols=MSFT -p fast=10", "the same strategy, other parameters"),
    ):
        SAY.print(f"  {command} {words:<58} [dim]{what}[/]", soft_wrap=True)


def _command() -> str:
    """How to type this environment's command: by its bare name only if that is on PATH."""
    beside = Path(sys.executable).with_name("workbench")
    on_path = any(Path(folder) == beside.parent for folder in os.environ.get("PATH", "").split(os.pathsep))
    if on_path or not beside.exists():
        return "workbench"
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)


@contextmanager
def _step(title: str, done: str) -> Iterator[Any]:
    with steps(title) as tell:
        started = time.monotonic()
        yield tell
    step(f"{title}: {done} ({time.monotonic() - started:.1f} s)")


def _changes(tell: Any) -> Any:
    """Report a flow run's state only when it changes."""
    last = ""

    def progress(run: Any) -> None:
        nonlocal last
        if run.state != last:
            last = run.state
            tell(f"{run.name}: {run.state.lower()}")

    return progress
