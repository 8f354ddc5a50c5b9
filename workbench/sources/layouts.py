"""The date layouts recognised in files: one literal table, matched against a whole column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

__all__ = ["LAYOUTS", "Layout", "Parts", "choose", "split"]

TIME = (
    r"(?:[T ] *(?P<H>[0-9]{1,2}):?(?P<M>[0-9]{2})(?::?(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]{1,9}))?)?"
    r" ?(?P<p>[AaPp][Mm])?(?P<z> ?(?:Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?)?$"
)


@dataclass(frozen=True)
class Layout:
    """One way to write a date: `pattern` (RE2) has the groups y, m (or mon), d (or a, b) or n."""

    name: str
    pattern: str
    unit: str = ""  # of an epoch: how many nanoseconds n counts, as a numpy unit


LAYOUTS = (
    Layout("2017-01-03", r"^(?P<y>[0-9]{4})[-/.](?P<m>[0-9]{1,2})[-/.](?P<d>[0-9]{1,2})" + TIME),
    Layout("20170103", r"^(?P<y>(?:1[89]|2[01])[0-9]{2})(?P<m>[0-9]{2})(?P<d>[0-9]{2})" + TIME),
    # Whether a or b is the month is decided from the whole column.
    Layout("1/3/2017", r"^(?P<a>[0-9]{1,2})[-/.](?P<b>[0-9]{1,2})[-/.](?P<y>[0-9]{4}|[0-9]{2})" + TIME),
    Layout("3-Jan-2017", r"^(?P<d>[0-9]{1,2})[- ](?P<mon>[A-Za-z]{3,9})[- ](?P<y>[0-9]{4}|[0-9]{2})" + TIME),
    Layout("Jan 3, 2017", r"^(?P<mon>[A-Za-z]{3,9})[- ](?P<d>[0-9]{1,2}),?[- ](?P<y>[0-9]{4})" + TIME),
    Layout("epoch seconds", r"^(?P<n>[0-9]{9,10})$", "s"),
    Layout("epoch milliseconds", r"^(?P<n>[0-9]{12,13})$", "ms"),
    Layout("epoch microseconds", r"^(?P<n>[0-9]{15,16})$", "us"),
    Layout("epoch nanoseconds", r"^(?P<n>[0-9]{18,19})$", "ns"),
)
"""Every layout that is recognised without a given format."""

SAMPLE = 1000
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)


@dataclass(frozen=True)
class Parts:
    """The numbers in each text of a column: int64 arrays of shape (n_rows,), 0 where a group is absent.

    `matched` is True for texts of the layout, `offset` is minutes east of UTC, `aware` is True for texts with
    an offset, `fine` is nanoseconds within the second.
    """

    matched: npt.NDArray[np.bool_]
    numbers: Mapping[str, npt.NDArray[np.int64]]
    aware: npt.NDArray[np.bool_]
    offset: npt.NDArray[np.int64]
    fine: npt.NDArray[np.int64]


def choose(texts: Any) -> Layout | None:
    """The layout that most of the texts match (a pyarrow array of trimmed strings); None if none does."""
    filled = texts.filter(pc.not_equal(texts, ""))
    if not len(filled):
        return None

    def followers(layout: Layout, among: Any) -> int:
        return pc.sum(pc.match_substring_regex(among, layout.pattern)).as_py() or 0

    # The first rows nearly always have the layout of all: then one pass is enough.
    likely = max(LAYOUTS, key=lambda layout: followers(layout, filled[:SAMPLE]))
    if followers(likely, filled) * 2 > len(filled):
        return likely
    counts = [followers(layout, filled) for layout in LAYOUTS]
    return LAYOUTS[int(np.argmax(counts))] if max(counts) else None


def split(texts: Any, layout: Layout) -> Parts:
    """Parse the texts (a pyarrow array of trimmed strings)."""
    groups = pc.extract_regex(texts, layout.pattern)
    names = [groups.type.field(i).name for i in range(groups.type.num_fields)]
    field = {name: pc.fill_null(pc.struct_field(groups, name), "") for name in names}
    matched = _numpy(pc.is_valid(groups)).astype(bool)
    numbers = {name: _integers(field[name]) for name in names if name in set("ymdabnHMS")}
    nothing = np.zeros(len(matched), dtype=np.int64)
    if "mon" in field:
        numbers["m"] = _mapped(field["mon"], _month)
    if "y" in field:
        short = _numpy(pc.equal(pc.utf8_length(field["y"]), 2)) & matched
        # As in strptime, 69 to 99 mean 1969 to 1999.
        numbers["y"] = numbers["y"] + np.where(short, np.where(numbers["y"] < 69, 2000, 1900), 0)
    if "p" in field:
        hour, half = numbers["H"], _mapped(field["p"], lambda text: {"": -1, "am": 0, "pm": 12}[text.lower()])
        clock = (hour >= 1) & (hour <= 12)
        numbers["H"] = np.where(half < 0, hour, np.where(clock, hour % 12 + half, 99))
    zone = field.get("z")
    return Parts(
        matched=matched,
        numbers=numbers,
        aware=_numpy(pc.not_equal(zone, "")).astype(bool) if zone is not None else nothing.astype(bool),
        offset=_mapped(zone, _minutes) if zone is not None else nothing,
        fine=_mapped(field["f"], lambda text: int(text.ljust(9, "0"))) if "f" in field else nothing,
    )


def _numpy(array: Any) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def _integers(texts: Any) -> npt.NDArray[np.int64]:
    return _numpy(pc.cast(pc.if_else(pc.equal(texts, ""), "0", texts), "int64")).astype(np.int64)


def _mapped(texts: Any, meaning: Any) -> npt.NDArray[np.int64]:
    """`meaning` of each text, computed once per distinct text."""
    coded = texts.dictionary_encode()
    table = np.array([meaning(text) for text in coded.dictionary.to_pylist()] or [0], dtype=np.int64)
    values: npt.NDArray[np.int64] = table[_numpy(coded.indices)]
    return values


def _month(text: str) -> int:
    if len(text) < 3:
        return 0
    return next((number for number, name in enumerate(MONTHS, 1) if name.startswith(text.lower())), 0)


def _minutes(text: str) -> int:
    text = text.strip()
    if not text or text[0] not in "+-":
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return -minutes if text[0] == "-" else minutes
