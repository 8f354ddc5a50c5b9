"""Refuses what holds a secret: parameters, notes and reasons are kept, and shown to everyone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from workbench.errors import PromotionRefused
from workbench.home.secrets import Secrets
from workbench.secrets_file import SECRET_VARIABLES
from workbench.settings import Settings

__all__ = ["refuse_secrets"]

_URL_WITH_PASSWORD = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/@:]*:[^\s/@]+@")
_LEAST = 8
"""Characters: a shorter one, such as a password "test", would be found in words that are none."""


def refuse_secrets(settings: Settings, **told: Any) -> None:
    """Refuse texts with a secret of the home or of its settings in them, or with a URL that has a password.

    Parameters
    ----------
    settings : Settings
    **told
        What is to be kept, by what it is called: a text, or what JSON holds.

    Raises
    ------
    PromotionRefused
        It says where the secret is and what it opens, and does not repeat it.
    """
    secrets = dict(_secrets(settings))
    for name, value in told.items():
        for place, text in _texts(name, value):
            found = next((what for secret, what in secrets.items() if secret in text), None)
            if found is None and _URL_WITH_PASSWORD.search(text):
                found = "a URL with a password in it"
            if found is not None:
                raise PromotionRefused(
                    f"{place} holds {found}, and would be kept with the version and shown to everyone: leave "
                    "it out, and have the notebook read it from the settings"
                )


def _secrets(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each secret there is, and what it is."""
    for variable, field in SECRET_VARIABLES.items():
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            # Of a login or a URL the password alone, too.
            for part in (secret, secret.partition(":")[2] if "://" not in secret else _password_of(secret)):
                if len(part) >= _LEAST:
                    yield part, f"the secret of {variable}"
    for variable in ("PGPASSWORD", "PREFECT_SERVER_API_AUTH_STRING"):
        if len(secret := os.environ.get(variable, "")) >= _LEAST:
            yield secret, f"the secret of {variable}"
    for name, secret in Secrets(settings.home).all().items():
        if len(secret) >= _LEAST:
            yield secret, f"the password {name} of this home's servers"


def _password_of(url: str) -> str:
    try:
        return str(make_url(url).password or "")
    except ArgumentError:
        return ""


def _texts(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """The texts in a value, each with where it is: "parameters.url", "locks[0]"."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(place, str(name))
            yield from _texts(f"{place}.{name}", item)
    elif isinstance(value, list | tuple | set):
        for number, item in enumerate(value):
            yield from _texts(f"{place}[{number}]", item)
