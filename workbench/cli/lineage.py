"""The commands `workbench why` and `workbench runs of`: where rows come from, and who read a series."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from workbench.cli.looking import looking_workbench
from workbench.runs.why import Why
from workbench.terminal import SAY, as_json, print_plain, step, steps, table
from workbench.workbench import Workbench

__all__ = ["runs_of", "why"]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def why(
    of: Annotated[
        str, typer.Argument(metavar="ID", help="Of a run, a signal, an order, a trade or a report.")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Run it again on today's bars: would the row differ?")
    ] = False,
    json: Json = False,
) -> None:
    """Where a row comes from: the run, the cell, the parameters, the bars and what became of them."""
    if check:
        with Workbench() as wb, steps(f"Explaining {of}") as tell:
            tell("its notebook runs again on today's bars")
            _tell(wb.runs.why(of, check=True), json=json)
        return
    with looking_workbench() as wb:
        _tell(wb.runs.why(of), json=json)


def _tell(found: object, *, json: bool) -> None:
    assert isinstance(found, Why)
    if json:
        as_json(found.to_dict())
        return
    step(found.sentence())
    for name, value in found.lines():
        first, *more = value.split("\n")
        SAY.print(f"[bold]{escape(name)}[/] {escape(first)}", soft_wrap=True)
        for line in more:
            SAY.print(f"    {escape(line)}", soft_wrap=True)


def runs_of(
    series: Annotated[str, typer.Argument(help='The data source and the symbol: "yahoo/AAPL".')],
    since: Annotated[str | None, typer.Option(help='Begun then or later, UTC: "2026-11-27".')] = None,
    latest: Annotated[int, typer.Option(help="How many runs to list.")] = 20,
    json: Json = False,
) -> None:
    """The runs that read a series of bars, newest first, and how many of its bars have changed since."""
    with looking_workbench() as wb:
        found = wb.runs.of(series, since=since, latest=latest)
    if json:
        print_plain(found.to_json(orient="records", date_format="iso", default_handler=str))
        return
    if found.empty:
        step(f"no run read {series}" + (f" since {since}" if since else ""))
        return
    shown = found.assign(
        run=found["run_id"].str[:8],
        notebook=[Path(notebook).stem for notebook in found["notebook"]],
        by=[
            by if purpose in ("", "live") else f"{by} ({purpose})"
            for by, purpose in zip(
                found["deployment"].fillna(found["trigger"]), found["purpose"].fillna(""), strict=True
            )
        ],
        started=found["started_at"].dt.strftime("%Y-%m-%d %H:%M"),
        read=found["revision"],
        now=found["revision_now"].astype("str"),
        changed=[
            f"{changed:,}" if is_whole else f"at least {changed:,}"
            for changed, is_whole in zip(found["changed"], found["is_whole"], strict=True)
        ],
    )
    table(shown, ["run", "notebook", "by", "started", "read", "now", "changed"], flexible=["notebook", "by"])
