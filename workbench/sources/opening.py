"""Opening a source by its name, with the options its caller gives and the keys that the settings hold."""

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
"""What a caller may say about each source."""


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
        Where keys, addresses and limits come from.
    options : mapping
        What the caller says about it, by name; None counts as not said.
    on_wait : callable, optional
        Told in words of long waits for a vendor.

    Raises
    ------
    SourceError
        When there is no such source, it takes no such option, or a file's path is missing. As KeyRefused:
        when its key is missing.
    """
    make = source_class(name)
    said = {option: value for option, value in options.items() if value is not None}
    foreign = [option for option in said if option not in OPTIONS[name]]
    if foreign:
        takers = [source for source, known in OPTIONS.items() if set(foreign) <= set(known)]
        whose = f"that is for {' and '.join(takers)}" if takers else "no source takes all of them"
        raise SourceError(f"the source {name} takes no {', '.join(foreign)}; {whose}")
    if name == "file" and "path" not in said:
        raise SourceError("the source file needs to know which: --path FILE, or path='bars.csv'")
    if name in _FROM_SETTINGS:
        said |= {**_FROM_SETTINGS[name](settings), "on_wait": on_wait}
    return make(**said)


def _open(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
