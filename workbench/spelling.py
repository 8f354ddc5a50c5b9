"""Known names similar to a mistyped one, and the "did you mean" text for an error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["did_you_mean", "near_names"]

# difflib's own 0.6 takes "window" for "kind"; "IBN" is to "IBM" as 0.67.
_NEAR = 0.65


def near_names(wanted: object, known: Iterable[str], *, n: int = 1, cutoff: float = _NEAR) -> list[str]:
    """At most `n` of the `known` names, most similar first; one that differs only by case is returned alone.

    Examples
    --------
    >>> near_names("APPL", ["IBM", "AAPL"])
    ['AAPL']
    """
    by_lower = {name.lower(): name for name in known}
    lower = str(wanted).lower()
    if lower in by_lower:
        return [by_lower[lower]]
    return [by_lower[near] for near in difflib.get_close_matches(lower, by_lower, n, cutoff)]


def did_you_mean(near: Sequence[str]) -> str:
    """The text to append after an unknown name; empty without similar names.

    Examples
    --------
    >>> "no parameter 'fsat'" + did_you_mean(["fast"])
    "no parameter 'fsat' (did you mean fast?)"
    """
    return f" (did you mean {' or '.join(near)}?)" if near else ""
