"""Where the clone that this package runs from lies, and what is read from beside the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["NOTEBOOKS", "PROJECT_ROOT"]

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The clone: `notebooks/`, `flows/` and `sql/` lie beside the package."""

NOTEBOOKS = PROJECT_ROOT / "notebooks"
"""Where people work; a notebook below it goes by its path from there."""
