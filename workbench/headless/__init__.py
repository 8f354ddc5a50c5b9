"""Notebooks without a browser: what their parameters are, and how they are run and shown.

Import from the modules; nothing is loaded here, so that what a run needs (papermill, nbconvert) stays
out of sessions that run nothing.
"""

from __future__ import annotations

__all__: list[str] = []
