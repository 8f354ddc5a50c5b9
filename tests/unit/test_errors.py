"""The tree of errors: as drawn in the module, all under one root, each with a message of its own."""

from __future__ import annotations

import re

import pytest

from workbench import errors
from workbench.errors import FrameRefused, WorkbenchError

RAISED = [getattr(errors, name) for name in errors.__all__]
ERRORS = [error for error in RAISED if not issubclass(error, Warning)]


def _drawn() -> list[tuple[str, str | None]]:
    """Each error of the drawing with the one above it; four characters of indentation a level."""
    path: list[str] = []
    pairs: list[tuple[str, str | None]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^ {4}([│├└─ ]*)([A-Z]\w+)\b", line)
        if match:
            depth = len(match[1]) // 4
            path = [*path[:depth], match[2]]
            pairs.append((match[2], path[-2] if depth else None))
    return pairs


def test_the_drawing_is_the_tree() -> None:
    real = {error.__name__: error.__bases__[0].__name__ for error in ERRORS if error is not WorkbenchError}
    assert dict(_drawn()) == {"WorkbenchError": None} | real
    assert sorted(errors.__all__) == errors.__all__
    assert all(issubclass(error, WorkbenchError) for error in ERRORS)


def test_warnings_are_no_errors_and_can_be_silenced_as_one_kind() -> None:
    told = [warning for warning in RAISED if issubclass(warning, Warning)]
    assert told
    assert all(issubclass(warning, errors.WorkbenchWarning) for warning in told)
    assert issubclass(errors.WorkbenchWarning, UserWarning)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error.__name__))
def test_without_a_message_an_error_says_its_docstring(error: type[WorkbenchError]) -> None:
    assert str(error()) == (error.__doc__ or "").splitlines()[0]
    assert str(error("in particular")) == "in particular"


def test_an_error_keeps_its_facts_as_fields() -> None:
    error = FrameRefused("no", table="a.b", column="c", rows=[1, 2])
    assert (error.table, error.column, error.rows) == ("a.b", "c", (1, 2))
    assert errors.UnknownSymbol("no", symbols=["A"], known=["B"]).known == ("B",)
    assert errors.AmbiguousSource("no", sources=["x", "y"]).sources == ("x", "y")
    assert errors.FileRefused("no", path="/f").path == "/f"
    assert errors.ParametersRefused("no", names=["a"], known=["b"]).names == ("a",)
    failed = errors.NotebookFailed("no", cell=3, error_name="ValueError", traceback="…")
    assert (failed.cell, failed.error_name, failed.traceback) == (3, "ValueError", "…")
