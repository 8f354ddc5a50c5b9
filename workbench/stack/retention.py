"""Removes what is old of runs, promoted notebooks, versions of bars, events and Prefect, by hand or daily."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from workbench.db.bar_history import count_trimmed, trim_bar_history
from workbench.db.pool import ServiceConnectionPool
from workbench.errors import WorkbenchError
from workbench.events import outbox
from workbench.home.locks import exclusive
from workbench.settings import Settings
from workbench.stack.cleaned import Cleaned, Cut
from workbench.stack.old_contents import clean_contents
from workbench.stack.old_flow_runs import clean_flow_runs
from workbench.stack.old_outputs import clean_outputs
from workbench.stack.prefect_api import PrefectApi
from workbench.tables.workbench import events

__all__ = ["Cleaner", "clean_old"]

_DAY_SECONDS = 86_400.0
_LOOK_SECONDS = 300.0
# Events are told within seconds, and for a month kept for whoever looks back.
_EVENT_DAYS = 30

logger = logging.getLogger("workbench.cleaner")


def clean_old(
    settings: Settings,
    pool: ServiceConnectionPool,
    prefect: PrefectApi | None,
    *,
    days: int,
    dry_run: bool = False,
) -> list[Cleaned]:
    """Remove what is older than so many days, or only count it.

    Run records, live signals, whatever else is a row of a service, and versions of deployments are kept, and
    so are the promoted notebooks that these need. Versions of bars are kept as long as `history_keep_days`,
    if that is longer.

    Raises
    ------
    ServerError
        Another cleaning of this home is under way.
    """
    with _one_at_a_time(settings.home):
        return [
            clean_outputs(settings, pool, Cut(days, dry_run)),
            clean_contents(settings, pool, prefect, Cut(days, dry_run)),
            _clean_bars(pool, Cut(max(days, settings.history_keep_days), dry_run)),
            _clean_events(pool, Cut(min(days, _EVENT_DAYS), dry_run)),
            clean_flow_runs(prefect, settings.work_pool, Cut(days, dry_run)),
        ]


class Cleaner:
    """Cleans a home once a day, as long as something is to be removed at all.

    Parameters
    ----------
    settings : Settings
    pool : ServiceConnectionPool
        With the role `workbench_runs`.
    prefect : PrefectApi or None
    """

    def __init__(self, settings: Settings, pool: ServiceConnectionPool, prefect: PrefectApi | None) -> None:
        self._settings = settings
        self._pool = pool
        self._prefect = prefect
        self._done = settings.home / "run" / "cleaned"

    def work(self, stop: threading.Event) -> None:
        """Clean at the start, if the last time is a day ago, and then each day, until `stop`."""
        while self._settings.retention_keep_days:
            if self._is_due():
                self._clean()
            if stop.wait(_LOOK_SECONDS):
                return

    def _is_due(self) -> bool:
        try:
            return time.time() - self._done.stat().st_mtime > _DAY_SECONDS
        except FileNotFoundError:
            return True

    def _clean(self) -> None:
        try:
            done = clean_old(
                self._settings, self._pool, self._prefect, days=self._settings.retention_keep_days
            )
        except WorkbenchError as error:
            logger.warning("%s; it is tried again in %.0f minutes", error, _LOOK_SECONDS / 60)
            return
        except Exception:
            logger.exception("unexpected error; continuing")
            return
        for one in done:
            if one.count:
                logger.info("removed %s %s, older than %s days", one.count, one.what, one.days)
            if one.note:
                logger.warning("%s: %s", one.what, one.note)
        with contextlib.suppress(OSError):
            self._done.touch(mode=0o600)


@contextlib.contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Homes may clean at once: what they share is removed in transactions, and by nobody twice."""
    with exclusive(home / "run" / "clean.lock", patience=0, doing="removing what is old"):
        yield


def _clean_bars(pool: ServiceConnectionPool, cut: Cut) -> Cleaned:
    with pool.begin("removing old versions of bars") as connection:
        count, size = count_trimmed(connection, keep_days=cut.days)
        if not cut.dry_run:
            count = trim_bar_history(connection, keep_days=cut.days)
    return Cleaned("replaced versions of bars", count, size, cut.days)


def _clean_events(pool: ServiceConnectionPool, cut: Cut) -> Cleaned:
    long_ago = sa.func.clock_timestamp() - cut.age
    size = sa.func.coalesce(sa.func.sum(sa.func.length(sa.cast(events.c.data, sa.Text))), 0)
    query = sa.select(sa.func.count(), size).where(events.c.published_at < long_ago)
    with pool.begin("removing told events") as connection:
        count, taken = connection.execute(query).one()
        if not cut.dry_run:
            count = outbox.delete_old(connection, days=cut.days)
    return Cleaned("events that were told", count, int(taken), cut.days)
