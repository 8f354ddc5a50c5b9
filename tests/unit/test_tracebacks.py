"""An error of workbench's in a notebook: the user's own lines and the sentence, no frames of libraries."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

from workbench.display.tracebacks import short_tracebacks

SETTING_UP = """
from workbench.errors import WorkbenchError, QueryError
from workbench.events.event import check_type
from workbench.settings import Settings
def mine(name):
    return check_type(name)
"""


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    made = InteractiveShell()
    short_tracebacks(made)
    made.run_cell(SETTING_UP)
    yield made
    InteractiveShell.clear_instance()


def shown(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], cell: str) -> str:
    capsys.readouterr()
    shell.run_cell(cell)
    captured = capsys.readouterr()
    return re.sub(r"\x1b\[[0-9;]*m", "", captured.out + captured.err)


def test_the_users_own_lines_are_shown_down_to_where_workbench_was_called(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    said = shown(shell, capsys, "mine('Not A Type')")
    assert said.count("check_type(name)") == 1
    assert "mine('Not A Type')" in said
    assert "event.py" not in said
    assert said.strip().splitlines()[-1].startswith("EventError: ")


def test_what_a_library_raised_before_is_not_shown(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = "from workbench.services.filters import of_run\nof_run(None, 'no run')"
    said = shown(shell, capsys, cell)
    assert "badly formed hexadecimal UUID" not in said
    assert "direct cause" not in said
    assert said.strip().splitlines()[-1].startswith("QueryError: run_id='no run' is not a run's id")


def test_what_the_users_code_raised_before_is_shown(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise QueryError('no answer') from error"
    said = shown(shell, capsys, cell)
    assert "ZeroDivisionError: division by zero" in said
    assert "QueryError: no answer" in said


def test_the_whole_is_there_by_tb_and_the_error_keeps_its_cause(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(shell, capsys, "from workbench.services.filters import of_run\nof_run(None, 'no run')")
    said = shown(shell, capsys, "%tb")
    assert "badly formed hexadecimal UUID" in said
    assert "filters.py" in said


def test_other_errors_are_shown_as_ever(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    said = shown(shell, capsys, "import json\njson.loads('{')")
    assert "decoder.py" in said


def test_a_handler_of_the_users_own_stays(capsys: pytest.CaptureFixture[str]) -> None:
    made = InteractiveShell()
    made.set_custom_exc((ValueError,), lambda *_, **__: ["mine"])
    short_tracebacks(made)
    assert made.custom_exceptions == (ValueError,)
