"""Events: what was written or has run, told to whoever listens, and only if it was committed."""

from workbench.events.bus import DataSyncEventBus
from workbench.events.event import Event
from workbench.events.outbox import PutAside

__all__ = ["DataSyncEventBus", "Event", "PutAside"]
