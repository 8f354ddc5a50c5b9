"""Which files of the project an interactive notebook's kernel has asked for, and their hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["file_sha256", "files_used", "note_used"]

_used: dict[str, Path] = {}


def note_used(key: str, path: Path) -> None:
    """Note that the file was asked for, under its path relative to the project's root."""
    _used[key] = path


def files_used() -> dict[str, str]:
    """The files that this process asked for with `project_file`, and the hash of what they hold now."""
    return {key: file_sha256(path) for key, path in sorted(_used.items()) if path.is_file()}


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
