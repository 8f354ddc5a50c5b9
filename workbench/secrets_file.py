"""The secret settings, passed to a kernel in a file that only its owner can read.

A kernel's environment holds no password: code could print it, and the output notebook would keep it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from workbench.errors import SettingsError
from workbench.home.files import replace_file
from workbench.project.file import named_variables

__all__ = ["EMBEDDED", "SECRETS_FILE", "SECRET_VARIABLES", "SecretsFileSource", "hand_over"]

SECRETS_FILE = "WORKBENCH_SECRETS_FILE"
"""The environment variable with the file's path; the file is a JSON object of variables and their values."""

SECRET_VARIABLES = {
    "WORKBENCH_DATABASE_URL": "database_url",
    "WORKBENCH_REDIS_URL": "redis_url",
    "PREFECT_API_AUTH_STRING": "prefect_api_auth_string",
    "WORKBENCH_POLYGON_API_KEY": "polygon_api_key",
    "WORKBENCH_ALPACA_API_KEY": "alpaca_api_key",
    "WORKBENCH_ALPACA_API_SECRET": "alpaca_api_secret",
}
"""Each variable that may hold a secret, and the field of `Settings` that is read from it."""

EMBEDDED = "embedded"
"""Instead of a URL: the embedded server, also where the project's file names another one."""

# Other variables that contain a secret, for programs that a kernel does not use: flows, Prefect's server.
_REPEAT = {
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
}


class SecretsFileSource(PydanticBaseSettingsSource):
    """A settings source: the file named by `WORKBENCH_SECRETS_FILE`; empty where that is not set."""

    def __call__(self) -> dict[str, Any]:
        """The fields in the file."""
        held = _read(os.environ.get(SECRETS_FILE))
        return {field: held[name] for name, field in SECRET_VARIABLES.items() if name in held}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Unused (but abstract in pydantic): `__call__` returns all fields at once."""
        del field
        return None, field_name, False


def hand_over(environment: Mapping[str, str], file: Path) -> dict[str, str]:
    """The environment for a kernel, without the secrets, which are written to `file` (mode 0600).

    Parameters
    ----------
    environment : mapping
        The caller's environment. If it names a secrets file itself, the secrets in that are passed on too.
        Variables that the project's file names for its servers are left out, too: their values are passed on
        as those of the settings.
    file : Path
        The caller removes it when the kernel has ended. It is written only if there is a secret.

    Raises
    ------
    SettingsError
        The file that the environment names cannot be read.
    """
    secret = _read(environment.get(SECRETS_FILE))
    embedded = {name for name, value in environment.items() if value == EMBEDDED}
    secret |= {
        name.upper(): value
        for name, value in environment.items()
        if name.upper() in SECRET_VARIABLES and name not in embedded
    }
    left_out = {*SECRET_VARIABLES, *_REPEAT, SECRETS_FILE}
    if "WORKBENCH_DATABASE_URL" in secret:
        # The password for a URL without one; `Settings` has already put it into the URL.
        left_out.add("PGPASSWORD")
    named = named_variables()
    plain = {
        name: value
        for name, value in environment.items()
        if name in embedded or not (name.upper() in left_out or name in named)
    }
    if secret:
        replace_file(file, json.dumps(secret, indent=2) + "\n", mode=0o600)
        plain[SECRETS_FILE] = str(file)
    return plain


def _read(path: str | None) -> dict[str, str]:
    if not path:
        return {}
    try:
        held = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise SettingsError(
            f"{SECRETS_FILE}: {path} cannot be read ({reason}); the run or JupyterLab that made it has "
            "ended: start the kernel again from a new one"
        ) from error
    if not isinstance(held, dict) or not all(isinstance(value, str) for value in held.values()):
        raise SettingsError(f"{SECRETS_FILE}: {path} is not a JSON object of strings")
    return held
