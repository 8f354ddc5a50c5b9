"""Creates a source by name, with the caller's options and the keys from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from workbench.errors import SourceError
from workbench.settings import Settings
from workbench.sources import source_class
from workbench.sources.retry import Tell
from workbench.sources.source import Source

__all__ = ["OPTIONS", "open_source"]

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "sample": (),
    "file": ("path", "columns", "date_format", "timezone", "data_source"),
    "yahoo": ("interval", "data_source"),
    "polygon": ("interval", "data_source"),
    "alpaca": ("interval", "feed", "data_source"),
}
"""Source name to the options that a caller may give."""


def _yahoo(settings: Settings) -> dict[str, Any]:
    return {"url": settings.yahoo_url, "cache": settings.home / "yahoo"}


def _polygon(settings: Settings) -> dict[str, Any]:
    return {
        "api_key": _open(settings.polygon_api_key),
        "url": settings.polygon_url,
        "per_minute": settings.polygon_per_minute,
    }


def _alpaca(settings: Settings) -> dict[str, Any]:
    return {
        "api_key": _open(settings.alpaca_api_key),
        "api_secret": _open(settings.alpaca_api_secret),
        "url": settings.alpaca_url,
        "per_minute": settings.alpaca_per_minute,
    }


_FROM_SETTINGS: Mapping[str, Callable[[Settings], dict[str, Any]]] = {
    "yahoo": _yahoo,
    "polygon": _polygon,
    "alpaca": _alpaca,
}


def open_source(
    name: str, settings: Settings, options: Mapping[str, Any], *, on_wait: Tell | None = None
) -> Source:
    """The source of that name.

    Parameters
    ----------
    name : str
        One of `workbench.sources.SOURCES`.
    settings : Settings
        Provides keys, addresses and limits.
    options : mapping
        The caller's options by name; None counts as not given.
    on_wait : callable, optional
        Called with a text about each long wait for a vendor.

    Raises
    ------
    SourceError
        There is no such source, it does not have such an option, or a file's path is missing.
        KeyRefused, a subclass: its key is missing.
    """
    make = source_class(name)
    given = {option: value for option, value in options.items() if value is not None}
    foreign = [option for option in given if option not in OPTIONS[name]]
    if foreign:
        takers = [source for source, known in OPTIONS.items() if set(foreign) <= set(known)]
        whose = f"that is for {' and '.join(takers)}" if takers else "no source takes all of them"
        raise SourceError(f"the source {name} takes no {', '.join(foreign)}; {whose}")
    if name == "file" and "path" not in given:
        raise SourceError("the source file needs a path: --path FILE, or path='bars.csv'")
    if name in _FROM_SETTINGS:
        given |= {**_FROM_SETTINGS[name](settings), "on_wait": on_wait}
    return make(**given)


def _open(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
