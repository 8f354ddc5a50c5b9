"""The commands about updates: `upgrade`, and `db restore`, which undoes one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from workbench.paths import shipped
from workbench.project import notebooks_folder
from workbench.project.starters import Starter, compare_starters, take_starters
from workbench.settings import Settings
from workbench.terminal import note, step, steps, warn

__all__ = ["restore", "upgrade"]

_SAID = {
    "new": "came with this version",
    "changed": "changed in this version; yours is as it came",
    "edited": "changed in this version; you have edited yours, which is left as it is",
    "removed": "is not in this version any more; yours is left",
}


def upgrade(
    notebooks: Annotated[
        bool,
        typer.Option(
            "--notebooks", help="Take this version's starter notebooks where you have not edited them."
        ),
    ] = False,
) -> None:
    """After an update of workbench: back up and migrate the database, and tell what changed in notebooks."""
    from workbench.stack import Stack

    settings = Settings.load()
    with steps("Upgrading") as tell:
        done = Stack(settings).upgrade(tell)
    if done.before is None:
        step(f"the database {settings.trading_database} is new, at revision {done.after}")
    elif done.before == done.after:
        step(f"the database {settings.trading_database} is up to date, at revision {done.after}")
    else:
        step(f"the database {settings.trading_database} went from revision {done.before} to {done.after}")
    _keep_promoted(settings)
    if done.backup is not None:
        note(f"as it was before: {done.backup}")
        note(f"to go back, install the version of before, then: workbench db restore {done.backup}")
    folder = notebooks_folder()
    if folder is None or not folder.is_dir():
        return
    if folder.resolve() == shipped("notebooks").resolve():
        step("the notebooks are the clone's own")
        return
    taken = take_starters(folder) if notebooks else []
    for one in taken:
        step(f"{one.name} is this version's now")
    _tell(compare_starters(folder), taken)


def _keep_promoted(settings: Settings) -> None:
    """Store in the database what was promoted before it kept that."""
    if not settings.store_folder.is_dir():
        return
    from workbench.promotion.contents import Contents
    from workbench.promotion.store import NotebookStore
    from workbench.session import Session

    session = Session(settings)
    with contextlib.closing(session):
        whole = NotebookStore(settings.store_folder, Contents(session.pool("runs"))).put_all()
    step(f"the database holds the {whole} promoted versions of this home")


def _tell(news: list[Starter], taken: list[Starter]) -> None:
    for one in news:
        (warn if one.state == "edited" else step)(f"{one.name} {_SAID[one.state]}")
    edited = [one.name for one in news if one.state == "edited"]
    if edited:
        note(f"to compare, this version's are in {shipped('notebooks')}")
    if any(one.state in ("new", "changed") for one in news):
        note("to take them: workbench upgrade --notebooks (outputs in them are lost)")
    if not news and not taken:
        step("the starter notebooks are those of this version")


def restore(
    file: Annotated[Path, typer.Argument(help="A backup, as in .workbench/backups/.")],
) -> None:
    """Put a backup in the place of the embedded database, which is backed up before."""
    from workbench.stack.restore import restore as restore_backup

    settings = Settings.load()
    with steps("Restoring") as tell:
        revision, saved = restore_backup(settings, file, tell)
    step(f"the database {settings.trading_database} is that of {file}, at revision {revision}")
    if saved is not None:
        note(f"what was there: {saved}")
    note("with a version that has newer revisions, the next use brings it up to date again")
