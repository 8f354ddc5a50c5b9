"""ArcticDB on LMDB as a candidate, in the two ways that give the same frame; runs in its own environment."""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import Timed
from benchmarks.data import FIELDS, Bars, tidy

__all__ = ["one_frame", "read_batch"]

Task = Mapping[str, Any]


@contextlib.contextmanager
def read_batch(task: Task) -> Iterator[Timed]:
    """A symbol of the library for each symbol; `read_batch` of all of them, put one after another."""
    bars = Bars.load(task["data"][0])
    with _library(task) as library:
        for position, symbol in enumerate(bars.symbols):
            one = bars.of(position)
            library.write(
                symbol, pd.DataFrame(one.values.T, index=_moments(one.stamps), columns=list(FIELDS))
            )

        def load(symbols: Sequence[str]) -> pd.DataFrame:
            parts = [item.data for item in library.read_batch(list(symbols))]
            counts = [len(part) for part in parts]
            values = np.empty((len(FIELDS), sum(counts)))
            for position, field in enumerate(FIELDS):
                np.concatenate([part[field].to_numpy() for part in parts], out=values[position])
            stamps = np.concatenate([part.index.as_unit("us").asi8 for part in parts])
            return tidy(symbols, np.repeat(np.arange(len(parts)), counts), stamps, values)

        yield Timed(load)


@contextlib.contextmanager
def one_frame(task: Task) -> Iterator[Timed]:
    """All bars in one frame of the library, their symbol as a small number; a few symbols by a filter."""
    arcticdb: Any = importlib.import_module("arcticdb")
    bars = Bars.load(task["data"][0])
    columns = {
        "code": np.repeat(np.arange(len(bars.symbols), dtype=np.int16), bars.counts),
        "timestamp": bars.stamps,
        **dict(zip(FIELDS, bars.values, strict=True)),
    }
    with _library(task) as library:
        library.write("bars", pd.DataFrame(columns))

        def load(symbols: Sequence[str]) -> pd.DataFrame:
            chosen = None
            if len(symbols) < len(bars.symbols):
                chosen = arcticdb.QueryBuilder()
                chosen = chosen[chosen["code"].isin([bars.symbols.index(symbol) for symbol in symbols])]
            rows = library.read("bars", query_builder=chosen).data
            values = np.empty((len(FIELDS), len(rows)))
            for position, field in enumerate(FIELDS):
                values[position] = rows[field].to_numpy()
            return tidy(bars.symbols, rows["code"].to_numpy(), rows["timestamp"].to_numpy(), values)

        yield Timed(load)


@contextlib.contextmanager
def _library(task: Task) -> Iterator[Any]:
    arcticdb: Any = importlib.import_module("arcticdb")
    with tempfile.TemporaryDirectory(prefix="arcticdb-", dir=task["folder"]) as folder:
        store = arcticdb.Arctic(f"lmdb://{folder}?map_size=4GB")
        yield store.get_library("bars", create_if_missing=True)


def _moments(stamps: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(stamps.view("M8[us]"), tz="UTC", name="timestamp")
