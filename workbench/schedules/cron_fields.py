"""Names the wrong field of a cron schedule, for which Prefect only says "Invalid cron string"."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["wrong_field"]

# Name, minimum, maximum, and the words that may stand for numbers; 0 and 7 are both Sunday.
_FIELDS = (
    ("minute", 0, 59, ""),
    ("hour", 0, 23, ""),
    ("day", 1, 31, ""),
    ("month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    ("weekday", 0, 7, "sun mon tue wed thu fri sat"),
)


def wrong_field(cron: str) -> str:
    """What is wrong with the first invalid field, as in "minute 61 is not in 0 to 59".

    Parameters
    ----------
    cron : str
        Five fields.

    Returns
    -------
    str
        Empty if every field by itself is valid.
    """
    from croniter import croniter

    fields = cron.split()
    for place, (name, low, high, named) in enumerate(_FIELDS):
        alone = ["*"] * len(_FIELDS)
        alone[place] = fields[place]
        try:
            croniter.expand(" ".join(alone))
        except ValueError:
            words = named.split()
            allowed = f"{low} to {high}" + (f" or {words[0]} to {words[-1]}" if words else "")
            culprit = _culprit(fields[place], low, high, words)
            if culprit:
                return f"{name} {culprit} is not in {allowed}"
            return f"{name} {fields[place]!r} cannot be read; it takes {allowed}, as in 1,5 or 1-5 or */5"
    return ""


def _culprit(field: str, low: int, high: int, words: Sequence[str]) -> str:
    """The first number or word of a field that is none of its values; empty where it is something else."""
    for item in field.split(","):
        # What follows a slash is a step, and what follows # counts the weekdays of a month; l is the last.
        for value in re.findall(r"\d+|[A-Za-z]+", re.split("[/#]", item)[0]):
            known = low <= int(value) <= high if value.isdecimal() else value.lower() in (*words, "l")
            if not known:
                return str(value)
    return ""
