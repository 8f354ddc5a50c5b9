"""The commands `workbench events`: events as they arrive, and those that a receiver refused."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from workbench.cli.looking import looking_workbench
from workbench.errors import EventError
from workbench.terminal import SAY, as_json, note, print_plain, step

if TYPE_CHECKING:
    from workbench import Workbench
    from workbench.events import Event

__all__ = ["events"]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

# Values that are not shown.
_NONE: tuple[Any, ...] = (None, [], {})

events = typer.Typer(help="Events on Redis: what was written, and what has run.")


@events.command("tail")
def tail(
    event_type: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    latest: Annotated[int, typer.Option(min=0, help="How many older events to show first.")] = 10,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", "-f", help="Show further ones as they arrive.")
    ] = True,
    json: Json = False,
) -> None:
    """Events as they arrive, until Ctrl-C."""
    from workbench.events.event import check_type
    from workbench.stack import Stack

    if event_type is not None:
        check_type(event_type)

    def show(event: Event) -> None:
        if json:
            print_plain(event.to_json())
        else:
            facts = ", ".join(_fact(name, value) for name, value in event.data.items() if value not in _NONE)
            SAY.print(
                f"[dim]{event.timestamp:%Y-%m-%d %H:%M:%S}[/] [bold]{event.type}[/] {escape(facts)}",
                soft_wrap=True,
            )

    with looking_workbench() as wb:
        there = wb.events.counts() if event_type is not None else {}
        if event_type is not None and event_type not in there:
            note(
                f"there is no event of type {event_type} yet; there are: {', '.join(there) or 'none at all'}"
            )
        for event in _newest(wb, event_type, latest):
            show(event)
        if follow:
            if not Stack(wb.settings).is_up():
                note("events arrive while the relay runs; start it with: workbench up --detach")
            try:
                for event in wb.events.follow(event_type):
                    show(event)
            except KeyboardInterrupt:
                return


def _fact(name: str, value: Any) -> str:
    """A fact on one line; of a long dict only its length (--json shows all of it)."""
    return (
        f"{name}: {len(value)} of them" if isinstance(value, dict) and len(value) > 4 else f"{name}={value}"
    )


def _newest(wb: Workbench, event_type: str | None, latest: int) -> list[Event]:
    """The last `latest` events of that type, or of all types, oldest first."""
    if latest < 1:
        return []
    if event_type is None:
        return wb.events.recent(latest)
    # As many as the stream keeps.
    return [event for event in wb.events.recent(100_000) if event.type == event_type][-latest:]


@events.command("aside")
def aside(json: Json = False) -> None:
    """Events that Redis or Prefect refused again and again, and that are not tried any more."""
    with looking_workbench() as wb:
        found = wb.events.put_aside()
    if json:
        as_json([asdict(one) for one in found])
        return
    for one in found:
        SAY.print(
            f"[dim]{one.since:%Y-%m-%d %H:%M:%S}[/] [bold]{one.event_id}[/] {escape(one.type)}: {one.sink} "
            f"refused it {one.tries} times: {escape(one.reason.splitlines()[0][:200] if one.reason else '')}",
            soft_wrap=True,
        )
    step("try them again with: workbench events retry" if found else "no event was put aside")


@events.command("retry")
def retry(
    event_ids: Annotated[
        list[int] | None, typer.Argument(help="Which ones, by number; all of them by default.")
    ] = None,
) -> None:
    """Have events that were put aside tried again."""
    from workbench.stack import Stack

    with looking_workbench() as wb:
        known = {one.event_id for one in wb.events.put_aside()}
        unknown = [str(event_id) for event_id in event_ids or () if event_id not in known]
        if unknown:
            raise EventError(
                f"no event of the number {', '.join(unknown)} was put aside; "
                "workbench events aside lists those there are"
            )
        count = wb.events.retry(*event_ids or ())
        relayed = Stack(wb.settings).is_up()
    if not count:
        step("no event was put aside")
        return
    step(f"{count:,} {'event is' if count == 1 else 'events are'} tried again")
    if not relayed:
        note("that happens while the relay runs; start it with: workbench up --detach")
