"""workbench: load prices, develop a strategy, backtest it, promote the notebook, trace every number.

from workbench import Workbench
wb = Workbench()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from workbench.version import __version__ as __version__

if TYPE_CHECKING:
    from workbench.backtest import BacktestResult
    from workbench.errors import WorkbenchError
    from workbench.marketdata import panel
    from workbench.marketdata.chart import price_chart
    from workbench.settings import Settings
    from workbench.workbench import Workbench

__all__ = ["BacktestResult", "Settings", "Workbench", "WorkbenchError", "panel", "price_chart"]

_HOMES = {
    "BacktestResult": "workbench.backtest",
    "Settings": "workbench.settings",
    "Workbench": "workbench.workbench",
    "WorkbenchError": "workbench.errors",
    "panel": "workbench.marketdata",
    "price_chart": "workbench.marketdata.chart",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: importing workbench alone costs nothing."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
