"""The command `workbench slots`: what became of the moments at which deployments were due."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.looking import looking_workbench
from workbench.terminal import note, print_plain, step, table

__all__ = ["slots"]


def slots(
    name: Annotated[str | None, typer.Argument(help="A deployment; default: all of them.")] = None,
    latest: Annotated[int, typer.Option(help="How many slots to list.")] = 30,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """What became of each moment at which a deployment was due, newest first."""
    with looking_workbench() as wb:
        found = wb.deployments.slots(name, latest=latest)
        others = wb.deployments.slots(latest=1_000) if found.empty and name else found
    if json:
        print_plain(found.to_json(orient="records", date_format="iso", default_handler=str))
        return
    if found.empty:
        if others.empty:
            step("no slots yet: no deployment was due")
        else:
            note(f"none of {name}; there are slots of: {', '.join(sorted(others['deployment'].unique()))}")
        return
    shown = found.assign(
        slot=found["slot"].dt.strftime("%Y-%m-%d %H:%M:%S"),
        run=found["run_id"].str[:8],
        reason=[(reason or "").partition("\n")[0] for reason in found["reason"].fillna("")],
    )
    table(
        shown, ["deployment", "slot", "state", "attempts", "run", "reason"], flexible=["deployment", "reason"]
    )
