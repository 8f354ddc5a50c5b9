"""The commands `workbench deployments`: what runs by schedule, its versions, and changes of it."""

from __future__ import annotations

from typing import Annotated, Any

import pandas as pd
import typer
from rich.markup import escape

from workbench.cli.looking import looking_workbench
from workbench.promotion.records import Deployment
from workbench.stack.schedules import in_zone
from workbench.terminal import SAY, as_json, note, print_plain, step, steps, table, warn
from workbench.workbench import Workbench

__all__ = ["deployments"]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Name = Annotated[str, typer.Argument(help="The deployment's name.")]
Note = Annotated[str | None, typer.Option(help="What you say of this version, such as why.")]
Reason = Annotated[str | None, typer.Option(help="Why; `show` tells it.")]

deployments = typer.Typer(
    help="Deployments: what runs by schedule, how it went, what it said; versions, and the way back."
)


@deployments.command("list")
def list_deployments(json: Json = False) -> None:
    """Every deployment: its state, its last slot and what it said then, and when it runs next."""
    with looking_workbench() as wb:
        found = wb.deployments.list()
    if json:
        _frame_json(found)
        return
    if found.empty:
        step('nothing is deployed; try: workbench promote strategies/sma_cross.ipynb --name sma --cron "…"')
        return
    shown = found.assign(
        version=[_number(value) for value in found["version"]],
        said=[_said(one) for one in found[["buy", "sell", "hold"]].itertuples(index=False)],
        last_slot=[_moment(value) for value in found["last_slot"]],
        next_run=[_moment(value) for value in found["next_run"]],
        outcome=found["outcome"].fillna(""),
    )
    table(
        shown,
        ["name", "state", "version", "last_slot", "outcome", "said", "next_run", "schedules"],
        flexible=["name", "schedules"],
    )
    note("times are UTC; said: buy/sell/hold, live, of how many symbols for the last slot")
    for one in found.itertuples():
        if isinstance(one.problem, str) and one.problem:
            warn(f"{one.name}: {one.problem}")
    if found["problem"].isna().any():
        note("Prefect does not run, so that late runs and its plans are unknown: workbench up")


@deployments.command("show")
def show(name: Name, json: Json = False) -> None:
    """Everything about one: schedule, parameters, gates, who and why, environment, slots, problems."""
    with looking_workbench() as wb:
        found = wb.deployments.show(name)
    if json:
        as_json(found.to_json())
        return
    for what, value in found.rows():
        if what == "problem":
            warn(value)
        else:
            SAY.print(f"[bold]{escape(what)}[/]: {escape(value)}", soft_wrap=True)


@deployments.command("versions")
def versions(name: Name, json: Json = False) -> None:
    """All versions, newest first: what, who, when and why."""
    with looking_workbench() as wb:
        found = wb.deployments.versions(name)
    if json:
        _frame_json(found)
        return
    shown = found.assign(
        made_at=[_moment(value) for value in found["made_at"]],
        content=found["content"].str[:12].fillna(""),
        note=found["note"].fillna(""),
    )
    table(
        shown,
        ["version", "use", "made", "made_at", "made_by", "content", "schedule", "note"],
        flexible=["made_by", "schedule", "note"],
    )


@deployments.command("diff")
def diff(
    name: Name,
    a: Annotated[int | None, typer.Argument(help="A version; default: the one before the other.")] = None,
    b: Annotated[int | None, typer.Argument(help="Another; default: the one in use.")] = None,
    json: Json = False,
) -> None:
    """What differs between two versions: cells, modules, parameters, schedule, packages."""
    with looking_workbench() as wb:
        found = wb.deployments.diff(name, a, b)
    if json:
        as_json(found.to_json())
        return
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in found.text().splitlines():
        colour = colours.get(line[:1]) if not line.startswith("---") else "bold"
        SAY.print(f"[{colour}]{escape(line)}[/]" if colour else escape(line), soft_wrap=True)


@deployments.command("rollback")
def rollback(
    name: Name,
    to: Annotated[
        int | None, typer.Option(help="A version's number; default: the one that was in use before.")
    ] = None,
    note: Note = None,
    json: Json = False,
) -> None:
    """Go back to an earlier version, as a new version that every run gets from now on."""
    with Workbench() as wb, steps(f"Rolling {name} back") as tell:
        made = wb.deployments.rollback(name, to, note=note, progress=tell)
    _tell(made, f"{made.name} is rolled back: version {made.version}", json=json)


