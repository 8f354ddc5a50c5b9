"""The relay's own process: `python -m workbench.stack.relay`; its log is `<home>/logs/relay.log`.

Beside relaying events it starts what they start, looks for slots that passed without a run and for runs that
are dead, and removes once a day what is old: processes of their own would take another 100 MB each.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from sqlalchemy.engine import URL

from workbench.errors import WorkbenchError
from workbench.settings import Settings
from workbench.stack.gone import end_with_home
from workbench.stack.model import Endpoints
from workbench.stack.stack import Stack


def main() -> int:
    """Relay events, look at slots and reap dead runs until SIGTERM or SIGINT; 1 if the servers do not run."""
    import sqlalchemy as sa

    from workbench.db.bar_history import trim_bar_history
    from workbench.db.pool import ServiceConnectionPool
    from workbench.db.roles import RUNS_ROLE, role_url
    from workbench.events.relay import Relay
    from workbench.events.sinks import PrefectSink, RedisSink, Sink
    from workbench.runs.bursts import note_events
    from workbench.runs.slot_store import SlotStore
    from workbench.stack.prefect_api import PrefectApi
    from workbench.stack.slot_watch import SlotWatch
    from workbench.stack.starter import Starter

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # httpx logs a line per request, which would repeat the outbox in the log.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logger = logging.getLogger("workbench.relay")
    try:
        end_with_home()
        settings = Settings.load()
        endpoints = Stack(settings).endpoints()
    except WorkbenchError as error:
        logger.error("%s", error)
        return 1
    sinks: list[Sink] = [
        RedisSink(endpoints.redis_url, prefix=settings.event_prefix, database=settings.trading_database)
    ]
    if endpoints.prefect_api_url is not None:
        sinks.append(
            PrefectSink(
                endpoints.prefect_api_url, endpoints.prefect_auth_string, work_pool=settings.work_pool
            )
        )

    def upkeep(connection: sa.Connection) -> None:
        removed = trim_bar_history(connection, keep_days=settings.history_keep_days)
        if removed:
            logger.info("removed %s replaced versions of bars", removed)

    url = role_url(settings, endpoints.database_url, RUNS_ROLE)
    relay, end = Relay(url, sinks, upkeep=upkeep, note=note_events), threading.Event()
    # Each home has one, whoever relays: only a process of the same machine sees which processes are gone.
    reaping = threading.Thread(target=_reap, args=(settings, endpoints, url, end), name="reaper", daemon=True)

    def stop(*_: object) -> None:
        end.set()
        relay.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    reaping.start()
    cleaning = threading.Thread(
        target=_clean, args=(settings, endpoints, url, end), name="cleaner", daemon=True
    )
    cleaning.start()
    if endpoints.prefect_api_url is not None:
        prefect = PrefectApi(endpoints.prefect_api_url, endpoints.prefect_auth_string)
        slots = SlotStore(ServiceConnectionPool("runs", lambda: url, size=1, overflow=0))
        SlotWatch(prefect, slots, settings.work_pool).start()
        Starter(prefect, ServiceConnectionPool("runs", lambda: url, size=1, overflow=1)).start()
    try:
        relay.run(ready=lambda: logger.info("relaying events (process %s)", os.getpid()))
    finally:
        relay.close()
    return 0


def _reap(settings: Settings, endpoints: Endpoints, url: URL, end: threading.Event) -> None:
    from workbench.db.pool import ServiceConnectionPool
    from workbench.runs import RunStore
    from workbench.stack.prefect_api import PrefectApi
    from workbench.stack.reaper import Reaper

    runs = RunStore(ServiceConnectionPool("runs", lambda: url, size=1, overflow=2))
    prefect = None
    if endpoints.prefect_api_url is not None:
        prefect = PrefectApi(endpoints.prefect_api_url, endpoints.prefect_auth_string)
    Reaper(runs, prefect, work_pool=settings.work_pool).work(end)


def _clean(settings: Settings, endpoints: Endpoints, url: URL, end: threading.Event) -> None:
    from workbench.db.pool import ServiceConnectionPool
    from workbench.stack.prefect_api import PrefectApi
    from workbench.stack.retention import Cleaner

    prefect = None
    if endpoints.prefect_api_url is not None:
        prefect = PrefectApi(endpoints.prefect_api_url, endpoints.prefect_auth_string)
    Cleaner(settings, ServiceConnectionPool("runs", lambda: url, size=1, overflow=0), prefect).work(end)


if __name__ == "__main__":
    sys.exit(main())
