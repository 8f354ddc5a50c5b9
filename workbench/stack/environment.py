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
from workbench.secrets_file import SECRET_VARIABLES
from workbench.settings import Settings
from workbench.stack.model import Endpoints

__all__ = ["prefect_environment", "prefect_server_environment", "process_environment", "settings_environment"]


def settings_environment(settings: Settings) -> dict[str, str]:
    """The variables from which `Settings.load()` reads the same settings."""
    secret: dict[str, SecretStr | None] = {
        name: getattr(settings, field) for name, field in SECRET_VARIABLES.items()
    }
    plain = {
        "WORKBENCH_HOME": str(settings.home),
        "WORKBENCH_WORK_POOL": settings.work_pool,
        "WORKBENCH_POOL_SIZE": str(settings.pool_size),
        "WORKBENCH_POOL_OVERFLOW": str(settings.pool_overflow),
        "WORKBENCH_POSTGRES_USER": settings.postgres_user,
        "PREFECT_API_URL": settings.prefect_api_url,
        "WORKBENCH_FRAMES": settings.frames,
        "WORKBENCH_POLYGON_PER_MINUTE": str(settings.polygon_per_minute),
        "WORKBENCH_ALPACA_PER_MINUTE": str(settings.alpaca_per_minute),
        "WORKBENCH_YAHOO_URL": settings.yahoo_url,
        "WORKBENCH_POLYGON_URL": settings.polygon_url,
        "WORKBENCH_ALPACA_URL": settings.alpaca_url,
    }
    return {
        **{name: value for name, value in plain.items() if value is not None},
        **{name: value.get_secret_value() for name, value in secret.items() if value is not None},
    }


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
    """Our environment without any `PREFECT_*` or `WORKBENCH_*`, the project, the settings, and `extra`."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "WORKBENCH_"))
    }
    return {
        **kept,
        # The processes start in another folder.
        **project_environment(),
        "PYTHONUNBUFFERED": "1",
        MARK: str(Path(os.path.realpath(settings.home))),
        **settings_environment(settings),
        **extra,
    }


def _asyncpg(url: str) -> str:
    """The URL for SQLAlchemy with asyncpg, whose name for the TLS mode differs from libpq's."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}+asyncpg{separator}{rest.replace('sslmode=', 'ssl=')}"
