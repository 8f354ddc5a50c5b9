"""Usage errors as one sentence and exit code 2, the same for every version of Typer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

from workbench.spelling import did_you_mean, near_names

__all__ = ["UsageError", "command_of", "said_wrongly"]

# Newer Typers bring a Click of their own: this is the one that is in use.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Typer's error about a missing, unknown or unreadable word of a command."""


def command_of(app: typer.Typer) -> Any:
    """The command that Typer builds of `app`, whose help names no default where there is none."""
    command = typer.main.get_command(app)
    for one in _with_all_below(command):
        for parameter in one.params:
            if parameter.default is None:
                parameter.show_default = False
    return command


def said_wrongly(error: Any, command: Any, words: Sequence[str]) -> str:
    """A `UsageError` of `command` about these words, as one sentence that says where to read more."""
    path, inner = _meant(command, words)
    return f"{path} {_complaint(error, inner)}; {path} --help tells more"


def _complaint(error: Any, command: Any) -> str:
    parameter = getattr(error, "param", None)
    if parameter is not None and not error.message:
        described = (parameter.help or "").rstrip(".")
        return f"needs {_shown(parameter)}" + (
            f" ({described[0].lower()}{described[1:]})" if described else ""
        )
    if hasattr(error, "possibilities"):
        return f"has no option {error.option_name}{did_you_mean(sorted(error.possibilities or []))}"
    said = str(error.format_message()).strip().rstrip(".")
    commands = list(_commands(command))
    if commands and said.startswith("Missing command"):
        return f"needs one of its commands: {', '.join(commands)}"
    unknown = re.match(r"No such command '?(.*?)'?(\.|$)", said)
    if commands and unknown:
        near = sorted(near_names(unknown[1], commands, n=3))
        return f"has no command {unknown[1]}{did_you_mean(near)}; it has: {', '.join(commands)}"
    return f"cannot be run so: {said[:1].lower()}{said[1:]}"


def _shown(parameter: Any) -> str:
    return str(parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name.upper())


def _meant(command: Any, words: Sequence[str]) -> tuple[str, Any]:
    """The innermost command that the words name, and how it is typed."""
    path = "workbench"
    for word in words:
        inner = _commands(command).get(word)
        if inner is None:
            break
        path, command = f"{path} {word}", inner
    return path, command


def _commands(command: Any) -> dict[str, Any]:
    return dict(getattr(command, "commands", {}))


def _with_all_below(command: Any) -> list[Any]:
    return [command, *(one for inner in _commands(command).values() for one in _with_all_below(inner))]
