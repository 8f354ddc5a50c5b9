"""Run records: which notebook, parameters, code and data made which rows."""

from workbench.runs.scope import NO_RUN, InteractiveRun, NotebookRun
from workbench.runs.store import RunStore

__all__ = ["NO_RUN", "InteractiveRun", "NotebookRun", "RunStore"]