@deployments.command("compare")
def compare(
    name: Name,
    version: Annotated[
        int | None, typer.Option(help="Of an earlier shadow; default: the one there is, or was last.")
    ] = None,
    json: Json = False,
) -> None:
    """What the live version and its shadow said, slot by slot and symbol by symbol."""
    with looking_workbench() as wb:
        found = wb.deployments.compare(name, version)
    if json:
        _frame_json(found)
        return
    if found.empty:
        step("no slot has both yet; the shadow runs after the live run of each slot")
        return
    shown = found.assign(
        slot=[_moment(value) for value in found["slot"]],
        live=found["live"].fillna("(nothing)"),
        shadow=found["shadow"].fillna("(nothing)"),
        same=found["same"].map({True: "yes", False: "no"}),
    )
    table(shown, ["slot", "symbol", "live", "shadow", "same", "live_target", "shadow_target"])
    step(f"{int(found['same'].sum()):,} of {len(found):,} are the same")


@deployments.command("cut-over")
def cut_over(name: Name, note: Note = None, json: Json = False) -> None:
    """Put the shadow in the place of the live version, as a new version."""
    with Workbench() as wb, steps(f"Cutting {name} over") as tell:
        made = wb.deployments.cut_over(name, note=note, progress=tell)
    _tell(made, f"{made.name} has cut over: version {made.version}", json=json)


@deployments.command("drop-shadow")
def drop_shadow(name: Name, json: Json = False) -> None:
    """Have nothing run as a shadow any more; its version stays among the versions."""
    with Workbench() as wb:
        version = wb.deployments.drop_shadow(name)
    if json:
        as_json({"name": name, "version": version})
        return
    step(f"version {version} of {name} runs as a shadow no more")


@deployments.command("pause")
def pause(name: Name, reason: Reason = None, json: Json = False) -> None:
    """Have nothing of it run by schedule until it is resumed; its slots are not missed meanwhile."""
    with Workbench() as wb, steps(f"Pausing {name}"):
        wb.deployments.pause(name, reason=reason)
    _tell_state(name, "paused", f"resume it with: workbench deployments resume {name}", json=json)


@deployments.command("resume")
def resume(name: Name, json: Json = False) -> None:
    """Have a paused or retired one run by schedule again, from now on."""
    with Workbench() as wb, steps(f"Resuming {name}") as tell:
        made = wb.deployments.resume(name, progress=tell)
    _tell(made, f"{made.name} runs again: version {made.version}", json=json)


@deployments.command("retire")
def retire(name: Name, reason: Reason = None, json: Json = False) -> None:
    """Have it run no more, by schedule or by hand; its versions and records stay."""
    with Workbench() as wb, steps(f"Retiring {name}"):
        wb.deployments.retire(name, reason=reason)
    _tell_state(name, "retired", "its versions stay; promoting under its name has it run again", json=json)


@deployments.command("runs")
def runs(
    name: Name,
    latest: Annotated[int, typer.Option(help="How many runs to list.")] = 20,
    json: Json = False,
) -> None:
    """Its newest runs, newest first."""
    from workbench.cli.runs import list_runs

    list_runs(latest=latest, deployment=name, json=json)


@deployments.command("next")
def next_moments(
    name: Name,
    count: Annotated[int, typer.Option(min=1, help="How many moments.")] = 10,
    json: Json = False,
) -> None:
    """The next moments at which it is due."""
    with looking_workbench() as wb:
        found = wb.deployments.next(name, count)
        state = wb.runs.versions.state(name)
    if json:
        _frame_json(found)
        return
    for local in found["local"]:
        print_plain(local)
    if found.empty and state is not None:
        step(f"{name} is {state.state}: it is not due" if state.state != "active" else "no moment lies ahead")


def _tell(made: Deployment, what: str, *, json: bool) -> None:
    if json:
        as_json(made.__dict__)
        return
    step(what)
    if made.next_run is None:
        warn("Prefect has planned no run of it yet; see: workbench status")
    else:
        step(f"next run: {in_zone(made.next_run, made.timezone)}")


def _tell_state(name: str, state: str, then: str, *, json: bool) -> None:
    if json:
        as_json({"name": name, "state": state})
        return
    step(f"{name} is {state}; {then}")


def _frame_json(found: pd.DataFrame) -> None:
    print_plain(found.to_json(orient="records", date_format="iso", default_handler=str))


def _number(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _moment(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:%Y-%m-%d %H:%M}"


def _said(counts: Any) -> str:
    numbers = [0 if pd.isna(one) else int(one) for one in counts]
    return "/".join(map(str, numbers)) if any(numbers) else ""
