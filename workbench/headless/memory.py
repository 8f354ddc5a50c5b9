"""A run's memory limit as it is given, and the resident memory that its processes have."""

from __future__ import annotations

import re

import psutil

from workbench.errors import NotebookError

__all__ = ["memory_in_words", "memory_limit_bytes", "resident_bytes"]

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", 1)}
_LIMIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
# A kernel has so much before its first cell; with less, no notebook could begin.
_LEAST = 100 * 10**6
# What a notebook may have started for others, too.
_SERVERS = {"postgres", "valkey-server"}


def memory_limit_bytes(limit: str | int | None) -> int | None:
    """The limit in bytes; None for none.

    Parameters
    ----------
    limit : str or int, optional
        "4GB" (10⁹ bytes each), "512MB", "4GiB" (2³⁰ each), or bytes.

    Raises
    ------
    NotebookError
        It is none of these, or less than a kernel needs.
    """
    if limit is None:
        return None
    found = _LIMIT.fullmatch(str(limit)) if not isinstance(limit, bool) else None
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise NotebookError(
            f'memory_limit={limit!r}: give bytes, or a text such as "512MB", "4GB" or "4GiB", or None for no '
            "limit"
        )
    size = int(float(found[1]) * unit)
    if size < _LEAST:
        raise NotebookError(
            f"memory_limit={limit!r}: a kernel needs about {memory_in_words(_LEAST)} before its first cell; "
            "give more"
        )
    return size


def memory_in_words(size: int) -> str:
    """As text: "4.21 GB", "512 MB"."""
    return f"{size / 1e9:.2f} GB" if size >= 10**9 else f"{size / 1e6:.0f} MB"


def resident_bytes(keeper: int) -> int:
    """Resident memory of the kernel below a keeper and of all that descends from it, in bytes.

    The sum over the processes: a page that several share counts for each. (What each has to itself would have
    to be added up by the system page by page, which takes long for large processes.)
    """
    total = 0
    try:
        family = psutil.Process(keeper).children(recursive=True)
    except psutil.Error:
        return 0
    for process in family:
        try:
            if process.name() not in _SERVERS:
                total += process.memory_info().rss
        except psutil.Error:
            continue
    return total
