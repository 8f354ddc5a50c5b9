"""The kernel of a headless run: this very Python, an environment of its own, bounded outputs, a sure end.

Imports jupyter_client and nbclient: only `execute.py` loads this, when something is run.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbclient
import psutil
import zmq
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode
from nbformat.v4 import new_output

from workbench.headless.keeper import END_ALL
from workbench.headless.memory import resident_bytes
from workbench.headless.outputs import (
    CUT,
    DISPLAYS,
    IN_FLIGHT,
    LEFT_OUT,
    WITHHELD,
    size_of,
    without_retractions,
)
from workbench.paths import PACKAGE
from workbench.runs.process import ProcessIdentity, identity_of
from workbench.secrets_file import hand_over

__all__ = ["BoundedOutputs", "RunKernel", "unheard"]

# What -c runs instead of `-m ipykernel_launcher`: the same, in a process whose parent keeps it.
_START = """
import sys
if sys.path[0] == "":
    del sys.path[0]
root, parent, mark, text_limit, total_limit, *arguments = sys.argv[1:]
added = root not in sys.path
if added:
    sys.path.append(root)  # found also where a clone is not installed
from workbench.headless.keeper import become_kernel
become_kernel(int(parent), mark)
from workbench.headless.kernel_process import start_kernel
if added:
    sys.path.remove(root)
start_kernel(arguments, text_limit=int(text_limit), total_limit=int(total_limit))
"""
# The environment variable by which what a run started is known; its value is another one for each run.
_MARK = "WORKBENCH_KERNEL"

_FORCE_AFTER_SECONDS = 10.0


def unheard() -> logging.Logger:
    """A logger that drops what Jupyter's libraries log about a run; `NotebookFailed` reports it."""
    log = logging.Logger("workbench.promotion.unheard")  # outside of the tree: no root handler gets it
    log.addHandler(logging.NullHandler())
    return log


class _ThisPython(KernelSpecManager):  # type: ignore[misc]
    """Knows one kernel, whatever kernelspecs the user, the machine or the environment has installed."""

    def __init__(self, mark: str, text_limit: int, total_limit: int) -> None:
        super().__init__(log=unheard())
        self._before = [str(PACKAGE.parent), str(os.getpid()), mark, str(text_limit), str(total_limit)]

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002
        return KernelSpec(
            argv=[sys.executable, "-c", _START, *self._before, "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
        )


class _Client(AsyncKernelClient):  # type: ignore[misc]
    """Lets few messages wait in this process's memory."""

    def connect_iopub(self, identity: bytes | None = None) -> Any:
        self.context.setsockopt(zmq.RCVHWM, IN_FLIGHT)
        try:
            return super().connect_iopub(identity)
        finally:
            self.context.sockopts.pop(zmq.RCVHWM, None)


class _Kept(LocalProvisioner):  # type: ignore[misc]
    """The kernel's process as jupyter_client sees it, which is its keeper."""

    end: Callable[[], None]

    async def kill(self, restart: bool = False) -> None:  # noqa: ARG002
        self.end()


class RunKernel:
    """One kernel for one run, and everything that it starts.

    Parameters
    ----------
    scratch : Path
        A private folder: the connection's file and sockets, an empty IPython folder, the kernel's log.
    environment : Mapping[str, str]
        Laid over this process's environment, in the kernel only; what is secret in either, the kernel gets by
        a file in `scratch`.
    cwd : Path
        Where the kernel works; this process stays where it is.
    text_limit, total_limit : int
        Characters that it may send in one message: of plain text, and of anything else.
    """

    def __init__(
        self,
        scratch: Path,
        environment: Mapping[str, str],
        cwd: Path,
        *,
        text_limit: int,
        total_limit: int,
    ) -> None:
        self.log_file = scratch / "kernel.log"
        mark = secrets.token_hex(8)
        specs = _ThisPython(f"{_MARK}={mark}", text_limit, total_limit)
        self.manager = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=specs,
            client_factory=_Client,
            connection_file=str(scratch / "kernel.json"),
            # Sockets in a private folder: no ports that a neighbour could take in between. The system
            # allows their names 107 bytes, so in a home whose path has more than 77 it has to be ports.
            transport="ipc" if len(os.fsencode(scratch / "kernel-ipc-1")) <= 107 else "tcp",
            log=unheard(),
        )
        self._process = _Kept(
            kernel_id="run", kernel_spec=specs.get_kernel_spec("python3"), parent=self.manager
        )
        self._process.end = self.kill
        self.manager.provisioner = self._process
        self._told_at: float | None = None
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONSTARTUP"}
        given = hand_over({**inherited, **environment}, scratch / "secrets.json")
        self._start = {
            # An IPython folder of its own: without the user's start-up files, and without history.
            "env": {**given, "IPYTHONDIR": str(scratch / "ipython"), _MARK: mark},
            "cwd": str(cwd),
        }

    def execute(self, client: nbclient.NotebookClient) -> None:
        """Start the kernel, let `client` run its notebook, shut the kernel down."""
        with self.log_file.open("wb") as log:
            client.execute(cleanup_kc=True, stdout=log, stderr=subprocess.STDOUT, **self._start)

    def kill(self) -> None:
        """End the kernel and what it started, at once; harmless where there is nothing to end.

        To be called until it has ended: a keeper that does not act within seconds is killed itself.
        """
        pid = self._process.pid  # the keeper's; also its process group's id
        process = self._process.process
        if pid is None or process is None or process.poll() is not None:
            return
        self._told_at = self._told_at or time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, END_ALL)
            if time.monotonic() - self._told_at > _FORCE_AFTER_SECONDS:
                for left in (*_descendants(pid), pid):
                    os.kill(left, signal.SIGKILL)

    def identity(self) -> ProcessIdentity | None:
        """The process that keeps the kernel, and leads its process group; None while there is none."""
        pid = self._process.pid
        return None if pid is None else identity_of(pid)

    def resident_bytes(self) -> int:
        """Resident memory of the kernel and of all that descends from it; 0 while there is none."""
        pid = self._process.pid
        return 0 if pid is None else resident_bytes(pid)

    def last_words(self) -> str:
        """How the kernel's process ended, and the last of what it printed outside of any cell."""
        process = self._process.process
        code = None if process is None else process.poll()
        words = ""
        if code is not None and code < 0:
            words = f"killed by signal {-code} ({signal.Signals(-code).name})"
            if -code == signal.SIGKILL:
                words += ", as the system does when memory runs out"
        elif code is not None:
            words = f"its process ended with code {code}"
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(0, self.log_file.stat().st_size - 4000))
                said = log.read().decode(errors="replace").strip()
        except FileNotFoundError:
            said = ""
        return "\n".join(filter(None, (words, said)))


