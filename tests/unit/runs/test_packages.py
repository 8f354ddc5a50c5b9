"""Packages that differ between two environments are told one by one."""

from __future__ import annotations

from workbench.runs.packages import packages_that_differ


def test_of_many_packages_that_differ_the_first_are_told_and_how_many_more() -> None:
    now = {f"package-{number}": "2" for number in range(9)}
    found = packages_that_differ({**now, "package-1": "1", "other": "1"}, {**now, "new": "3"}, 2)
    assert found == ["new 3, was not there", "other is gone, was 1", "and 1 more"]
