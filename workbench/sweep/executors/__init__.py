"""Where a sweep's chunks are computed: in threads, in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

from workbench.sweep.executors.executor import Executor
from workbench.sweep.executors.opening import open_executor

__all__ = ["Executor", "open_executor"]
