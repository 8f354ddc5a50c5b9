"""The relay's own process: `python -m workbench.stack.relay`; its log is `<home>/logs/relay.log`."""

from __future__ import annotations

import logging
import os
import signal
import sys

from workbench.errors import WorkbenchError
from workbench.settings import Settings
from workbench.stack.gone import end_with_home
from workbench.stack.stack import Stack


def main() -> int:
    """Relay the events of this environment until SIGTERM or SIGINT; 1 if its servers do not run."""
    import sqlalchemy as sa

    from workbench.db.bar_history import trim_bar_history
    from workbench.db.roles import RUNS_ROLE, role_url
    from workbench.events.relay import Relay
    from workbench.events.sinks import PrefectSink, RedisSink, Sink

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

    relay = Relay(role_url(settings, endpoints.database_url, RUNS_ROLE), sinks, upkeep=upkeep)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: relay.stop())
    try:
        relay.run(ready=lambda: logger.info("relaying events (process %s)", os.getpid()))
    finally:
        relay.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
