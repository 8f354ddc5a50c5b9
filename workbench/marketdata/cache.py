"""A cache of bars on disk: files of series, and of what was assembled of them; safe to delete at any time.

It knows nothing of the database: whoever asks says by tags which state of a series is wanted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.home.folders import private_folder
from workbench.marketdata.cache_files import (
    CachedSeries,
    Damaged,
    read_assembled,
    read_series,
    write_assembled,
    write_series,
)
from workbench.marketdata.series import Assembled

__all__ = ["BarCache"]

_SUFFIX = ".arrow"
# A file counts as used again only after this long.
_USED_SECONDS = 600.0
# How many files stay mapped in one process.
_MAPPED = 10_000
# After this much has been written, what lies there is counted again.
_COUNT_EVERY = 64 << 20
_ABANDONED_SECONDS = 3600.0

_Version = tuple[int, int, int]


class BarCache:
    """Series of bars in files below one folder.

    Every file is written beside its place and moved there whole, so that a reader finds the old one or the
    new one; it bears a checksum, verified when a process first maps it. A file that is damaged, or of
    another version, is as good as none and is removed. The least recently used files go when the limit is
    passed. Nothing here makes a load fail: a full disk, or a folder not ours to write, means no cache.

    Parameters
    ----------
    folder : Path
    limit : int
        Bytes; 0 for no cache at all.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._mapped: dict[Path, tuple[_Version, CachedSeries]] = {}
        self._verified: dict[Path, _Version] = {}
        self._unaccounted = _COUNT_EVERY
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        files = [path.stat().st_size for path in self._files()]
        return (
            f"<BarCache {self.folder}: {len(files):,} files, {sum(files) / 1e6:,.1f} MB "
            f"of at most {self.limit / 1e6:,.0f} MB>"
        )

    def get(self, source: str, symbol: str) -> CachedSeries | None:
        """What there is of a series, whole and undamaged; None where there is nothing."""
        if not self.limit:
            return None
        path = self._path(f"{source}\0{symbol}")
        version = _version(path)
        known = self._mapped.get(path)
        if version is None or (known is not None and known[0] == version):
            return None if version is None or known is None else known[1]
        try:
            found = read_series(path, source, symbol)
        except (Damaged, OSError):
            # Cut short, overwritten, of another version: removed, and read anew by the caller.
            self._remove(path)
            return None
        with self._lock:
            if len(self._mapped) >= _MAPPED:
                self._mapped.clear()
            self._mapped[path] = (self._used(path, version), found)
        return found

    def put(self, source: str, series: CachedSeries) -> None:
        """Keep a series; what there was of it is replaced."""
        size = series.bars.times.nbytes + series.bars.values.nbytes
        path = self._path(f"{source}\0{series.bars.symbol}")
        self._put(path, size, lambda part: write_series(part, source, series))

    def get_assembled(self, name: str) -> Assembled | None:
        """What was put together under a name; the name says of which states of which series."""
        if not self.limit:
            return None
        path = self._path(name)
        version = _version(path)
        if version is None:
            return None
        try:
            found = read_assembled(path, path.stem, verify=self._verified.get(path) != version)
        except (Damaged, OSError):
            self._remove(path)
            return None
        with self._lock:
            if len(self._verified) >= _MAPPED:
                self._verified.clear()
            self._verified[path] = self._used(path, version)
        return found

    def put_assembled(self, name: str, whole: Assembled) -> None:
        """Keep what was put together."""
        size = whole.block.nbytes + whole.numbers.nbytes + whole.codes.nbytes + whole.moments.nbytes
        path = self._path(name)
        self._put(path, size, lambda part: write_assembled(part, path.stem, whole))

    def clear(self) -> None:
        """Remove everything; bars that were loaded stay as they are."""
        with self._lock:
            self._mapped.clear()
            self._verified.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _put(self, path: Path, size: int, write: Callable[[Path], None]) -> None:
        if size > self.limit:
            return
        try:
            private_folder(path.parent)
            handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
            os.close(handle)
            try:
                write(Path(name))
                os.replace(name, path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError:
            # No room, or not ours to write: the bars are in the database.
            return
        with self._lock:
            self._unaccounted += size
            count = self._unaccounted >= min(_COUNT_EVERY, self.limit // 8)
            if count:
                self._unaccounted = 0
        if count:
            self._make_room()

    def _used(self, path: Path, version: _Version) -> _Version:
        """Note that a file was used, but not at every use: a load is no write to the disk."""
        if time.time() - version[1] / 1e9 <= _USED_SECONDS:
            return version
        with contextlib.suppress(OSError):
            os.utime(path)
        return _version(path) or version

    def _remove(self, path: Path) -> None:
        with self._lock:
            self._mapped.pop(path, None)
            self._verified.pop(path, None)
        with contextlib.suppress(OSError):
            path.unlink()

    def _path(self, name: str) -> Path:
        # A symbol may hold anything, also "../": only its digest becomes a file's name.
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        return self.folder / digest[:2] / (digest + _SUFFIX)

    def _files(self) -> Iterator[Path]:
        yield from self.folder.glob(f"*/*{_SUFFIX}")

    def _make_room(self) -> None:
        found: list[tuple[float, int, Path]] = []
        for path in self._files():
            with contextlib.suppress(OSError):
                facts = path.stat()
                found.append((facts.st_mtime, facts.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size
        # What a process left that was killed while it wrote.
        for part in self.folder.glob("*/.*.part"):
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                    part.unlink()


def _version(path: Path) -> _Version | None:
    """Which file lies there: another one has another inode, time or size; None where there is none."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
