"""Candidates in child processes, and the turns they take: another order each round, the first not counted."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "Candidate",
    "CandidateFailed",
    "Worker",
    "is_installed",
    "medians",
    "open_workers",
    "say",
    "take_turns",
]

_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Candidate:
    """One way to do what is measured.

    Attributes
    ----------
    name : str
        As the table shows it: the peer, then its way: "adbc, 2 connections".
    target : str
        `module:function` of a context manager that takes the task and yields `Timed`.
    options : mapping
        Passed to that function.
    python : str
        The interpreter, for a peer with an environment of its own.
    """

    name: str
    target: str
    options: Mapping[str, Any] = field(default_factory=dict)
    python: str = sys.executable


class CandidateFailed(Exception):
    """A candidate could not do its part; the message says whose fault it was."""


class CandidateMissing(Exception):
    """A candidate is not installed here."""


class Worker:
    """A candidate's child process: its memory and its caches are its own, its processor is everyone's."""

    def __init__(self, candidate: Candidate) -> None:
        if not Path(candidate.python).exists():
            raise CandidateMissing(
                f"there is no {Path(candidate.python).parent.parent.name}; make bench makes it"
            )
        self._candidate = candidate
        self._process = subprocess.Popen(
            [candidate.python, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            # What the shell has set must reach neither side.
            env={
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("WORKBENCH_", "PREFECT_"))
            },
        )

    def open(self, task: Mapping[str, Any]) -> None:
        """Have the candidate prepare itself."""
        self.ask("open", target=self._candidate.target, task=task, options=self._candidate.options)

    def ask(self, what: str, **arguments: Any) -> Any:
        """What the child answers.

        Raises
        ------
        CandidateFailed, CandidateMissing
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"what": what, **arguments}) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise CandidateFailed(
                f"{self._candidate.name}: its process ended ({self._process.wait()}) in {what}"
            )
        answer = json.loads(line)
        if "missing" in answer:
            raise CandidateMissing(f"{answer['missing']} is not installed; make bench installs it")
        if "error" in answer:
            raise CandidateFailed(f"{self._candidate.name}: {answer['error']}")
        return answer["answer"]

    def seconds(self, arguments: Mapping[str, Any]) -> float:
        """The wall-clock seconds of one turn, as the child measured them."""
        return float(self.ask("turn", arguments=arguments)["seconds"])

    def close(self) -> None:
        """Let the child end; it closes what it opened."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def open_workers(candidates: Sequence[Candidate], task: Mapping[str, Any]) -> Iterator[dict[str, Worker]]:
    """A prepared child for each candidate, by name; one that is not installed is left out, and it is said."""
    with contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for candidate in candidates:
            try:
                worker = Worker(candidate)
                stack.callback(worker.close)
                worker.open(task)
            except CandidateMissing as error:
                say(f"left out: {candidate.name}: {error}")
            else:
                workers[candidate.name] = worker
        yield workers


def is_installed(name: str, module: str | None) -> bool:
    """Whether the module that a candidate needs is here; if not, it is said that `name` is left out."""
    there = module is None or importlib.util.find_spec(module) is not None
    if not there:
        say(f"left out: {name}: {module} is not installed; make bench installs it")
    return there


def take_turns(
    rounds: int, names: Sequence[str], turn: Callable[[str, int], Mapping[str, float]]
) -> dict[str, dict[str, list[float]]]:
    """Have each name take its turn once a round, in an order that moves on by one each round.

    Parameters
    ----------
    rounds : int
        How many rounds count; round 0, before them, warms everyone up and does not.
    names : sequence of str
    turn : callable
        Takes a name and the round's number; returns the seconds of whatever it measured, by what.

    Returns
    -------
    dict of str to dict of str to list of float
        By name and by what: the seconds of each round that counts.
    """
    taken: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for number in range(rounds + 1):
        shift = number % len(names)
        for name in (*names[shift:], *names[:shift]):
            for what, seconds in turn(name, number).items():
                if number:
                    taken[name].setdefault(what, []).append(seconds)
        say(f"round {number} of {rounds}{'' if number else ' (not counted)'}")
    return taken


def medians(taken: Mapping[str, Mapping[str, Sequence[float]]], what: str) -> dict[str, float]:
    """The median seconds of each name that measured `what`."""
    return {name: statistics.median(seconds[what]) for name, seconds in taken.items() if what in seconds}


def say(line: str) -> None:
    """Tell whoever waits how far we are, beside the table on stdout."""
    print(line, file=sys.stderr, flush=True)
