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
    from workbench.marketdata import adjust, coverage, panel, resample
    from workbench.marketdata.chart import price_chart
    from workbench.project.files import project_file
    from workbench.settings import Settings
    from workbench.workbench import Workbench

__all__ = ["BacktestResult", "Settings", "Workbench", "WorkbenchError"]
__all__ += ["adjust", "coverage", "panel", "price_chart", "project_file", "resample"]

_HOMES = {
    "workbench.backtest": ["BacktestResult"],
    "workbench.errors": ["WorkbenchError"],
    # What `%load_ext workbench` calls.
    "workbench.jupyter": ["load_ipython_extension", "unload_ipython_extension"],
    "workbench.marketdata": ["adjust", "coverage", "panel", "resample"],
    "workbench.marketdata.chart": ["price_chart"],
    "workbench.project.files": ["project_file"],
    "workbench.settings": ["Settings"],
    "workbench.workbench": ["Workbench"],
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: importing workbench alone costs nothing."""
    for home in (home for home, names in _HOMES.items() if name in names):
        return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
