"""Files that are replaced whole or not at all, so that a reader never sees half of one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write `text` (UTF-8) to `path` at once: a new file beside it, flushed to disk, then renamed.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    text : str
        The whole content.
    mode : int
        The file's permissions from its first moment on (less the process's umask).
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
