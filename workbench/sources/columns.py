"""Maps a file's columns to the fields of a bar: recognised by name, or given by the caller."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.errors import FileRefused
from workbench.sources.source import VALUE_COLUMNS

__all__ = ["FIELDS", "NAMES", "field_like", "find_columns"]

REQUIRED = ("timestamp", *VALUE_COLUMNS)
FIELDS = (*REQUIRED, "symbol")
"""The fields that a file's columns can be; the first six are required."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "timestamp": ("timestamp", "datetime", "date", "time", "ts", "day", "dateandtime"),
    "open": ("open", "o", "openprice", "openingprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "last", "closelast", "closeprice", "closingprice"),
    "volume": ("volume", "vol", "v"),
    "symbol": ("symbol", "ticker"),
}
"""Field to recognised column names, without case, spaces and punctuation. Adjusted closes are not closes."""

# Of several candidates, the one with the field's own name is used; but not for times, which may be joined.
OWN_NAME_WINS = {*VALUE_COLUMNS, "symbol"}


def find_columns(
    names: Sequence[str], given: Mapping[str, str], *, file: Path, header: bool = True
) -> dict[str, tuple[int, ...]]:
    """The positions, from 0, of the columns that hold each field.

    Parameters
    ----------
    names : sequence of str
        The file's columns; their numbers from 1 if it has no header line.
    given : mapping of str to str
        Field to column name, used instead of a recognised one. ``{"timestamp": "Date+Time"}`` joins two
        columns with a space.
    file : Path
        The file's path, for errors.
    header : bool
        Whether the file has a header line.

    Returns
    -------
    dict of str to tuple of int
        A key for each field found; only a joined timestamp has more than one position.

    Raises
    ------
    FileRefused
        A required field is missing or could be several columns, or a given column does not exist.
    """
    path = file.name
    found = {field: _given(field, name, names, path) for field, name in given.items()}
    listed = ", ".join(names)
    missing: list[str] = []
    for field in FIELDS:
        if field in found:
            continue
        candidates = [position for position, name in enumerate(names) if _plain(name) in NAMES[field]]
        if len(candidates) > 1 and field in OWN_NAME_WINS:
            own = [position for position in candidates if _plain(names[position]) == field]
            candidates = own or candidates
        if len(candidates) > 1:
            several = " or ".join(names[position] for position in candidates)
            joined = f", or --column {field}={'+'.join(names[p] for p in candidates)} to join them"
            raise FileRefused(
                f"{path}: {field} could be {several}; choose e.g. --column {field}={names[candidates[0]]}"
                + (joined if field == "timestamp" else ""),
                path=path,
            )
        if candidates:
            found[field] = (candidates[0],)
        elif field in REQUIRED:
            missing.append(field)
    if missing and not header:
        raise FileRefused(
            f"{path}: there is no header line; give the columns by their numbers, 1 to {len(names)}, "
            f"e.g. {' '.join(f'--column {field}={i}' for i, field in enumerate(REQUIRED, 1))}",
            path=path,
        )
    others = [name for position, name in enumerate(names) if (position,) not in found.values()]
    if set(missing) == set(VALUE_COLUMNS) and "symbol" not in found and len(others) > 1:
        raise _wide(file, [names[position] for position in found["timestamp"]], others)
    if missing:
        raise FileRefused(
            f"{path}: no column for {', '.join(missing)} among the columns ({listed}); "
            f"give it with --column {missing[0]}=NAME",
            path=path,
        )
    return found


def field_like(name: str) -> str:
    """The field that an unused column's name resembles, as close for "Adj Close"; or empty."""
    return next((field for field in VALUE_COLUMNS if field in _plain(name)), "")


def _wide(file: Path, time: Sequence[str], symbols: Sequence[str]) -> FileRefused:
    """The error for a table with a column for each symbol; it shows how to convert it."""
    read = "read_parquet" if file.suffix == ".parquet" else "read_csv"
    stem = Path(file.name.removesuffix(".gz")).stem
    # The mode "x" does not overwrite an existing file.
    return FileRefused(
        f"{file.name}: there is no open, high, low, close or volume, as in a wide table with a column "
        f"of closes for each symbol ({', '.join(symbols[:5])}{', …' if len(symbols) > 5 else ''}), and a bar "
        "needs all five; to convert it in Python, with the close as the other prices: "
        f"import pandas as pd; pd.{read}({str(file)!r})"
        f'.melt({list(time)}, var_name="symbol", value_name="close").dropna()'
        '.assign(open=lambda bars: bars["close"], high=lambda bars: bars["close"], '
        'low=lambda bars: bars["close"], volume=0)'
        f'.to_csv({str(file.with_name(f"{stem}-long.csv"))!r}, index=False, mode="x")',
        path=file.name,
    )


def _plain(name: str) -> str:
    # "Close/Last", "close_last" and "1. close" are recognised by their letters.
    return re.sub(r"[^a-z]", "", name.casefold())


def _given(field: str, name: str, names: Sequence[str], path: str) -> tuple[int, ...]:
    if field not in FIELDS:
        raise FileRefused(
            f'{path}: --column {field}={name}: "{field}" is not one of {", ".join(FIELDS)}', path=path
        )
    parts = name.split("+") if field == "timestamp" and name not in names else [name]
    return tuple(_position(field, part.strip(), names, path) for part in parts)


def _position(field: str, name: str, names: Sequence[str], path: str) -> int:
    exact = [position for position, there in enumerate(names) if there == name]
    alike = exact or [p for p, there in enumerate(names) if there.casefold() == name.casefold()]
    if len(alike) == 1:
        return alike[0]
    what = "no column" if not alike else "more than one column"
    raise FileRefused(
        f'{path}: --column {field}={name}: {what} "{name}"; the columns are {", ".join(names)}', path=path
    )
