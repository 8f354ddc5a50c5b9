"""Modules that have moved are found under their old names, too: promoted notebooks go on importing those."""

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
}
"""Where what notebooks were told to import is now, by its name of before (0.4)."""


class _Moved(MetaPathFinder, Loader):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        # What stands there after this is what the importer gets: the very module, not a copy.
        sys.modules[module.__name__] = importlib.import_module(MOVED[module.__name__])


def find_moved() -> None:
    """Have imports of the old names find the modules; twice changes nothing."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        # Before all others: the folders of before may be there still, with what Python compiled in them.
        sys.meta_path.insert(0, _Moved())
