"""A cache of bars on disk: files of series, and of frames assembled from them; safe to delete at any time.

It does not use the database: callers identify the state of a series by its tag.
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
# A file's time of last use is updated at most this often.
_USED_SECONDS = 600.0
# Maximum number of files mapped in one process.
_MAPPED = 10_000
# After this many bytes written, the size of the cache is computed again.
_COUNT_EVERY = 64 << 20
_ABANDONED_SECONDS = 3600.0

_Version = tuple[int, int, int]


class BarCache:
    """Series of bars in files below one folder.

    Every file is written under a temporary name and then renamed, so that a reader finds the old file or the
    new one; it has a checksum, verified when a process first maps it. A file that is damaged, or of another
    version, is removed and counts as missing. Above the limit the least recently used files are removed.
    The cache never makes a load fail: with a full disk or a read-only folder there is no cache.

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

    def get(self, source: str, symbol: str, version: str = "") -> CachedSeries | None:
        """The cached bars of a series, or of a version of it; None if there are none, or they are damaged."""
        if not self.limit:
            return None
        path = self._path_of(source, symbol, version)
        current = _version(path)
        known = self._mapped.get(path)
        if current is None or (known is not None and known[0] == current):
            return None if current is None or known is None else known[1]
        try:
            found = read_series(path, source, symbol)
        except (Damaged, OSError):
            # Truncated, overwritten or of another version: removed, and the caller reads the bars again.
            self._remove(path)
            return None
        with self._lock:
            if len(self._mapped) >= _MAPPED:
                self._mapped.clear()
            self._mapped[path] = (self._used(path, current), found)
        return found

    def put(self, source: str, series: CachedSeries, version: str = "") -> None:
        """Store a series, or a version of it that is not the newest; an earlier file of it is replaced."""
        size = series.bars.times.nbytes + series.bars.values.nbytes
        path = self._path_of(source, series.bars.symbol, version)
        self._put(path, size, lambda part: write_series(part, source, series))

    def get_assembled(self, name: str) -> Assembled | None:
        """The assembled bars stored under a name, which identifies the series and their states; or None."""
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
        """Store assembled bars under a name."""
        size = whole.block.nbytes + whole.numbers.nbytes + whole.codes.nbytes + whole.moments.nbytes
        path = self._path(name)
        self._put(path, size, lambda part: write_assembled(part, path.stem, whole))

    def clear(self) -> None:
        """Remove all files; bars that are already loaded stay valid."""
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
            # Disk full or not writable: the bars are in the database anyway.
            return
        with self._lock:
            self._unaccounted += size
            count = self._unaccounted >= min(_COUNT_EVERY, self.limit // 8)
            if count:
                self._unaccounted = 0
        if count:
            self._make_room()

    def _used(self, path: Path, version: _Version) -> _Version:
        """Record that a file was used, but not every time: loading should not write to the disk."""
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

    def _path_of(self, source: str, symbol: str, version: str) -> Path:
        return self._path("\0".join([source, symbol, version] if version else [source, symbol]))

    def _path(self, name: str) -> Path:
        # A symbol may contain anything, even "../": the file's name is a digest.
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
        # Left by processes that were killed while writing.
        for part in self.folder.glob("*/.*.part"):
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                    part.unlink()


def _version(path: Path) -> _Version | None:
    """Inode, time and size, which identify a file's version; None if there is no file."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
