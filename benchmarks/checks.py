"""Whether two candidates delivered the same frame: told by digests, which travel between environments."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import WrongResult
from benchmarks.data import FIELDS

__all__ = ["digests", "require_same"]


def digests(frame: Any) -> dict[str, str]:
    """Digests of each part of a frame of bars: equal ones mean the same index, the same order, the same bits.

    How timestamps are counted (us or ns) and how text is kept differ by pandas' version, and do not matter.
    What is not a frame as all have to deliver it (its index, UTC, its columns, float64) is said in words.
    """
    if not isinstance(frame, pd.DataFrame):
        return {"frame": f"not a DataFrame but {type(frame).__name__}"}
    if list(frame.index.names) != ["symbol", "timestamp"] or list(frame.columns) != list(FIELDS):
        return {"frame": f"indexed {list(frame.index.names)} with the columns {list(frame.columns)}"}
    symbols, stamps = (frame.index.get_level_values(level) for level in (0, 1))
    assert isinstance(stamps, pd.DatetimeIndex)
    codes, names = pd.factorize(symbols)
    return {
        "symbols": _digest("\n".join(map(str, names)).encode() + codes.astype(np.int64).tobytes()),
        "timestamps": _digest(stamps.as_unit("us").asi8.tobytes())
        + ("" if str(stamps.tz) == "UTC" else f" {stamps.tz}"),
        **{
            field: f"{frame[field].dtype} {_digest(np.ascontiguousarray(frame[field].to_numpy()).tobytes())}"
            for field in FIELDS
        },
    }


def require_same(name: str, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Refuse a candidate whose frame is not the expected one.

    Raises
    ------
    WrongResult
        Naming the candidate and what differs.
    """
    different = [part for part in {**expected, **found} if found.get(part) != expected.get(part)]
    if different:
        said = f" ({found['frame']})" if "frame" in found else ""
        raise WrongResult(f"{name} does not deliver the same frame: other {', '.join(different)}{said}")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
