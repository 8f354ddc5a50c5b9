"""The public names of the package."""

from __future__ import annotations

import workbench


def test_the_public_names_are_these_and_no_others() -> None:
    assert workbench.__all__ == [
        "BacktestResult",
        "Settings",
        "Workbench",
        "WorkbenchError",
        "adjust",
        "coverage",
        "panel",
        "price_chart",
        "project_file",
        "resample",
    ]
    for name in workbench.__all__:
        assert getattr(workbench, name).__name__ == name
