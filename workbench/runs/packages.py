"""The environment that a deployment is promoted in: the versions of all packages, and their hash."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Mapping
from importlib.metadata import distributions

__all__ = ["installed_packages", "lock_hash", "packages_that_differ"]


def installed_packages() -> dict[str, str]:
    """The version of each installed package by its normalised name, and Python's own; sorted by name."""
    found = {"python": platform.python_version()}
    for package in distributions():
        # A folder that was left half removed has no name.
        if name := package.metadata["Name"]:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), package.version)
    return dict(sorted(found.items()))


def lock_hash(packages: Mapping[str, str]) -> str:
    """The SHA-256 of a list of packages, which two environments share if they have the same versions."""
    listed = "\n".join(f"{name}=={version}" for name, version in sorted(packages.items()))
    return hashlib.sha256(listed.encode()).hexdigest()


def packages_that_differ(
    then: Mapping[str, str], now: Mapping[str, str], most: int | None = None
) -> list[str]:
    """What differs between two environments, a text each: "numpy 2.4.1, was 2.3.0"; by name.

    Of more than `most` the first ones, and how many more there are.
    """
    found = [
        f"{name} {now.get(name, 'is gone')}, was {then.get(name, 'not there')}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    if most is not None and len(found) > most:
        return [*found[:most], f"and {len(found) - most:,} more"]
    return found
