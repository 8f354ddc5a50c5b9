"""The environment variables of the processes that the stack starts."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from workbench.embedded.process import MARK
from workbench.project import project_environment
from workbench.secrets_file import EMBEDDED
from workbench.settings import Settings
from workbench.settings.origins import variable_of
from workbench.stack.model import Endpoints

__all__ = ["prefect_environment", "prefect_server_environment", "process_environment", "settings_environment"]


# What the processes of a stack have in common. A change of the file must not part a run from its stack.
_OF_THE_STACK = {
    "home",
    "database_url",
    "redis_url",
    "prefect_api_url",
    "prefect_api_auth_string",
    "postgres_user",
    "work_pool",
}
# The embedded servers are named, too: else the file's would come to take their place.
_MAY_BE_EMBEDDED = {"database_url", "redis_url"}


def settings_environment(settings: Settings, *, whole: bool = True) -> dict[str, str]:
    """The variables from which `Settings.load()` reads the same settings.

    Parameters
    ----------
    settings : Settings
    whole : bool
        With False, what is from `workbench.toml` is left out, but for what a stack has in common (home,
        servers, work pool): a process of the project then reads the file as it is when the process starts.
    """
    given = {}
    for name, origin in settings.origins.items():
        value = getattr(settings, name)
        if name not in _OF_THE_STACK and (
            origin.kind == "default" or (origin.kind == "project" and not whole)
        ):
            continue
        if value is None and name in _MAY_BE_EMBEDDED:
            value = EMBEDDED
        if value is not None:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            given[variable_of(Settings, name)] = plain
    return given


def prefect_environment(settings: Settings, endpoints: Endpoints) -> dict[str, str]:
    """The `PREFECT_*` variables for a client of the server at these endpoints.

    Nothing is read from or written to `~/.prefect`: Prefect's home is `<home>/prefect`.
    """
    folder = settings.home / "prefect"
    environment = {
        "PREFECT_HOME": str(folder),
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
        # Prefect 3.4.14 puts these in ~/.prefect, whatever PREFECT_HOME is.
        "PREFECT_LOCAL_STORAGE_PATH": str(folder / "storage"),
        "PREFECT_LOGGING_SETTINGS_PATH": str(folder / "logging.yml"),
        "PREFECT_MEMO_STORE_PATH": str(folder / "memo_store.toml"),
        # Without the server a client raises, instead of starting a server of its own.
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_CLI_PROMPT": "false",
        # Off by default; without it Prefect never detects a flow that died with its worker.
        "PREFECT_RUNNER_HEARTBEAT_FREQUENCY": "30",
        # So that a requested run starts at once; by default the worker polls every ten seconds.
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    if endpoints.prefect_api_url is not None:
        environment["PREFECT_API_URL"] = endpoints.prefect_api_url
    if endpoints.prefect_auth_string is not None:
        environment["PREFECT_API_AUTH_STRING"] = endpoints.prefect_auth_string
        # Prefect's clients send the login over HTTP by themselves; over websockets only with this.
        login = base64.b64encode(endpoints.prefect_auth_string.encode()).decode()
        environment["PREFECT_CLIENT_CUSTOM_HEADERS"] = json.dumps({"Authorization": f"Basic {login}"})
    return environment


def prefect_server_environment(
    settings: Settings, *, database_url: str, auth_string: str, port: int
) -> dict[str, str]:
    """The variables for Prefect's server on loopback, with basic auth and its own database.

    Parameters
    ----------
    database_url : str
        `postgresql://user:password@host:port/database` of Prefect's database.
    auth_string : str
        `user:password` that every client must send.
    port : int
        The port on 127.0.0.1.
    """
    base = f"http://127.0.0.1:{port}"
    return {
        **prefect_environment(settings, Endpoints("", "", f"{base}/api", auth_string)),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": _asyncpg(database_url),
        "PREFECT_SERVER_API_AUTH_STRING": auth_string,
        # By default any website may call the API from the browser.
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": base,
        # Relative, because a page on localhost may not call 127.0.0.1.
        "PREFECT_SERVER_UI_API_URL": "/api",
        # For newer servers; older ones ask once, in the browser, for an e-mail address.
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # By default the pages are unpacked into the installed package, which may not be writable.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(settings.home / "prefect" / "ui"),
    }


def process_environment(settings: Settings, extra: Mapping[str, str]) -> dict[str, str]:
    """Our environment without any `PREFECT_*` or `WORKBENCH_*`, the project, the settings, and `extra`.

    Settings of the project's file are left to each process to read, but for those of the stack.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "WORKBENCH_"))
    }
    return {
        **kept,
        # The processes start in another folder.
        **project_environment(),
        "PYTHONUNBUFFERED": "1",
        MARK: str(Path(os.path.realpath(settings.home))),
        **settings_environment(settings, whole=False),
        **extra,
    }


def _asyncpg(url: str) -> str:
    """The URL for SQLAlchemy with asyncpg, whose name for the TLS mode differs from libpq's."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}+asyncpg{separator}{rest.replace('sslmode=', 'ssl=')}"
