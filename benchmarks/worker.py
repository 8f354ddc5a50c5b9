"""The child process of one candidate: told by pipe what to do, it times within itself.

It runs in whatever environment the candidate needs, so it imports nothing but the standard library and the
candidate. One JSON object a line in, one out.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import Timed

__all__ = ["main"]


class _Worker:
    """One candidate, and what its last run returned."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._timed: Timed | None = None
        self._last: Any = None

    def open(self, target: str, task: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """Prepare the candidate `module:function`; untimed."""
        module, _, name = target.partition(":")
        make: Callable[..., Any] = getattr(importlib.import_module(module), name)
        self._timed = self._stack.enter_context(make(task, **options))

    def turn(self, arguments: Mapping[str, Any], at_least: float = 0.0) -> dict[str, Any]:
        """One timed run: wall-clock and processor seconds, its result or its rows, and the process's peak.

        Runs of a few milliseconds are repeated until `at_least` seconds have passed, and their mean is told:
        one alone would mostly measure how cold the other candidates have left the processor's caches.
        """
        timed = self._ready()
        timed.before()
        gc.collect()
        gc.disable()
        runs = 0
        wall, cpu = time.perf_counter(), time.process_time()
        while runs == 0 or time.perf_counter() - wall < at_least:
            self._last = timed.run(**arguments)
            runs += 1
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
        gc.enable()
        return {
            "seconds": seconds / runs,
            "cpu_seconds": cpu_seconds / runs,
            "result": _plain(timed.tell(self._last)),
            "process": _memory("VmHWM"),
        }

    def digests(self) -> dict[str, str]:
        """What the last frame holds, as `benchmarks.checks.digests` tells it."""
        from benchmarks.checks import digests

        return digests(self._last)

    def drop(self) -> None:
        """Forget the last result, so that the next turn does not pay for it."""
        self._last = None

    def peak(self, tiny: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, int]:
        """Bytes that a run adds at its peak to what the process holds after a tiny one, and its frame's.

        "process" is that peak with all that the process held before: imports, compiled code, what is given.
        """
        timed = self._ready()
        timed.before()
        timed.run(**tiny)
        timed.before()
        gc.collect()
        before = _memory("VmRSS")
        # From here on the kernel's high-water mark is that of the run alone.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        made = timed.run(**arguments)
        highest = _memory("VmHWM")
        return {
            "peak": highest - before,
            "process": highest,
            "frame": int(made.memory_usage(index=True, deep=True).sum()) if hasattr(made, "columns") else 0,
        }

    def _ready(self) -> Timed:
        assert self._timed is not None, "open comes first"
        self._last = None
        return self._timed


def main() -> None:
    """Answer requests until there are no more."""
    # Whatever a library prints goes to stderr, not between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with contextlib.ExitStack() as stack:
        worker = _Worker(stack)
        for line in sys.stdin:
            request = json.loads(line)
            what = request.pop("what")
            try:
                answer = {"answer": getattr(worker, what)(**request)}
            except ModuleNotFoundError as error:
                answer = {"missing": error.name}
            except Exception as error:  # noqa: BLE001 - the parent says whose it is, and ends
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _plain(result: Any) -> Any:
    """What can travel: the result itself, or how many rows it has."""
    return len(result) if hasattr(result, "columns") else result


def _memory(name: str) -> int:
    """A line of this process's memory status, in bytes."""
    try:
        found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        found = None
    # Elsewhere than on Linux: the most there ever was, for both.
    kilobytes = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * 1024


if __name__ == "__main__":
    main()
