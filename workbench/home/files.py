"""Atomic replacement of files, so that a reader never sees an incomplete one."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Write `content` to `path` atomically: to a new file in the same folder, flushed to disk, then renamed.

    A reader sees the complete new content or the old one, even after a power cut.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    content : str or bytes
        The whole content; text as UTF-8.
    mode : int
        The file's permissions; it never has more than these, not even while it is written.
    """
    data = content.encode() if isinstance(content, str) else content
    fresh = path.with_name(f".{secrets.token_hex(6)}.partial")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            # Locked while it is written, so that `workbench.home.temporary` can find abandoned ones.
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
            os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
