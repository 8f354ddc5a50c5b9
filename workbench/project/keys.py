"""The keys of `workbench.toml`: in which section each is, what it holds, and which setting it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["KEYS", "Key", "Kind"]

Kind = Literal["text", "folder", "place", "variable", "number", "size"]
"""What a key holds. A folder is relative to the file; a place is a folder or a URL; a variable is the name of
an environment variable."""


@dataclass(frozen=True)
class Key:
    """A key of `workbench.toml`.

    Attributes
    ----------
    section, name : str
        As they are written: ``[section]``, and below it ``name = …``.
    setting : str
        The field of `Settings` that it sets; empty for the project's own name.
    kind : str
        What it holds.
    """

    section: str
    name: str
    setting: str
    kind: Kind

    def __str__(self) -> str:
        return f"[{self.section}] {self.name}"


KEYS = (
    Key("project", "name", "", "text"),
    Key("project", "home", "home", "folder"),
    Key("project", "outputs", "outputs", "place"),
    # Names of variables: a URL holds a password, and the file goes into git.
    Key("servers", "database", "database_url", "variable"),
    Key("servers", "redis", "redis_url", "variable"),
    Key("servers", "prefect", "prefect_api_url", "variable"),
    Key("servers", "prefect_auth", "prefect_api_auth_string", "variable"),
    Key("defaults", "source", "source", "text"),
    Key("defaults", "data_source", "data_source", "text"),
    Key("defaults", "calendar", "calendar", "text"),
    Key("defaults", "timezone", "timezone", "text"),
    Key("defaults", "currency", "currency", "text"),
    Key("pools", "size", "pool_size", "number"),
    Key("pools", "overflow", "pool_overflow", "number"),
    Key("pools", "work_pool", "work_pool", "text"),
    Key("cache", "size", "cache_size", "size"),
    Key("history", "keep_days", "history_keep_days", "number"),
    Key("retention", "keep_days", "retention_keep_days", "number"),
)
"""Every key that there is."""
