"""`Outputs`: puts what runs leave below the URL of the setting `outputs`, and fetches it from there.

A run works in its home; what it left is put there at its end. The home keeps its own copy.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from workbench.errors import OutputsUnreachable, RunError
from workbench.home.folders import private_folder

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["Outputs", "fetch"]

_Answer = TypeVar("_Answer")

# A share that hangs must not hang a run, nor a command that checks it.
_PUT_SECONDS = 120.0
_CHECK_SECONDS = 30.0
# Where a file grows under its name while it is written. Object stores show it whole or not at all.
_GROWING = {"file", "ftp", "hdfs", "local", "sftp", "smb", "ssh", "webhdfs"}


class Outputs:
    """The outputs of runs below a URL, one folder for each run.

    Parameters
    ----------
    url : str
        As the setting `outputs` takes it: `file:///shared/runs`, `s3://bucket/runs`.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._protocol = urlsplit(url).scheme

    def check(self) -> None:
        """Put a small file there, and remove it again.

        Raises
        ------
        OutputsUnreachable
            It cannot be put there, or not within half a minute.
        """

        def probe() -> None:
            system, base = self._system()
            path = f"{base}/.workbench-{secrets.token_hex(8)}"
            system.pipe_file(path, b"workbench")
            # Who may put files there need not be allowed to remove any.
            with contextlib.suppress(Exception):
                system.rm_file(path)

        self._tried(probe, _CHECK_SECONDS)

    def put(self, run_id: str, paths: Sequence[Path]) -> list[str]:
        """Put the files of a run there, each whole or not at all; return where each is now.

        Parameters
        ----------
        run_id : str
        paths : sequence of Path

        Returns
        -------
        list of str
            The URL of each; below a `file://` URL its path.

        Raises
        ------
        OutputsUnreachable
            One cannot be put there, or not within two minutes.
        """

        def put() -> list[str]:
            system, base = self._system()
            folder = f"{base}/{run_id}"
            system.makedirs(folder, exist_ok=True)
            for path in paths:
                _put_whole(system, path, f"{folder}/{path.name}", grows=self._protocol in _GROWING)
            above = base if self._protocol == "file" else self.url
            return [f"{above}/{run_id}/{path.name}" for path in paths]

        return self._tried(put, _PUT_SECONDS)

    def holds(self, place: str) -> bool:
        """Whether an output that a record names lies there."""
        above = unquote(urlsplit(self.url).path) if self._protocol == "file" else self.url
        return place.startswith(f"{above.rstrip('/')}/")

    def remove(self, run_id: str, *, dry_run: bool = False) -> int:
        """Remove the files of a run, and return how many bytes they have; 0 where there are none.

        Raises
        ------
        OutputsUnreachable
            They cannot be removed, or not within two minutes.
        """

        def remove() -> int:
            system, base = self._system()
            folder = f"{base}/{run_id}"
            if not system.exists(folder):
                return 0
            size = int(system.du(folder))
            if not dry_run:
                system.rm(folder, recursive=True)
            return size

        return self._tried(remove, _PUT_SECONDS, "removed")

    def _system(self) -> tuple[AbstractFileSystem, str]:
        """The file system, and the path there."""
        if self._protocol != "file":
            return _opened(self.url)
        from fsspec.implementations.local import LocalFileSystem

        path = unquote(urlsplit(self.url).path)
        if not Path(path).is_dir():
            # Not made here: where a share is not mounted, it would be a folder of this machine alone.
            raise FileNotFoundError(f"there is no folder {path} on this machine; is the share mounted?")
        return LocalFileSystem(), path

    def _tried(self, work: Callable[[], _Answer], seconds: float, what: str = "put") -> _Answer:
        try:
            return _within(work, seconds)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise OutputsUnreachable(
                f"nothing can be {what} below {self.url}, the place of the outputs (WORKBENCH_OUTPUTS): "
                f"{reason}"
            ) from error


def fetch(place: str, folder: Path) -> Path:
    """The path on this machine of a file that a run left; fetched into `folder` where it is not here.

    Parameters
    ----------
    place : str
        As the run's record has it, a path or a URL.
    folder : Path
        Made when something is fetched.

    Raises
    ------
    RunError
        It is not there any more, or on another machine.
    OutputsUnreachable
        It cannot be fetched.
    """
    here = folder / place.rpartition("/")[2]
    if "://" not in place:
        path = Path(place) if Path(place).is_file() else here
        if not path.is_file():
            raise RunError(
                f"there is no {place} on this machine: it was removed, or the run was on another machine and "
                "kept its outputs there; WORKBENCH_OUTPUTS names a place that all machines can read"
            )
        return path
    if here.is_file():
        return here

    def get() -> None:
        system, path = _opened(place)
        partial = private_folder(folder) / f".{here.name}.{secrets.token_hex(4)}.part"
        try:
            system.get_file(path, str(partial))
            partial.rename(here)
        finally:
            partial.unlink(missing_ok=True)

    try:
        _within(get, _PUT_SECONDS)
    except FileNotFoundError as error:
        raise RunError(f"there is no {place} any more") from error
    except Exception as error:
        raise OutputsUnreachable(f"{place} cannot be fetched: {error}") from error
    return here


def _opened(url: str) -> tuple[AbstractFileSystem, str]:
    import fsspec

    system, path = fsspec.url_to_fs(url)
    return system, path.rstrip("/")


def _put_whole(system: AbstractFileSystem, path: Path, target: str, *, grows: bool) -> None:
    if not grows:
        system.put_file(str(path), target)
        return
    above, _, name = target.rpartition("/")
    partial = f"{above}/.{name}.{secrets.token_hex(4)}.part"
    try:
        system.put_file(str(path), partial)
        system.mv(partial, target)
    except BaseException:
        with contextlib.suppress(Exception):
            system.rm_file(partial)
        raise


def _within(work: Callable[[], _Answer], seconds: float) -> _Answer:
    """What `work` returns; `TimeoutError` where that takes longer, and it is left to itself."""
    done: list[Any] = []

    def run() -> None:
        try:
            done.extend((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            done.extend((None, error))

    # No pool: at its end an interpreter waits for the threads of pools.
    thread = threading.Thread(target=run, name="outputs", daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    answer, error = done
    if error is not None:
        raise error
    return answer  # type: ignore[no-any-return]
