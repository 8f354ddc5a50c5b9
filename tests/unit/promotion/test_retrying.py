"""Which failures are tried again, how often, and what is said of it."""

from __future__ import annotations

import pytest

from workbench.errors import (
    DeploymentBusy,
    NotebookError,
    NotebookFailed,
    ParametersRefused,
    RunFenced,
    ServerUnreachable,
    SlotTaken,
    SourceUnreachable,
    WorkbenchError,
)
from workbench.promotion.retrying import RetryOn, check_retries, with_retries
from workbench.promotion.run import Origin

CELL = NotebookFailed("a.ipynb failed in cell 3: ValueError: no.", error_name="ValueError")


def failed(name: str) -> NotebookFailed:
    return NotebookFailed(f"a.ipynb failed in cell 3: {name}.", error_name=name)


class Attempts:
    """Fails with each of the errors in turn, and then does not."""

    def __init__(self, *errors: WorkbenchError) -> None:
        self.errors = list(errors)
        self.triggers: list[str] = []
        self.told: list[str] = []

    def __call__(self, origin: Origin) -> str:
        self.triggers.append(origin.trigger)
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def run(self, *, retries: int = 2, retry_on: RetryOn = "away", made: int = 0) -> str:
        return with_retries(
            self,
            Origin(trigger="deployment"),
            tell=self.told.append,
            retries=retries,
            retry_on=retry_on,
            made=made,
            pauses=(0.01, 0.02),
        )


@pytest.mark.parametrize(
    "error",
    [
        ServerUnreachable("gone"),
        SourceUnreachable("429"),
        failed("ServerUnreachable"),
        failed("SourceUnreachable"),
    ],
    ids=str,
)
def test_what_passes_by_itself_is_tried_again(error: WorkbenchError) -> None:
    attempts = Attempts(error, error)
    assert attempts.run() == "done"
    assert attempts.triggers == ["deployment", "retry", "retry"]
    assert [words.split(" failed: ")[0] for words in attempts.told] == ["attempt 1", "attempt 2"]
    assert "begins in 0.01 s" in attempts.told[0]
    assert "begins in 0.02 s" in attempts.told[1]


@pytest.mark.parametrize(
    "error",
    [
        CELL,
        failed("MemoryLimit"),
        failed("RunFenced"),
        RunFenced("dead"),
        SlotTaken("taken"),
        DeploymentBusy("busy"),
        ParametersRefused("unknown"),
    ],
    ids=str,
)
def test_what_does_not_pass_is_not(error: WorkbenchError) -> None:
    attempts = Attempts(error)
    with pytest.raises(type(error)):
        attempts.run()
    assert attempts.triggers == ["deployment"]
    assert attempts.told == []


@pytest.mark.parametrize("error", [CELL, failed("MemoryLimit"), failed("TimeoutError")], ids=str)
def test_any_failure_of_a_cell_is_tried_again_where_asked(error: NotebookFailed) -> None:
    assert Attempts(error).run(retry_on="any") == "done"


@pytest.mark.parametrize(
    "error", [failed("RunFenced"), SlotTaken("taken"), ParametersRefused("unknown")], ids=str
)
def test_even_then_not_what_is_over(error: WorkbenchError) -> None:
    with pytest.raises(type(error)):
        Attempts(error).run(retry_on="any")


def test_the_last_failure_is_raised_when_no_attempt_is_left() -> None:
    attempts = Attempts(*(ServerUnreachable(f"gone {number}") for number in range(5)))
    with pytest.raises(ServerUnreachable, match="gone 2"):
        attempts.run(retries=2)
    none_left = Attempts(ServerUnreachable("gone"))
    with pytest.raises(ServerUnreachable):
        none_left.run(retries=0)
    assert none_left.told == []


def test_attempts_that_others_made_count() -> None:
    attempts = Attempts(ServerUnreachable("gone"), ServerUnreachable("gone again"))
    with pytest.raises(ServerUnreachable, match="gone again"):
        attempts.run(retries=2, made=1)
    assert attempts.told == ["attempt 2 failed: gone Attempt 3 begins in 0.02 s, because a server was away."]


@pytest.mark.parametrize(("retries", "on"), [(-1, "away"), (21, "away"), (True, "away"), (2, "never")])
def test_a_policy_that_could_not_be_kept_is_refused(retries: int, on: str) -> None:
    with pytest.raises(NotebookError, match="retr"):
        check_retries(retries, on)
