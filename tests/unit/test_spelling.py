"""Which names are near to a mistyped one."""

from __future__ import annotations

import pytest

from workbench.spelling import did_you_mean, near_names


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("APPL", ["AAPL"]),
        ("aapl", ["AAPL"]),
        ("bnc", ["BNB", "BNX"]),
        ("bnb", ["BNB"]),
        ("QQQQ", []),
        ("", []),
        (5, []),
    ],
)
def test_names_that_differ_by_a_slip_are_near(wanted: object, near: list[str]) -> None:
    assert sorted(near_names(wanted, ["IBM", "AAPL", "BNX", "BNB"], n=3)) == near


def test_only_so_many_are_named_and_none_is_told_of_in_no_words() -> None:
    assert len(near_names("BNC", ["BNX", "BNB"])) == 1
    assert did_you_mean(["fast", "last"]) == " (did you mean fast or last?)"
    assert did_you_mean(near_names("window", ["kind"])) == ""
