"""A worker alone: what a container, or a machine that only works, runs for servers of one's own."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from workbench.errors import ServerError, SettingsError
from workbench.home.locks import is_held
from workbench.runs.outputs import Outputs
from workbench.settings import Settings
from workbench.stack.environment import process_environment
from workbench.stack.model import Progress
from workbench.stack.prefect_api import PrefectApi
from workbench.stack.services import WORKER, Services
from workbench.stack.stack import Stack
from workbench.stack.state import supervisor_lock
from workbench.stack.worker import ALONE

__all__ = ["work_alone"]

_NEEDED = {
    "database_url": "WORKBENCH_DATABASE_URL",
    "redis_url": "WORKBENCH_REDIS_URL",
    "prefect_api_url": "PREFECT_API_URL",
}


def work_alone(settings: Settings, progress: Progress) -> NoReturn:
    """Become a Prefect worker of this home's work pool, until SIGTERM or SIGINT; no supervisor, no relay.

    Raises
    ------
    SettingsError
        A server of one's own is not named.
    ServerError
        One does not answer, this home has a worker already, or outputs cannot be put where they belong.
    """
    missing = [variable for field, variable in _NEEDED.items() if getattr(settings, field) is None]
    if missing:
        raise SettingsError(
            f"a worker alone needs servers of your own, and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set; workbench up runs embedded ones"
        )
    stack, services = Stack(settings), Services(settings)
    if is_held(supervisor_lock(settings.home)) or services.processes[WORKER].pid() is not None:
        raise ServerError(f"the home {settings.home} has a worker already; stop it first: workbench down")
    endpoints = stack.endpoints() if stack.is_set_up() else stack.start_servers(progress)
    # Says why it does not answer.
    PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string).version()
    if settings.outputs_url is not None:
        Outputs(settings.outputs_url).check()
    arguments, extra, folder = services.worker_command(endpoints)
    environment = process_environment(settings, extra)
    progress(f"Working for the pool {settings.work_pool}; its pages: {endpoints.prefect_ui_url}")
    # As for any worker: Prefect reads .env and pyproject.toml from the working folder.
    os.chdir(folder)
    os.execve(sys.executable, [sys.executable, "-m", *arguments, ALONE], environment)  # noqa: S606
