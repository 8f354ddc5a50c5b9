"""Modules that have moved can still be imported under their old names, as promoted notebooks do."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

__all__ = ["MOVED", "find_moved"]

MOVED = {
    "workbench.backtest.bias": "workbench.bias",
    "workbench.backtest.inputs": "workbench.signals.inputs",
    "workbench.backtest.metrics": "workbench.metrics",
    "workbench.backtest.overfitting": "workbench.overfitting",
    "workbench.backtest.signals": "workbench.signals.signals",
    "workbench.backtest.validation": "workbench.validation",
    "workbench.marketdata.rules": "workbench.marketdata.refusals",
    "workbench.research.live": "workbench.backtest.live",
    "workbench.tables.rules": "workbench.tables.constraints",
}
"""Old module name to the current one."""


class _Moved(MetaPathFinder, Loader):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        # The importer gets what is in `sys.modules` after this: the same module object, not a copy.
        sys.modules[module.__name__] = importlib.import_module(MOVED[module.__name__])


def find_moved() -> None:
    """Make imports of the old names work; a second call changes nothing."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        # First in the list: the old folders may still exist, with only Python's compiled files in them.
        sys.meta_path.insert(0, _Moved())
