"""Asks before something is removed for good."""

from __future__ import annotations

import sys

import typer

from workbench.errors import ServerError
from workbench.terminal import TELL

__all__ = ["ask"]


def ask(yes: bool, question: str, what: str) -> None:
    """Ask for confirmation; without a terminal `--yes` is required."""
    if yes:
        return
    if not (sys.stdin.isatty() and TELL.is_terminal):
        raise ServerError(f"this {what} and nobody can be asked here; nothing was removed. Say so with --yes")
    if not typer.confirm(question, err=True):
        raise ServerError("nothing was removed")
