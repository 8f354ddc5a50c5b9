"""Run records: which notebook, parameters, code and data made which rows."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.runs.scope import NO_RUN, InteractiveRun, NotebookRun
    from workbench.runs.store import RunStore

__all__ = ["NO_RUN", "InteractiveRun", "NotebookRun", "RunStore"]


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: the relay, which only looks at slots, goes without pandas."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "store" if name == "RunStore" else "scope"
    return getattr(importlib.import_module(f"workbench.runs.{home}"), name)
