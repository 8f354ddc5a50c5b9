"""The tree of errors: as drawn in the module, all under one root, each with a message of its own."""

from __future__ import annotations

import ast
import builtins
import pickle
import re
import traceback
from typing import Any

import pytest

from workbench import demo, errors
from workbench.cli import main
from workbench.errors import FrameRefused, WorkbenchError
from workbench.paths import PACKAGE
from workbench.stack import prefect_api

RAISED = [getattr(errors, name) for name in errors.__all__]
ERRORS = [error for error in RAISED if not issubclass(error, Warning)]


# What a package raises and catches itself: none of it reaches a user.
CAUGHT_WITHIN = {
    ("workbench/marketdata/cache_files.py", "Damaged"),
    ("workbench/sources/retry.py", "NoReply"),
}
# No error, but a KeyboardInterrupt.
INTERRUPTS = {("workbench/sweep/sweep.py", "SweepInterrupted")}


def _drawn() -> dict[str, tuple[str | None, str | None]]:
    """Each error of the drawing with the one above it and Python's own; four characters a level."""
    path: list[str] = []
    drawn: dict[str, tuple[str | None, str | None]] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^ {4}([│├└─ ]*)([A-Z]\w+)(?: \((\w+)\))?(?: {2,}\S|$)", line)
        if match:
            depth = len(match[1]) // 4
            path = [*path[:depth], match[2]]
            assert match[2] not in drawn
            drawn[match[2]] = (path[-2] if depth else None, match[3])
    return drawn


def _defined() -> set[tuple[str, str]]:
    """Every exception class that the package's files define, by file and name."""
    classes = [
        (path.relative_to(PACKAGE.parent).as_posix(), node)
        for package in ("workbench", "flows")
        for path in sorted((PACKAGE.parent / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    known = {
        name
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    found: set[tuple[str, str]] = set()
    while True:
        more = {
            (path, node.name)
            for path, node in classes
            if any(ast.unparse(base).rpartition(".")[2] in known for base in node.bases)
        }
        if more == found:
            return found
        found = more
        known |= {name for _, name in found}


def test_the_drawing_is_the_tree() -> None:
    real = {
        error.__name__: (
            error.__bases__[0].__name__,
            next((base.__name__ for base in error.__bases__ if not issubclass(base, WorkbenchError)), None),
        )
        for error in ERRORS
        if error is not WorkbenchError
    }
    assert _drawn() == {"WorkbenchError": (None, None)} | real
    assert sorted(errors.__all__) == errors.__all__
    assert all(issubclass(error, WorkbenchError) for error in ERRORS)


def test_every_exception_of_the_package_is_in_the_tree() -> None:
    found = _defined()
    assert {("workbench/errors.py", name) for name in errors.__all__} <= found
    outside = {(path, name) for path, name in found if path != "workbench/errors.py"}
    public = {(path, name) for path, name in outside if not name.startswith("_")}
    assert public == CAUGHT_WITHIN | INTERRUPTS


def test_what_has_moved_into_the_tree_is_found_where_it_was() -> None:
    assert demo.DemoFailed is errors.DemoFailed
    assert prefect_api.PrefectRefused is errors.PrefectRefused
    assert "DemoFailed" in demo.__all__
    assert "PrefectRefused" in prefect_api.__all__


def test_an_error_is_caught_as_what_it_was_before_it_had_a_name_of_its_own() -> None:
    assert issubclass(errors.WriteRefused, errors.QueryError)
    assert issubclass(errors.NotDeployed, errors.PromotionRefused)
    assert issubclass(errors.PrefectRefused, errors.ServerError)
    assert issubclass(errors.SaveRefused, errors.BacktestError)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error.__name__))
def test_an_error_shows_its_sentence_everywhere_and_travels_between_processes(
    error: type[WorkbenchError],
) -> None:
    """A KeyError of Python's own would show its message in quotes."""
    said = "there is no 'x'; there are a, b"
    made = error(said)
    assert str(made) == f"{made}" == said
    assert traceback.format_exception_only(made)[-1].strip() == f"workbench.errors.{error.__name__}: {said}"
    copy = pickle.loads(pickle.dumps(made))
    assert (type(copy), str(copy), vars(copy)) == (error, said, vars(made))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error.__name__))
def test_on_the_command_line_each_is_one_sentence_and_exit_code_1(
    error: type[WorkbenchError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Command:
        def main(self, *_: object, **__: object) -> Any:
            raise error("there is no 'x'")

    monkeypatch.setattr("workbench.cli.command_of", lambda _: Command())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: there is no 'x'\n"


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
