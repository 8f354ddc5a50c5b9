"""From a notebook to a scheduled job: its parameters, the store of promoted ones, headless runs, pages.

Import from the modules; nothing is loaded here, so that what a run needs (papermill, nbconvert) stays
out of sessions that run nothing.
"""

from __future__ import annotations

__all__: list[str] = []
