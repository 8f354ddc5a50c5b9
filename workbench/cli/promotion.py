"""The commands that promote: `promote NOTEBOOK`, and `promote ingest`; and `backfill`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import click
import typer
from typer.core import TyperGroup

from workbench.cli import notebooks
from workbench.schedules.catch_up import read_catch_up
from workbench.schedules.on_event import wheres
from workbench.terminal import as_json, fail, step, steps, warn
from workbench.workbench import Workbench

if TYPE_CHECKING:
    from workbench.promotion.backfill import Backfilled

__all__ = ["backfill", "promote"]

_NOTEBOOK = "notebook"


class _NotebookByDefault(TyperGroup):
    """Takes what names no command for a notebook: `promote my.ipynb --name mine …`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        helps = set(ctx.help_option_names)
        if args and args[0] not in self.commands and args[0] not in helps:
            args = [_NOTEBOOK, *args]
        return super().parse_args(ctx, args)


promote = typer.Typer(
    cls=_NotebookByDefault,
    help="Turn a notebook into a scheduled Prefect job: promote NOTEBOOK …; or an ingestion: promote ingest.",
    no_args_is_help=True,
)
promote.command(_NOTEBOOK)(notebooks.promote)


@promote.command("ingest")
def ingest(
    name: Annotated[str, typer.Option(help="The deployment's name.")],
    symbols: Annotated[str, typer.Option(help="Such as AAPL,MSFT.")],
    source: Annotated[
        str | None,
        typer.Option(help="sample, file, yahoo, polygon or alpaca; default: the project's, else sample."),
    ] = None,
    cron: Annotated[str | None, typer.Option(help='Five fields, as "30 17 * * mon-fri".')] = None,
    every: Annotated[str | None, typer.Option(help="Each so often, as 15min, 2h or 1d.")] = None,
    rrule: Annotated[
        str | None, typer.Option(help="A recurrence rule, as FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18.")
    ] = None,
    calendar: Annotated[str | None, typer.Option(help="Each session of an exchange, as XNYS.")] = None,
    at: Annotated[
        str | None, typer.Option(help="When of its sessions: close (the default), close+10min, open-30min.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="The time zone of cron and rrule.")] = None,
    on: notebooks.On = None,
    where: notebooks.Where = None,
    settle: notebooks.Settle = None,
    after: notebooks.After = None,
    catch_up: Annotated[
        str,
        typer.Option(help="What is still run of slots that passed while nothing ran: latest, all, none, 5."),
    ] = "latest",
    start: Annotated[
        str | None, typer.Option(help="First day, as 2024-01-31. From a vendor: else what is missing.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help="A vendor's bars: 1d (default), 1h, 30min, 15min, 5min or 1min.")
    ] = None,
    data_source: Annotated[
        str | None, typer.Option(help="Store the bars under this name, as yahoo_1min.")
    ] = None,
    feed: Annotated[str | None, typer.Option(help="Alpaca's feed: sip or iex.")] = None,
    path: Annotated[str | None, typer.Option(help="The CSV or Parquet file, for source file.")] = None,
    bars_calendar: Annotated[
        str | None, typer.Option(help="Note gaps against this exchange, as ingest --calendar does.")
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="Attempts that may follow one for which the vendor did not answer.")
    ] = 2,
    lock: notebooks.Locks = None,
    note: Annotated[str | None, typer.Option(help="What you say of this version, such as why.")] = None,
    json: notebooks.Json = False,
) -> None:
    """Fetch bars by schedule: what is missing since last time, symbol by symbol."""
    from workbench.stack.schedules import in_zone

    with Workbench() as wb, steps(f"Promoting {name}") as tell:
        deployment = wb.deployments.promote_ingestion(
            [symbol.strip() for symbol in symbols.split(",") if symbol.strip()],
            name=name,
            source=source,
            cron=cron,
            every=every,
            rrule=rrule,
            calendar=calendar,
            at=at,
            timezone=timezone,
            on=on,
            where=wheres(where or []),
            settle=settle,
            after=after,
            catch_up=read_catch_up(catch_up),
            start=start,
            interval=interval,
            data_source=data_source,
            feed=feed,
            path=path,
            bars_calendar=bars_calendar,
            retries=retries,
            locks=lock or (),
            note=note,
            progress=tell,
        )
    if json:
        as_json(deployment.__dict__)
        return
    fetched: dict[str, Any] = deployment.parameters
    step(
        f"{', '.join(fetched['symbols'])} from {fetched['source']} are fetched as {deployment.name}: "
        f"{deployment.schedule}"
    )
    if deployment.next_run is not None:
        step(f"next run: {in_zone(deployment.next_run, deployment.timezone)}")
    elif on is None and after is None:
        warn("Prefect has planned no run of it yet; see: workbench status")
    step("it runs only while the servers run: workbench status")


def backfill(
    name: Annotated[str, typer.Argument(help="The deployment's name.")],
    start: Annotated[str, typer.Option("--from", help="The first day or moment, UTC, as 2026-10-01.")],
    end: Annotated[str, typer.Option("--to", help="The day or moment after the last, UTC.")],
    kind: Annotated[
        str, typer.Option("--as", help="backtest: store what runs save as backtests do; shadow: undo it.")
    ] = "backtest",
    json: notebooks.Json = False,
) -> None:
    """Run past slots of a deployment in order, as backtest or as shadow, never live."""
    from workbench.stack.passed_slots import in_words

    def tell_one(one: Backfilled) -> None:
        tell(f"{in_words(one.slot)}: {one.error or one.status}")

    with Workbench() as wb, steps(f"Backfilling {name}") as tell:
        done = wb.deployments.backfill(
            name, start, end, kind=cast(Literal["backtest", "shadow"], kind), progress=tell_one
        )
    failed = done[done["status"] == "failed"]
    if json:
        as_json(done.to_dict("records"))
    else:
        step(f"{len(done) - len(failed)} of {len(done)} runs completed")
        for row in failed.to_dict("records"):
            fail(f"{in_words(row['slot'])}: {row['error']}")
    if len(failed):
        raise typer.Exit(1)
