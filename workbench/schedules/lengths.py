"""Lengths of time as text: "15min", "2h", "1d", and in words."""

from __future__ import annotations

import re
from datetime import timedelta

__all__ = ["length_in_words", "length_of"]

_UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_PARTS = re.compile(r"(\d{1,6})\s*(min|h|d)\s*")


def length_of(text: str) -> timedelta | None:
    """The length that a text names, such as "15min" or "1h30min"; None if it names none."""
    text, total, place = text.strip(), timedelta(), 0
    while place < len(text):
        found = _PARTS.match(text, place)
        if found is None:
            return None
        total += int(found[1]) * _UNITS[found[2]]
        place = found.end()
    return total if text else None


def length_in_words(length: timedelta) -> str:
    """A length for people, in whole minutes: "15 minutes", "1 hour 30 minutes"."""
    minutes = round(length.total_seconds() / 60)
    parts = []
    for name, size in (("day", 1_440), ("hour", 60), ("minute", 1)):
        number, minutes = divmod(minutes, size)
        if number:
            parts.append(f"{number} {name}{'' if number == 1 else 's'}")
    return " ".join(parts) or "0 minutes"
