"""The settings as a table: each value without its secret, its key, its variable, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ByteSize, SecretStr
from pydantic_settings import BaseSettings

from workbench.project.keys import KEYS
from workbench.settings.origins import Origin, variable_of
from workbench.settings.urls import MASK, masked

__all__ = ["SettingRow", "table_of"]

# What None means, where it is more than "none".
_UNSET = {
    "database_url": "embedded",
    "redis_url": "embedded",
    "prefect_api_url": "embedded",
    "outputs": "runs/ in the home",
    "postgres_user": "postgres, else nobody",
    "data_source": "the only one",
    "calendar": "the source's",
    "yahoo_url": "Yahoo's",
    "polygon_url": "Polygon's",
    "alpaca_url": "Alpaca's",
}


@dataclass(frozen=True)
class SettingRow:
    """One setting.

    Attributes
    ----------
    name : str
        The field of `Settings`.
    value : str
        As it is shown: a password is ``***``.
    key : str
        In `workbench.toml`, as ``[section] key``; empty where it has none.
    variable : str
        In the environment.
    origin : Origin
    """

    name: str
    value: str
    key: str
    variable: str
    origin: Origin


def table_of(settings: BaseSettings, origins: Mapping[str, Origin]) -> list[SettingRow]:
    """Every setting: those with a key in the file's order, then the others."""
    keys = {key.setting: str(key) for key in KEYS if key.setting}
    names = [*keys, *(name for name in type(settings).model_fields if name not in keys)]
    return [
        SettingRow(
            name,
            _shown(name, getattr(settings, name)),
            keys.get(name, ""),
            variable_of(type(settings), name),
            origins[name],
        )
        for name in names
    ]


def _shown(name: str, value: Any) -> str:
    if value is None:
        return _UNSET.get(name, "none")
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        if name.endswith("_url"):
            return masked(secret)
        login, colon, _ = secret.partition(":")
        return f"{login}:{MASK}" if colon and name.endswith("auth_string") else MASK
    if isinstance(value, ByteSize):
        return f"{int(value):,} bytes" if value % 1_000_000 else f"{int(value) // 1_000_000:,} MB"
    return masked(value) if name.endswith("_url") else str(value)
