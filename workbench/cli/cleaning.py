"""The command `workbench clean`: what killed runs left, what is old, and what homes that are gone left."""

from __future__ import annotations

import re
from typing import Annotated

import pandas as pd
import typer

from workbench.cli.asking import ask
from workbench.cli.looking import looking_session
from workbench.errors import SettingsError
from workbench.settings import Settings
from workbench.stack.cleaned import Cleaned
from workbench.terminal import as_json, note, step, steps, table, warn

__all__ = ["clean"]


def clean(
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", help='Also what is older: outputs of runs and so on, as "90d".'),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what is older, by default as [retention] has it.")
    ] = False,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Also what homes that are gone left in /var/lib/workbench.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove orphans without asking.")] = False,
    json: Annotated[bool, typer.Option("--json", help="What is older as one JSON document.")] = False,
) -> None:
    """Remove what killed runs and sweeps left in this home; also what is old, or of homes that are gone."""
    settings = Settings.load()
    if older_than is not None or dry_run:
        _clean_old(settings, _days(settings, older_than), dry_run=dry_run, json=json)
    if dry_run:
        return
    _clean_left(settings)
    if orphans:
        _clean_orphans(yes=yes)


def _days(settings: Settings, older_than: str | None) -> int:
    if older_than is None:
        if not settings.retention_keep_days:
            raise SettingsError(
                "[retention] keep_days is 0, so nothing is old; name an age: --older-than 90d"
            )
        return settings.retention_keep_days
    found = re.fullmatch(r"([1-9]\d{0,4})\s*d(ays)?", older_than.strip())
    if found is None:
        raise SettingsError(f"--older-than {older_than}: give a number of days, one or more, as in 90d")
    return int(found[1])


def _clean_old(settings: Settings, days: int, *, dry_run: bool, json: bool) -> None:
    from workbench.stack.prefect_api import PrefectApi
    from workbench.stack.retention import clean_old

    with looking_session(settings) as session, steps("Counting" if dry_run else "Removing what is old"):
        now = session.endpoints
        prefect = None
        if now.prefect_api_url is not None:
            prefect = PrefectApi(now.prefect_api_url, now.prefect_auth_string)
        done = clean_old(settings, session.pool("runs"), prefect, days=days, dry_run=dry_run)
    if json:
        as_json([vars(one) for one in done])
    else:
        _tell(done, dry_run=dry_run)


def _tell(done: list[Cleaned], *, dry_run: bool) -> None:
    shown = pd.DataFrame(
        {
            "what": [one.what for one in done],
            "older than": [f"{one.days} days" for one in done],
            "would go" if dry_run else "removed": [f"{one.count:,}" for one in done],
            "MB": ["" if one.bytes is None else f"{one.bytes / 1e6:,.1f}" for one in done],
        }
    )
    table(shown, list(shown.columns), flexible=["what"])
    for one in done:
        if one.note:
            warn(f"{one.what}: {one.note}")
    if dry_run:
        note("nothing was removed; the same without --dry-run removes it")


def _clean_left(settings: Settings) -> None:
    from workbench.home.temporary import sweep_home

    swept = sweep_home(settings.home.resolve(), settings.runs_folder.resolve())
    for path in swept:
        note(str(path))
    step(f"removed {len(swept)} that killed runs left" if swept else "killed runs left nothing here")


def _clean_orphans(*, yes: bool) -> None:
    from workbench.embedded.orphans import find_orphans, find_unclaimed, remove_orphan

    found = find_orphans()
    for folder in find_unclaimed():
        warn(f"{folder} is left: it does not say whose it is; its home's next start notes that")
    if not found:
        step("there are no orphans")
        return
    warn("no home needs these:")
    for orphan in found:
        note(str(orphan))
    ask(yes, f"Remove {'it' if len(found) == 1 else 'them'}?", "removes data for good")
    removed = []
    with steps("Removing") as tell:
        for orphan in found:
            tell(str(orphan.path))
            if remove_orphan(orphan):
                removed.append(orphan.size)
    step(f"removed {sum(removed) / 1e6:,.0f} MB")
