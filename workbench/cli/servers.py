"""The commands about servers: up, down, status, doctor, db."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from workbench.cli.asking import ask
from workbench.db.roles import READONLY_ROLE, admin_url, role_url
from workbench.errors import ServerError
from workbench.settings import Settings
from workbench.terminal import SAY, TELL, as_json, fail, note, step, steps, warn

if TYPE_CHECKING:
    from workbench.stack import ServiceStatus, Stack
    from workbench.stack.schedules import Schedules

__all__ = ["db", "doctor", "down", "status", "up", "worker"]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

db = typer.Typer(help="The databases: migrations and ad hoc SQL.")


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when all is ready; everything keeps running.")
    ] = False,
) -> None:
    """Start PostgreSQL, Valkey, Prefect, a worker and the event relay; keep them running."""
    from workbench.embedded.place import EARLIER_HOME
    from workbench.stack import Stack

    stack = Stack(Settings.load())
    if not detach:
        step("Starting; Ctrl-C stops everything")
        stack.supervise(progress=step)
        return
    told: list[str] = []
    with steps("Starting") as tell:

        def note_step(text: str) -> None:
            tell(text)
            told.append(text)

        endpoints = stack.up(note_step)
    for text in told:
        if text.startswith(EARLIER_HOME) and TELL.is_terminal:
            warn(text)  # the spinner is gone, and with it what it showed
    step(f"Prefect's pages: {endpoints.prefect_ui_url}")
    if endpoints.prefect_auth_string:
        step(f"sign in there with: {endpoints.prefect_auth_string}")
    step("stop everything with: workbench down")


def worker() -> None:
    """Run a worker alone, for servers of your own: in a container, or on a machine that only works."""
    from workbench.stack.alone import work_alone

    work_alone(Settings.load(), step)


def down(
    purge: Annotated[
        bool, typer.Option("--purge", help="Then remove the home, with all data in it, for good.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="End JupyterLab and its kernels, and purge, without asking.")
    ] = False,
) -> None:
    """Stop everything that runs for this home, JupyterLab and its kernels included."""
    from workbench.stack import Stack

    settings = Settings.load()
    stack = Stack(settings)
    if purge:
        _purge(settings, stack, yes)
        return
    labs = stack.labs()
    if labs:
        step("still using this home:")
        for lab in labs:
            note(str(lab))
        if not yes and sys.stdin.isatty() and TELL.is_terminal:
            question = (
                f"End {'it' if len(labs) == 1 else 'them'}, too? What only a kernel's memory holds is lost"
            )
            if not typer.confirm(question, err=True):
                labs = []
    with steps("Stopping") as tell:
        if labs:
            tell("JupyterLab and its kernels")
            stack.end_labs(labs)
        stopped = [lab.what for lab in labs] + stack.down(tell)
    step(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")


def _purge(settings: Settings, stack: Stack, yes: bool) -> None:
    from workbench.stack.purge import look_at_home

    doomed = look_at_home(settings.home)
    labs = stack.labs()
    if doomed.folders:
        warn("this removes for good, with every row, run and promoted notebook in it:")
        for folder, size in doomed.folders.items():
            note(f"{folder} ({size / 1e6:,.0f} MB)")
        for link in doomed.links:
            note(f"{link} is a link; what it leads to, {link.readlink()}, is left")
        if settings.database_url is not None:
            note("the databases and roles on your own server are left")
        for lab in labs:
            note(f"ended: {lab}")
        ask(yes, "Remove it?", "removes a home for good")
    with steps("Removing") as tell:
        if labs:
            tell("JupyterLab and its kernels")
            stack.end_labs(labs)
        stopped = [lab.what for lab in labs] + stack.purge(tell)
    if stopped:
        step(f"stopped {', '.join(stopped)}")
    if doomed.folders:
        step(f"removed {sum(doomed.folders.values()) / 1e6:,.0f} MB")
    else:
        step(f"there is no home {settings.home}")


def status(json: Json = False) -> None:
    """What runs where, which version, and when each deployment runs next; exit code 1 where one will not."""
    from workbench.stack import Stack
    from workbench.stack.contradicted import DAYS, contradicted_lately

    settings = Settings.load()
    stack = Stack(settings)
    services = stack.status()
    contradicted = contradicted_lately(settings, stack)
    try:
        schedules = stack.schedules()
        unkept = stack.unkept_promotions()
        problems = (
            schedules.problems if schedules else [f"{unkept}; workbench up --detach starts it"] * bool(unkept)
        )
    except ServerError as error:
        schedules, problems = None, [f"what is scheduled cannot be told: {error}"]
    if json:
        deployments = [asdict(one) for one in schedules.deployments] if schedules else []
        as_json(
            {
                "services": [asdict(service) for service in services],
                "deployments": deployments,
                "problems": problems,
                "contradictions": contradicted,
            }
        )
    else:
        _draw_services(services)
        if schedules is not None:
            _draw_deployments(schedules)
        if contradicted:
            warn(
                f"live signals contradicted in the last {DAYS} days: {contradicted:,}; see "
                "wb.strategy_engine.load_signal_contradictions()"
            )
        for problem in problems:
            fail(problem)
    if problems:
        raise typer.Exit(1)


def _draw_services(services: list[ServiceStatus]) -> None:
    drawn = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("", "service", "version", "process", "where"):
        drawn.add_column(column, overflow="fold")
    for service in services:
        drawn.add_row(
            "[green]●[/]" if service.running else "[red]○[/]",
            service.name,
            service.version or "",
            str(service.pid or ""),
            escape(service.where) + (f"\n[dim]{escape(service.detail)}[/]" if service.detail else ""),
        )
    SAY.print(drawn)


def _draw_deployments(schedules: Schedules) -> None:
    from workbench.stack.schedules import in_zone

    if schedules.deployments:
        drawn = Table(header_style="bold", box=None, pad_edge=False)
        for column in ("", "deployment", "next run", "schedule"):
            drawn.add_column(column, overflow="fold", no_wrap=column == "next run")
        for one in schedules.deployments:
            mark = "[red]○[/]" if one.problem else "[green]●[/]" if one.schedules else "[dim]○[/]"
            moment = in_zone(one.next_run, one.timezone) if one.next_run else "none planned"
            words = "\n".join(one.schedules) or "not scheduled"
            drawn.add_row(mark, escape(one.name), moment if one.schedules else "", f"[dim]{escape(words)}[/]")
        SAY.print()
        SAY.print(drawn)


def doctor() -> None:
    """Check everything that is needed, and say what to do where something is wrong."""
    from workbench.stack import Stack

    findings = Stack(Settings.load()).doctor()
    marks = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "fail": "[red]✗[/]"}
    for finding in findings:
        SAY.print(f"{marks[finding.level]} {escape(finding.what)}", soft_wrap=True)
        if finding.advice:
            SAY.print(f"  [dim]→ {escape(finding.advice)}[/]", soft_wrap=True)
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(1)


@db.command("upgrade")
def upgrade() -> None:
    """Create databases and roles where they are missing, and apply the migrations."""
    from workbench.db.migrate import current
    from workbench.stack import Stack

    settings = Settings.load()
    with steps("Upgrading") as tell:
        endpoints = Stack(settings).start_servers(tell)
    step(
        f"the database {settings.trading_database} stands at revision "
        f"{current(settings, endpoints.database_url)}"
    )


@db.command("current")
def current() -> None:
    """The revision the database stands at, and the newest one there is."""
    from workbench.db import migrate

    settings = Settings.load()
    stamped = migrate.current(settings, _server(settings))
    SAY.print(f"{stamped or 'none'} (newest: {migrate.head()})")


@db.command("check")
def check() -> None:
    """Prove that the database and the declared tables agree."""
    from workbench.db import migrate

    settings = Settings.load()
    differences = migrate.check(settings, _server(settings))
    for difference in differences:
        SAY.print(f"[red]✗[/] {escape(difference)}", soft_wrap=True)
    if differences:
        raise typer.Exit(1)
    step("the database and the declared tables agree")


@db.command("psql", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context,
    admin: Annotated[
        bool, typer.Option("--admin", help="Log in as the administrator, not read-only.")
    ] = False,
) -> None:
    """Open psql on the trading database, read-only; further words go to psql (-c "SELECT 1")."""
    from workbench.embedded import psql_binary

    settings = Settings.load()
    server = _server(settings)
    url = admin_url(server, settings.trading_database) if admin else role_url(settings, server, READONLY_ROLE)
    # An embedded server's own come first: an older pg_dump refuses, and an older psql knows less.
    ours = None if settings.database_url else psql_binary()
    found = ours or shutil.which("psql") or psql_binary()
    if found is None:
        raise ServerError("there is no psql here; install PostgreSQL's client, or quant-workbench[embedded]")
    # By environment, not by argument: a command line is there for everyone on the machine to read.
    environment = os.environ | {
        "PGHOST": url.host or "",
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username or "",
        "PGPASSWORD": str(url.password or ""),
        "PGDATABASE": url.database or "",
        "PATH": os.pathsep.join([*([str(ours.parent)] if ours else []), os.environ.get("PATH", os.defpath)]),
    }
    os.execve(  # noqa: S606
        str(found), [str(found), *context.args], environment
    )


def _server(settings: Settings) -> str:
    from workbench.stack import Stack

    return Stack(settings).endpoints().database_url
