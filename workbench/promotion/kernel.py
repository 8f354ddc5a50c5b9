"""The kernel of a headless run: this very Python, an environment of its own, bounded outputs, a sure end.

Imports jupyter_client and nbclient: only `execute.py` loads this, when something is run.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbclient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode

__all__ = ["BoundedOutputs", "RunKernel", "unheard"]

# What -c runs instead of `-m ipykernel_launcher`: the same, but the kernel dies with us even when we are
# killed outright, and even inside compiled code, where ipykernel's own watch over its parent gets no turn.
_START = """
import sys
if sys.path[0] == "":
    del sys.path[0]
import os, signal
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if str(os.getppid()) != os.environ["JPY_PARENT_PID"]:
    sys.exit("the run that started this kernel is gone")
from ipykernel import kernelapp
kernelapp.launch_new_instance()
"""

_OUTPUTS = {"display_data", "update_display_data", "execute_result", "error"}
_CUT = "\n[workbench: the rest of this cell's text was cut after {:,} characters]\n"


def unheard() -> logging.Logger:
    """A logger for what Jupyter's parts say of a run: `NotebookFailed` says it better, so nobody hears."""
    log = logging.Logger("workbench.promotion.unheard")  # outside of the tree: no root handler gets it
    log.addHandler(logging.NullHandler())
    return log


class _ThisPython(KernelSpecManager):  # type: ignore[misc]
    """Knows one kernel, whatever kernelspecs the user, the machine or the environment has installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002
        return KernelSpec(
            argv=[sys.executable, "-c", _START, "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
            metadata={"kernel_provisioner": {"provisioner_name": "local-provisioner"}},
        )


class RunKernel:
    """One kernel for one run.

    Parameters
    ----------
    scratch : Path
        A private folder: the connection's file and sockets, an empty IPython folder, the kernel's log.
    environment : Mapping[str, str]
        Laid over this process's environment, in the kernel only.
    cwd : Path
        Where the kernel works; this process stays where it is.
    """

    def __init__(self, scratch: Path, environment: Mapping[str, str], cwd: Path) -> None:
        self.log_file = scratch / "kernel.log"
        self.manager = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=_ThisPython(log=unheard()),
            connection_file=str(scratch / "kernel.json"),
            # Sockets in a private folder: no ports that a neighbour could take in between. The system
            # allows their names 107 bytes, so below a very long TMPDIR it has to be ports.
            transport="ipc" if len(os.fsencode(scratch / "kernel-ipc-1")) <= 107 else "tcp",
            log=unheard(),
        )
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONSTARTUP"}
        self._start = {
            # An IPython folder of its own: nobody's start-up files, no history kept.
            "env": {**inherited, **environment, "IPYTHONDIR": str(scratch / "ipython")},
            "cwd": str(cwd),
        }

    def execute(self, client: nbclient.NotebookClient) -> None:
        """Start the kernel, let `client` run its notebook, shut the kernel down."""
        with self.log_file.open("wb") as log:
            client.execute(cleanup_kc=True, stdout=log, stderr=subprocess.STDOUT, **self._start)

    def kill(self) -> None:
        """End the kernel and what it started, at once; harmless where there is nothing to end."""
        pid = getattr(self.manager.provisioner, "pid", None)  # also its process group's id
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def last_words(self) -> str:
        """How the kernel's process ended, and the end of what it said outside of any cell."""
        process = getattr(self.manager.provisioner, "process", None)
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
    """A notebook client that keeps at most so much: a cell's text is cut, more of anything ends the run.

    Attributes
    ----------
    text_limit : int
        Characters of text that one cell may print; the rest is dropped, with a note.
    total_limit : int
        Characters that all outputs together may hold (figures and tables count by their JSON).
    on_overflow : callable
        Called once, when they hold more.
    """

    text_limit: int
    total_limit: int
    on_overflow: Callable[[], None]

    def bound(self, text_limit: int, total_limit: int, on_overflow: Callable[[], None]) -> None:
        """Set the limits, before the run."""
        self.text_limit, self.total_limit, self.on_overflow = text_limit, total_limit, on_overflow
        self._kept = 0
        self._overflowed = False

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Take in one message of the kernel, as nbclient does, or drop it."""
        kind = msg["msg_type"]
        if kind == "stream" and not self._keep_text(msg, cell):
            return None
        if kind in _OUTPUTS and not self._has_room(_size(msg["content"])):
            return None
        return super().process_message(msg, cell, cell_index)

    def _keep_text(self, msg: dict[str, Any], cell: NotebookNode) -> bool:
        """Put text where it belongs; True where the message is still to be handled as it now stands.

        Text goes behind text: a stream's pieces make one output. (nbclient can do that at the cell's end,
        but takes quadratic time over long lines, holding Python's lock.) A line that a carriage return
        took back is dropped, as a terminal does: a progress bar is one line.
        """
        name, text = msg["content"]["name"], msg["content"]["text"]
        last = cell.outputs[-1] if cell.outputs and not self.clear_before_next_output else None
        joins = last is not None and last["output_type"] == "stream" and last["name"] == name
        before = last["text"] if last is not None and joins else ""
        printed = sum(len(output["text"]) for output in cell.outputs if output["output_type"] == "stream")
        if printed >= self.text_limit:
            return False
        line = before.rpartition("\n")[2]
        kept = before[: len(before) - len(line)] + _without_retractions(line + text)
        room = self.text_limit - (printed - len(before))
        if len(kept) > room:
            kept = kept[:room] + _CUT.format(self.text_limit)
        if not self._has_room(len(kept) - len(before)):
            return False
        if last is not None and joins:
            last["text"] = kept
            return False
        msg["content"]["text"] = kept
        return True

    def _has_room(self, size: int) -> bool:
        """Count `size` characters more; False, for good, once there are too many."""
        self._kept += size
        if self._kept > self.total_limit and not self._overflowed:
            # What was cleared or replaced meanwhile was counted too: count again what is really there.
            there = sum(_size(output) for cell in self.nb.cells for output in cell.get("outputs", ()))
            self._kept = there + size
            if self._kept > self.total_limit:
                self._overflowed = True
                self.on_overflow()
        return not self._overflowed


def _without_retractions(text: str) -> str:
    """`text` without what carriage returns took back: of each line, what stands behind its last one."""
    if "\r" not in text:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    # One at the very end takes nothing back until something follows.
    return "\n".join(line[line.rfind("\r", 0, len(line) - 1) + 1 :] for line in lines)


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(key) + _size(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(_size, value))
    return 8
