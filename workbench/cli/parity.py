"""The command `workbench parity`: what a deployment said live beside what its content says today."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.looking import looking_workbench
from workbench.drawing.wording import signed_percent
from workbench.terminal import SAY, as_json, note, step, steps, table

__all__ = ["parity"]

_SHOWN = 20


def parity(
    name: Annotated[str, typer.Argument(help="The deployment's name.")],
    days: Annotated[int, typer.Option(help="Of the slots of the last so many days.")] = 60,
    since: Annotated[str | None, typer.Option(help='Of the slots since then, UTC: "2026-11-01".')] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run the notebook now, whatever the newest run has kept.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """What was said live, slot by slot, beside what the promoted notebook says today."""
    with looking_workbench() as wb, steps(f"comparing {name}") as tell:
        found = wb.deployments.parity(name, days=days, since=since, fresh=fresh, progress=tell)
    if json:
        as_json(found.to_dict())
        return
    step(found.summary)
    if found.table.empty:
        return
    note(found.source)
    for line in found.notes:
        note(line)
    SAY.print(found.strip())
    SAY.print(found.legend(), style="dim")
    if not found.causes.empty:
        shown = found.causes.assign(returns=[signed_percent(value, 2) for value in found.causes["returns"]])
        columns = ["strategy_id", "cause", "returns", "meaning"]
        if shown["member"].astype(bool).any():
            columns.insert(0, "member")
        table(shown, columns, flexible=["strategy_id", "meaning"])
    bad = found.table[found.table["state"] != "matched"]
    if bad.empty:
        return
    newest = bad.tail(_SHOWN).iloc[::-1]
    rows = newest.assign(
        slot=newest["slot"].dt.strftime("%Y-%m-%d %H:%M"),
        said=newest["said_signal"].fillna(""),
        would_say=newest["signal"].fillna(""),
        why=[("" if value != value else str(value)).partition("\n")[0] for value in newest["why"]],
    )
    table(rows, ["slot", "symbol", "state", "said", "would_say", "why"], flexible=["why"])
    if len(bad) > _SHOWN:
        note(f"and {len(bad) - _SHOWN:,} rows more; --json has all")
