"""Sources of bars: one class per source, each with one method, `fetch`; no database, no quality rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from workbench.errors import SourceError
from workbench.sources.source import RawBars, Source
from workbench.spelling import did_you_mean, near_names

if TYPE_CHECKING:
    from workbench.sources.alpaca import AlpacaSource
    from workbench.sources.files import FileSource
    from workbench.sources.polygon import PolygonSource
    from workbench.sources.sample import SampleSource
    from workbench.sources.yahoo import YahooSource

__all__ = ["SOURCES", "RawBars", "Source", "source_class"]


def _sample() -> type[SampleSource]:
    from workbench.sources.sample import SampleSource

    return SampleSource


def _file() -> type[FileSource]:
    from workbench.sources.files import FileSource

    return FileSource


def _yahoo() -> type[YahooSource]:
    from workbench.sources.yahoo import YahooSource

    return YahooSource


def _polygon() -> type[PolygonSource]:
    from workbench.sources.polygon import PolygonSource

    return PolygonSource


def _alpaca() -> type[AlpacaSource]:
    from workbench.sources.alpaca import AlpacaSource

    return AlpacaSource


SOURCES: Mapping[str, Callable[[], Callable[..., Source]]] = {
    "sample": _sample,
    "file": _file,
    "yahoo": _yahoo,
    "polygon": _polygon,
    "alpaca": _alpaca,
}
"""Source name to a function that imports and returns its class."""


def source_class(name: str) -> Callable[..., Source]:
    """Import and return the class of the source called `name`.

    Raises
    ------
    SourceError
        There is no such source; the message lists the sources.
    """
    if name not in SOURCES:
        meant = did_you_mean(near_names(name, SOURCES))
        raise SourceError(f'there is no source "{name}"{meant}; there are: {", ".join(SOURCES)}')
    return SOURCES[name]()
