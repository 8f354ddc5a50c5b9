"""`wb.research`: sweeps, honesty, tearsheets, and results of research as rows of the database."""

from __future__ import annotations

from workbench.research.research import Research

__all__ = ["Research"]
