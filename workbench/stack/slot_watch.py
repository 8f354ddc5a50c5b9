"""`SlotWatch`: looks after slots, those passed and those ahead, in a thread of the relay's process."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from workbench.errors import WorkbenchError
from workbench.runs.slot_store import SlotStore
from workbench.stack.catching_up import ask_for_all
from workbench.stack.passed_slots import in_words, settle_passed_slots
from workbench.stack.planning import plan_all_ahead
from workbench.stack.prefect_api import PrefectApi

__all__ = ["SlotWatch"]

_EVERY = 60.0
_PLAN_EVERY = 600.0

logger = logging.getLogger("workbench.slots")


class SlotWatch:
    """Looks after slots until it is stopped; servers that are away are asked again.

    Each minute it settles those that passed without a run, and asks for runs of those that wait for their
    turn. When it begins, and every ten minutes, it makes the runs of calendars ahead.

    Parameters
    ----------
    prefect : PrefectApi
    slots : SlotStore
    pool : str
        The work pool.
    """

    def __init__(self, prefect: PrefectApi, slots: SlotStore, pool: str) -> None:
        self._prefect = prefect
        self._slots = slots
        self._pool = pool
        self._end = threading.Event()
        self._told = ""
        self._planned = -math.inf
        self._problems: list[str] = []

    def start(self) -> None:
        """Begin, in a thread that ends with its process."""
        threading.Thread(target=self._watch, name="slot watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._end.set()

    def _watch(self) -> None:
        self._attempt(self._plan_ahead)
        while not self._end.wait(_EVERY):
            self._attempt(self._look)
            if time.monotonic() - self._planned >= _PLAN_EVERY:
                self._attempt(self._plan_ahead)

    def _look(self) -> None:
        for one in settle_passed_slots(self._prefect, self._slots, self._pool):
            logger.info("the slot %s of %s is %s", in_words(one.slot), one.deployment, one.state)
        for name, slot in ask_for_all(self._prefect, self._slots, self._pool):
            logger.info("a run of %s for the slot %s is asked for", name, in_words(slot))

    def _plan_ahead(self) -> None:
        made, problems = plan_all_ahead(self._prefect, self._pool)
        # Only once all of it was done: after a failure the next minute tries again.
        self._planned = time.monotonic()
        if made:
            logger.info("made %s runs of calendars ahead", made)
        for problem in problems:
            if problem not in self._problems:
                logger.warning("%s", problem)
        self._problems = problems

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
            self._told = ""
        except WorkbenchError as error:
            # Once, and not each minute for as long as a server is away.
            if str(error) != self._told:
                logger.warning("slots could not be looked at: %s", error)
            self._told = str(error)
        except Exception:
            logger.exception("unexpected error while looking at slots")