class BoundedOutputs(nbclient.NotebookClient):  # type: ignore[misc]
    """A notebook client with limits: a cell's text is cut, and too much output in all ends the run.

    Attributes
    ----------
    text_limit : int
        Characters of text that one cell may print; the rest is dropped, with a note.
    total_limit : int
        Characters that all outputs together may hold (figures and tables count by their JSON).
    on_overflow : callable
        Called once, when they hold more, with the index of the cell whose output it is.
    """

    text_limit: int
    total_limit: int
    on_overflow: Callable[[int], None]

    def bound(self, text_limit: int, total_limit: int, on_overflow: Callable[[int], None]) -> None:
        """Set the limits, before the run."""
        self.text_limit, self.total_limit, self.on_overflow = text_limit, total_limit, on_overflow
        self._kept = 0
        self._overflowed = False
        self._asked: dict[str, tuple[NotebookNode, int]] = {}

    async def _async_poll_output_msg(self, parent_msg_id: str, cell: NotebookNode, cell_index: int) -> None:
        """Read what the kernel sends until `cell` has ended.

        As nbclient does, but late output of an earlier cell is added to that cell, and not lost.
        """
        self._asked[parent_msg_id] = cell, cell_index
        while True:
            msg = await self.kc.iopub_channel.get_msg(timeout=None)
            asked = msg["parent_header"].get("msg_id")
            if asked not in self._asked:
                continue
            try:
                self.process_message(msg, *self._asked[asked])
            except CellExecutionComplete:
                if asked == parent_msg_id:
                    return

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Take in one message of the kernel, as nbclient does, or drop it."""
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream" and not self._keep_text(msg, cell, cell_index):
            return None
        if kind in DISPLAYS or kind == "error":
            withheld = content.get("metadata", {}).pop(WITHHELD, 0)
            if not self._has_room(size_of(content) + withheld, cell_index):
                return None
        return super().process_message(msg, cell, cell_index)

    def _keep_text(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> bool:
        """Add text to the output that it continues; True if the message still has to be handled.

        Text goes behind text: a stream's pieces make one output. (nbclient can do that at the cell's end,
        but takes quadratic time over long lines, holding Python's lock.) A line that a carriage return
        took back is dropped, as a terminal does: a progress bar is one line.
        """
        name, text = msg["content"]["name"], msg["content"]["text"]
        last = cell.outputs[-1] if cell.outputs and not self.clear_before_next_output else None
        joins = last is not None and last["output_type"] == "stream" and last["name"] == name
        before = last["text"] if last is not None and joins else ""
        printed = sum(len(output["text"]) for output in cell.outputs if output["output_type"] == "stream")
        if printed > self.text_limit:  # what says so was counted, too
            return False
        line = before.rpartition("\n")[2]
        kept = before[: len(before) - len(line)] + without_retractions(line + text)
        room = self.text_limit - (printed - len(before))
        if len(kept) > room:
            kept = kept[:room] + CUT.format(self.text_limit)
        if not self._has_room(len(kept) - len(before), cell_index):
            return False
        if last is not None and joins:
            last["text"] = kept
            return False
        msg["content"]["text"] = kept
        return True

    def _has_room(self, size: int, cell_index: int) -> bool:
        """Count `size` characters more, of that cell; False, for good, once there are too many."""
        self._kept += size
        if self._kept > self.total_limit and not self._overflowed:
            # What was cleared or replaced meanwhile was counted too: count again what is really there.
            there = sum(size_of(output) for cell in self.nb.cells for output in cell.get("outputs", ()))
            self._kept = there + size
            if self._kept > self.total_limit:
                self._overflowed = True
                self._leave_out(self.nb.cells[cell_index].setdefault("outputs", []))
                self.on_overflow(cell_index)
        return not self._overflowed

    def _leave_out(self, outputs: list[NotebookNode]) -> None:
        """Of outputs that grew too large keep the first, up to a cell's limit, and add a note."""
        room = self.text_limit
        for number, output in enumerate(outputs):
            room -= size_of(output)
            if room < 0:
                del outputs[number:]
                break
        outputs.append(new_output("stream", name="stderr", text=LEFT_OUT.format(self.total_limit)))


def _descendants(pid: int) -> list[int]:
    try:
        return [process.pid for process in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
