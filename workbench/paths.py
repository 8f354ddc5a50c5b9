"""Where this package lies, and where what it ships beside its code lies: migrations, flows, notebooks."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PACKAGE", "shipped"]

PACKAGE = Path(__file__).resolve().parent
"""The folder `workbench/`: in a clone, or in site-packages."""


def shipped(name: str) -> Path:
    """The path of something that is shipped with the package: from a wheel its data, in a clone the clone's.

    Nobody works in these files: what people work in is the project's (`workbench.project`).

    Parameters
    ----------
    name : str
        "sql", "flows", "notebooks" or "template".
    """
    data = PACKAGE / "shipped"
    return (data if data.is_dir() else PACKAGE.parent) / name
