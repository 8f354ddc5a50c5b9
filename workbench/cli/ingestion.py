"""The commands about incoming bars: `ingest`, and `quality`, which shows the rows that were refused."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pandas as pd
import typer
from rich.markup import escape

from workbench.cli.looking import looking_workbench
from workbench.errors import QueryError, SourceError
from workbench.sources.columns import field_like
from workbench.terminal import SAY, TELL, fail, note, print_plain, step, steps, table, warn
from workbench.workbench import Workbench

if TYPE_CHECKING:
    from workbench.ingestion import IngestedSeries

__all__ = ["ingest", "quality"]

# A larger share of refused rows in a file gives a warning.
_MUCH = 0.1
# Maximum symbols in the command that is suggested to look at refused rows.
_NAMED = 10
_SEVERITIES = {"error": "error", "warning": "warning", "all": None}


def ingest(
    symbols: Annotated[list[str], typer.Argument(help="Such as AAPL MSFT.")],
    source: Annotated[
        str | None,
        typer.Option(help="sample, file, yahoo, polygon or alpaca; default: the project's, else sample."),
    ] = None,
    path: Annotated[Path | None, typer.Option(help="The CSV or Parquet file, for source file.")] = None,
    start: Annotated[
        str | None, typer.Option(help="First day, as 2024-01-31. From a vendor: else what is missing.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="The day after the last.")] = None,
    interval: Annotated[
        str | None, typer.Option(help="A vendor's bars: 1d (default), 1h, 30min, 15min, 5min or 1min.")
    ] = None,
    feed: Annotated[str | None, typer.Option(help="Alpaca's feed: sip or iex.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Which column is which field: close=Last (may be repeated).")
    ] = None,
    date_format: Annotated[str | None, typer.Option(help="How the file writes dates, as %d.%m.%Y.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Time zone of times without an offset, as America/New_York.")
    ] = None,
    data_source: Annotated[
        str | None, typer.Option(help="Store the bars under this name, as file_1min.")
    ] = None,
    calendar: Annotated[
        str | None,
        typer.Option(help="Note gaps against this exchange: XNYS, 24/7, 24/5 or others; none for none."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 where more than a tenth of a file was refused.")
    ] = False,
) -> None:
    """Bring bars into the database; bad rows are logged with their reason, the good ones load."""
    columns = dict(_pair(text) for text in column or []) or None
    with Workbench() as wb, steps("Ingesting") as tell:
        done = wb.ingest(
            symbols,
            source=source,
            start=start,
            end=end,
            path=path,
            columns=columns,
            date_format=date_format,
            timezone=timezone,
            data_source=data_source,
            interval=interval,
            feed=feed,
            calendar=calendar,
            progress=lambda one: tell(f"{one.symbol} from {one.data_source}"),
            on_wait=tell,
        )
    for one in done:
        if one.error:
            fail(f"{one.symbol} ({one.data_source}): {one.error}")
            continue
        step(f"{one.symbol} ({one.data_source}): {one.written}")
        if one.refused:
            rules = ", ".join(f"{rule} {count:,}" for rule, count in one.reasons.items())
            warn(f"{one.refused:,} of {one.rows:,} rows refused ({rules}); {one.example}")
        if one.noted:
            warn("1 note on an odd bar" if one.noted == 1 else f"{one.noted:,} notes on odd bars")
    _tell_where_to_look(done)
    for origin, unused in {one.origin: one.unused for one in done if one.unused}.items():
        note(f"{origin}: not used: {', '.join(map(_with_its_option, unused))}")
    much = _much_refused(done)
    for origin, (refused, rows) in much.items():
        TELL.print(
            f"[bold yellow]warning:[/] {escape(origin)}: more than a tenth was refused, {refused:,} of "
            f"{rows:,} rows ({refused / rows:.0%})",
            soft_wrap=True,
        )
    with_rows = [one for one in done if one.rows]
    if with_rows and all(one.refused == one.rows for one in with_rows):
        fail(f"not one row of {', '.join(dict.fromkeys(one.origin for one in done))} could be stored")
        raise typer.Exit(1)
    if any(one.error for one in done) or (strict and much):
        raise typer.Exit(1)


def _tell_where_to_look(done: Sequence[IngestedSeries]) -> None:
    """Which command shows the rows that were refused, or the notes where there is nothing else."""
    refused = list(dict.fromkeys(one.symbol for one in done if one.refused))
    noted = list(dict.fromkeys(one.symbol for one in done if one.noted))
    if refused or noted:
        # Rows without a symbol cannot be asked for by one.
        named = [] if "" in refused or len(refused or noted) > _NAMED else refused or noted
        command = " ".join(["workbench quality", *map(shlex.quote, named)])
        note(f"see them: {command}{'' if refused else ' --severity warning'}")


def _much_refused(done: Sequence[IngestedSeries]) -> dict[str, tuple[int, int]]:
    """The files of which more than a tenth was refused: rows refused, rows in all."""
    rows: dict[str, tuple[int, int]] = {}
    for one in done:
        refused, total = rows.get(one.origin, (0, 0))
        rows[one.origin] = (refused + one.refused, total + one.rows)
    return {origin: pair for origin, pair in rows.items() if pair[0] > _MUCH * pair[1]}


def _with_its_option(name: str) -> str:
    field = field_like(name)
    return (
        f"{name} (to take it for the {field}: --column {shlex.quote(f'{field}={name}')})" if field else name
    )


def quality(
    symbols: Annotated[list[str] | None, typer.Argument(help="Only of these; default: all.")] = None,
    file: Annotated[
        str | None, typer.Option(help="Part of the file's name, or of what it was read from.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Only what broke this rule, as high_below_low.")] = None,
    source: Annotated[str | None, typer.Option(help="Only of this data source, as file.")] = None,
    severity: Annotated[
        str, typer.Option(help="error: what was refused; warning: odd bars that are stored; or all.")
    ] = "error",
    rows: Annotated[int, typer.Option(help="How many rows to show, the newest ones.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="All of the rows, as one JSON document.")] = False,
) -> None:
    """What was refused when bars came in: how many rows by file and rule, then the rows as they came."""
    if severity not in _SEVERITIES:
        raise QueryError(f'there is no severity "{severity}"; there are: {", ".join(_SEVERITIES)}')
    with looking_workbench() as wb:
        load = wb.data_ingestion.load_data_quality_logs
        found = load(symbols or None, rule=rule, source=source, severity=_SEVERITIES[severity])
        if file is not None:
            found = found[found["origin"].str.contains(file, regex=False)]
        everything = load() if found.empty else found
    unfiltered = not symbols and file is None and rule is None and source is None
    if found.empty and unfiltered and severity == "error" and not everything.empty:
        notes = "1 note" if len(everything) == 1 else f"{len(everything):,} notes"
        step(f"no row was refused; {notes} on odd bars: workbench quality --severity warning")
    elif found.empty and not everything.empty:
        told = {"symbols": "symbol", "files": "origin", "rules": "rule", "severities": "severity"}
        there = "; ".join(
            f"{what}: {', '.join(everything[column].unique()[:20])}" for what, column in told.items()
        )
        note(f"no row matches; there are rows of the {there}")
    if json:
        print_plain(found.to_json(orient="records", date_format="iso"))
        return
    if everything.empty:
        step("no row was refused, and none is odd")
    if not found.empty:
        _show(found, rows)


def _show(found: pd.DataFrame, rows: int) -> None:
    groups = found.groupby(["origin", "data_source", "rule", "severity"], sort=False)
    counts = groups.agg(rows=("id", "size"), symbols=("symbol", _listed)).reset_index()
    counts = counts.rename(columns={"origin": "file", "data_source": "source"})
    shown = counts.sort_values("rows", ascending=False, kind="stable")
    table(shown, ["file", "source", "rule", "severity", "rows", "symbols"], flexible=["file", "symbols"])
    newest = found.tail(rows) if rows > 0 else found.head(0)
    for row in newest.to_dict("records"):
        SAY.print()
        SAY.print(
            f"[bold]{escape(row['origin'])}[/] row {row['row_number']} {escape(row['symbol'])} "
            f"[yellow]{row['rule']}[/]: {escape(row['reason'])}",
            soft_wrap=True,
        )
        came = ", ".join(f"{name}={value}" for name, value in row["raw"].items())
        SAY.print(f"  [dim]{escape(came)}[/]", soft_wrap=True)
    if len(newest) < len(found):
        note(f"the newest {len(newest):,} of {len(found):,} rows; --rows {len(found)} shows all, --json too")


def _listed(symbols: pd.Series) -> str:
    names = [str(name) or "(none)" for name in symbols.unique()]
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name or not value:
        raise SourceError(f"--column {text}: write field=column, such as close=Last")
    return name, value
