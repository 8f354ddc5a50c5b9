"""What Python runs at the start of each process of a notebook's run: `workbench.project.imports`.

Python imports the first module of this name on its path. So this one also runs the one that it hides.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import PathFinder


def _start() -> None:
    here = os.path.abspath(__file__).rpartition(os.sep)[0]
    sys.path[:] = [entry for entry in sys.path if entry != here]
    try:
        from workbench.project.imports import install
    except ImportError:
        pass  # another Python than the run's, which has no workbench
    else:
        install()
    hidden = PathFinder.find_spec("sitecustomize", sys.path)
    if hidden is not None and hidden.loader is not None:
        module = importlib.util.module_from_spec(hidden)
        sys.modules["sitecustomize"] = module
        hidden.loader.exec_module(module)


_start()
