"""The command `workbench`: thin; every command calls what a notebook would call."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import ingestion, notebooks, projects, servers
from workbench.cli.cleaning import clean
from workbench.cli.deployments import deployments
from workbench.cli.events import events
from workbench.cli.lineage import runs_of, why
from workbench.cli.parity import parity
from workbench.cli.promotion import backfill, promote
from workbench.cli.runs import runs
from workbench.cli.settings import config
from workbench.cli.slots import slots
from workbench.cli.upgrade import restore, upgrade
from workbench.cli.usage import UsageError, command_of, said_wrongly
from workbench.errors import WorkbenchError
from workbench.settings import Settings
from workbench.terminal import SAY, fail
from workbench.version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    name="workbench",
    help="Load prices, develop a strategy, backtest it, promote the notebook, trace every number.",
    add_completion=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", "-V", is_eager=True, help="Say which version this is, and end.")
    ] = False,
) -> None:
    """What goes before any command."""
    if version:
        SAY.print(f"workbench {__version__}", highlight=False)
        raise typer.Exit


app.command("init", rich_help_panel="Start here")(projects.init)
app.command("demo", rich_help_panel="Start here")(notebooks.demo)
app.command("lab", rich_help_panel="Start here")(notebooks.lab)
app.command("up", rich_help_panel="Servers")(servers.up)
app.command("worker", rich_help_panel="Servers")(servers.worker)
app.command("down", rich_help_panel="Servers")(servers.down)
app.command("clean", rich_help_panel="Servers")(clean)
app.command("status", rich_help_panel="Servers")(servers.status)
app.command("projects", rich_help_panel="Servers")(projects.projects)
app.command("doctor", rich_help_panel="Servers")(servers.doctor)
app.command("upgrade", rich_help_panel="Servers")(upgrade)
servers.db.command("restore")(restore)
app.add_typer(servers.db, name="db", rich_help_panel="Servers")
app.command("ingest", rich_help_panel="Work")(ingestion.ingest)
app.command("run", rich_help_panel="Work")(notebooks.run)
app.add_typer(promote, name="promote", rich_help_panel="Work")
app.command("backfill", rich_help_panel="Work")(backfill)
app.command("config", rich_help_panel="Look")(config)
app.command("quality", rich_help_panel="Look")(ingestion.quality)
runs.command("of")(runs_of)
deployments.command("parity")(parity)
app.add_typer(deployments, name="deployments", rich_help_panel="Work")
app.add_typer(runs, name="runs", rich_help_panel="Look")
app.command("why", rich_help_panel="Look")(why)
app.command("slots", rich_help_panel="Look")(slots)
app.add_typer(events, name="events", rich_help_panel="Look")


def main() -> None:
    """Run the command line: an error of ours is one sentence on stderr and exit code 1, a wrong word 2."""
    # Alone it shows what there is to type.
    words = sys.argv[1:] or ["--help"]
    command = command_of(app)
    try:
        sys.exit(command.main(words, prog_name="workbench", standalone_mode=False))
    except UsageError as error:
        fail(said_wrongly(error, command, words))
        sys.exit(2)
    except WorkbenchError as error:
        fail(str(error))
        sys.exit(1)
    except OSError as error:
        try:
            home = Settings.load().home
        except WorkbenchError:
            raise error from None
        if error.filename is None or not Path(os.fsdecode(error.filename)).is_relative_to(home):
            raise
        fail(
            f"WORKBENCH_HOME: {os.fsdecode(error.filename)} cannot be used ({error.strerror}); "
            f"{home} must be a folder that this account may write in"
        )
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted")
        sys.exit(130)
