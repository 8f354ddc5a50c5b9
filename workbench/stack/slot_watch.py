"""`SlotWatch`: looks each minute for slots that passed without a run, in a thread of the relay's process."""

from __future__ import annotations

import logging
import threading

from workbench.errors import WorkbenchError
from workbench.runs.slot_store import SlotStore
from workbench.stack.passed_slots import in_words, settle_passed_slots
from workbench.stack.prefect_api import PrefectApi

__all__ = ["SlotWatch"]

_EVERY = 60.0

logger = logging.getLogger("workbench.slots")


class SlotWatch:
    """Calls `settle_passed_slots` until it is stopped; servers that are away are asked again.

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

    def start(self) -> None:
        """Begin, in a thread that ends with its process."""
        threading.Thread(target=self._watch, name="slot watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._end.set()

    def _watch(self) -> None:
        while not self._end.wait(_EVERY):
            try:
                for one in settle_passed_slots(self._prefect, self._slots, self._pool):
                    logger.info("the slot %s of %s is %s", in_words(one.slot), one.deployment, one.state)
                self._told = ""
            except WorkbenchError as error:
                # Once, and not each minute for as long as a server is away.
                if str(error) != self._told:
                    logger.warning("slots could not be looked at: %s", error)
                self._told = str(error)
            except Exception:
                logger.exception("unexpected error while looking at slots")
