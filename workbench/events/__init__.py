"""Events about writes and runs, published after their transaction was committed."""

from workbench.events.bus import DataSyncEventBus
from workbench.events.event import Event
from workbench.events.outbox import PutAside

__all__ = ["DataSyncEventBus", "Event", "PutAside"]
