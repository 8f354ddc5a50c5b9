"""The commands `workbench runs`: the records of runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.markup import escape

from workbench.cli.looking import looking_workbench
from workbench.terminal import SAY, TELL, as_json, note, print_plain, step, steps, table
from workbench.workbench import Workbench

__all__ = ["runs"]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

_SHOWN = 20

runs = typer.Typer(help="Run records: which notebook, parameters and data made which rows.")


@runs.command("list")
def list_runs(
    latest: Annotated[int, typer.Option(help="How many runs to list.")] = 20,
    notebook: Annotated[str | None, typer.Option(help="Part of the notebook's path.")] = None,
    status: Annotated[
        str | None, typer.Option(help="running, completed, failed, crashed or cancelled.")
    ] = None,
    deployment: Annotated[str | None, typer.Option(help="The deployment's name.")] = None,
    slot: Annotated[str | None, typer.Option(help='When it was due, UTC: "2026-11-27 22:30".')] = None,
    json: Json = False,
) -> None:
    """The newest runs, newest first."""
    with looking_workbench() as wb:
        found = wb.runs.list(
            latest=latest, notebook=notebook, status=status, deployment=deployment, slot=slot
        )
        others = wb.runs.list(latest=1_000) if found.empty else found
    if found.empty and not others.empty:
        told = {"notebooks": others["notebook"], "statuses": others["status"]}
        there = "; ".join(f"{what}: {', '.join(values.unique()[:20])}" for what, values in told.items())
        note(f"no run matches; the newest runs are of the {there}")
    if json:
        print_plain(found.to_json(orient="records", date_format="iso", default_handler=str))
        return
    if found.empty:
        if others.empty:
            step("no runs yet; try: workbench run strategies/sma_cross.ipynb")
        return
    shown = found.assign(
        run=found["run_id"].str[:8],
        notebook=[Path(notebook).stem for notebook in found["notebook"]],
        started=found["started_at"].dt.strftime("%Y-%m-%d %H:%M"),
        seconds=[
            "" if pd.isna(length) else f"{length.total_seconds():.1f}"
            for length in found["ended_at"] - found["started_at"]
        ],
        sharpe=[
            "" if headline.get("sharpe_ratio") is None else f"{headline['sharpe_ratio']:.2f}"
            for headline in found["headline"]
        ],
        by=found["deployment"].fillna(found["trigger"]),
        status=[_status(run) for run in found.itertuples()],
        slot=[
            "" if pd.isna(slot) else f"{slot:%m-%d %H:%M}{'' if purpose == 'live' else f' {purpose}'}"
            for slot, purpose in zip(found["slot"], found["purpose"], strict=True)
        ],
    )
    # Only where a run has one: a terminal is narrow.
    for_slots = ["slot"] if found["slot"].notna().any() else []
    table(
        shown,
        ["run", "notebook", "by", *for_slots, "status", "started", "seconds", "sharpe"],
        flexible=["notebook", "by"],
    )
    for run in shown[shown["error"].notna()].itertuples():
        TELL.print(f"[red]{run.run}[/] {escape(str(run.error).splitlines()[0])}", soft_wrap=True)


def _status(run: Any) -> str:
    """The status; of a run that goes on also where it is, and what memory it has."""
    if run.status != "running" or pd.isna(run.cells):
        return str(run.status)
    at = f"running, cell {run.cell:.0f} of {run.cells:.0f}" if not pd.isna(run.cell) else "running"
    return at if pd.isna(run.memory_bytes) else f"{at}, {run.memory_bytes / 1e6:,.0f} MB"


@runs.command("reap")
def reap_runs(json: Json = False) -> None:
    """Find runs whose process, machine or heartbeat is gone, and end them in the records and in Prefect."""
    with looking_workbench() as wb:
        done = wb.runs.reap()
    if json:
        as_json([asdict(one) for one in done])
        return
    for one in done:
        step(one.what)
    if not done:
        step("nothing to reap: every run that is running has a process that is alive")


@runs.command("open")
def open_run(
    run_id: Annotated[str, typer.Argument(help="The first characters are enough.")],
) -> None:
    """Fetch a run's page and output notebook, and say where they are; at a terminal, open the page."""
    with looking_workbench() as wb:
        opened = wb.runs.open(run_id)
    for path in (opened.page, opened.notebook):
        if path is not None:
            print_plain(str(path))
    if SAY.is_terminal:
        typer.launch(str(opened.page or opened.notebook))


@runs.command("show")
def show_run(
    run_id: Annotated[str, typer.Argument(help="The first characters are enough.")], json: Json = False
) -> None:
    """Everything that was recorded of one run."""
    with looking_workbench() as wb:
        run = wb.runs.show(run_id)
    if json:
        as_json(run)
        return
    for name, value in run.items():
        if isinstance(value, dict):
            SAY.print(f"[bold]{name}[/]")
            for inner, item in value.items():
                SAY.print(f"  {escape(str(inner))}: {escape(str(item))}", soft_wrap=True)
        elif isinstance(value, list):
            if value:
                SAY.print(f"[bold]{name}[/]")
            for item in value:
                SAY.print(f"  {escape(str(item))}", soft_wrap=True)
        elif value is not None:
            SAY.print(f"[bold]{name}[/] {escape(str(value))}", soft_wrap=True)


@runs.command("rerun")
def rerun_run(
    run_id: Annotated[str, typer.Argument(help="The first characters are enough.")],
    today: Annotated[
        bool, typer.Option("--today", help="On today's bars, instead of those that the run knew.")
    ] = False,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which it is killed.")] = None,
    json: Json = False,
) -> None:
    """Run a run again, and tell what differs; what it writes is undone."""
    with Workbench() as wb, steps(f"Running {run_id} again") as tell:
        result = wb.runs.rerun(
            run_id,
            exact=not today,
            timeout_seconds=timeout,
            progress=lambda done, total, what: tell(f"{done} of {total} done; {what}"),
        )
    if json:
        as_json(
            {
                "run_id": result.run_id,
                "rerun_id": result.rerun_id,
                "exact": result.exact,
                "same": result.same,
                "rows": result.rows,
                "differences": result.differences.to_dict("records"),
                "revised": result.revised.assign(
                    first=result.revised["first"].astype(str), last=result.revised["last"].astype(str)
                ).to_dict("records"),
                "notes": list(result.notes),
                "html": str(result.html),
            }
        )
        return
    step(result.sentence())
    if not result.differences.empty:
        shown = result.differences.head(_SHOWN).fillna("")
        table(shown, ["table", "key", "column", "before", "now"], flexible=["key", "before", "now"])
    if len(result.differences) > _SHOWN:
        note(f"and {len(result.differences) - _SHOWN:,} more; --json tells up to a thousand")
    for one in result.revised.itertuples():
        step(f"{one.series}: {one.bars:,} bars revised since, from {one.first} to {one.last}")
    for text in result.notes:
        note(text)
    step(f"rerun {result.rerun_id}, of which nothing was kept but its record")
    step(f"page  {result.html}")
