"""Files that are replaced whole or not at all, so that a reader never sees half of one."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Put `content` at `path` at once: a new file beside it, flushed to disk, then renamed.

    Whoever reads, now or after a power cut, sees it whole or what was there before.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    content : str or bytes
        All that it is to hold; text as UTF-8.
    mode : int
        The file's permissions, from its first moment on never more than these.
    """
    data = content.encode() if isinstance(content, str) else content
    fresh = path.with_name(f".{secrets.token_hex(6)}.partial")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            # Held while it is written, so that `workbench.home.temporary` sees which ones were abandoned.
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
