"""A warning at the line of the user's code that led to it, not at one inside of workbench."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from workbench.errors import WorkbenchWarning

__all__ = ["warn"]

_PACKAGE = str(Path(__file__).parent)


def warn(warning: WorkbenchWarning) -> None:
    """Warn at the first caller whose file is not of this package."""
    level = 1
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(warning, stacklevel=level)
