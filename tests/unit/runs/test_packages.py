"""The packages of an environment have one hash, whatever their order."""

from __future__ import annotations

from workbench.runs.packages import installed_packages, lock_hash


def test_the_lock_changes_with_any_package() -> None:
    packages = installed_packages()
    assert packages["prefect"].startswith("3.")
    assert lock_hash(packages) == lock_hash(dict(reversed(packages.items())))
    assert lock_hash(packages) != lock_hash(packages | {"pandas": "0.1"})
