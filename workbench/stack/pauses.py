"""Pauses between restarts of a process: they double, up to a minute, while it keeps dying."""

from __future__ import annotations

import time

__all__ = ["Pauses"]

_LONGEST = 60.0
# A process that ran this long counts as healthy again.
_HEALTHY_AFTER = 60.0


class Pauses:
    """For each process, by name, when it may be started again."""

    def __init__(self) -> None:
        self._length: dict[str, float] = {}
        self._over_at: dict[str, float] = {}

    def are_over(self, name: str) -> bool:
        """Whether it may be started now; True begins the next pause."""
        now = time.monotonic()
        over_at = self._over_at.get(name, 0.0)
        if now < over_at:
            return False
        length = 1.0 if now - over_at > _HEALTHY_AFTER else min(self._length.get(name, 0.5) * 2, _LONGEST)
        self._length[name], self._over_at[name] = length, now + length
        return True

    def forget(self, name: str) -> None:
        """Allow an immediate start: it was stopped on purpose."""
        self._over_at.pop(name, None)
