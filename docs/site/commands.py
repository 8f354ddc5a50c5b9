"""The page of the command line, made of the commands as Typer builds them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

__all__ = ["command_page"]


def command_page() -> str:
    """Every command with its words, options and defaults, as Markdown."""
    with warnings.catch_warnings():
        # The Typer that Prefect 3.4.14 allows imports what newer Clicks call deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        import typer

        from workbench.cli import app

        top: Any = typer.main.get_command(app)
    text = f"# Command line\n\n{top.help}\n\nEvery command has `--help`.\n\n"
    text += _options(top)
    panel = None
    panels = {name: command.rich_help_panel for name, command in top.commands.items()}
    order = list(dict.fromkeys(panels.values()))
    leaves = [(panels[words.split()[0]], words, command) for words, command in _leaves(top, "")]
    for above, name, command in sorted(leaves, key=lambda leaf: order.index(leaf[0])):
        if above != panel:
            panel = above
            text += f"## {panel}\n\n"
        text += f"### workbench {name}\n\n{(command.help or '').strip()}\n\n"
        text += f"```text\n{_usage(name, command)}\n```\n\n{_options(command)}"
    return text


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    for name, inner in command.commands.items():
        if inner.hidden:
            continue
        words = f"{path} {name}".strip()
        if hasattr(inner, "commands"):
            yield from _leaves(inner, words)
        else:
            yield words, inner


def _usage(name: str, command: Any) -> str:
    """The line that `--help` begins with."""
    import typer

    context = typer.Context(command, info_name=f"workbench {name}")
    return " ".join([f"workbench {name}", *command.collect_usage_pieces(context)])


def _options(command: Any) -> str:
    """A list of the command's words and options."""
    import typer

    rows, context = [], typer.Context(command)
    for one in command.params:
        if getattr(one, "hidden", False) or one.name in {"help", "install_completion", "show_completion"}:
            continue
        is_word = one.param_type_name == "argument"
        names = [one.name.upper()] if is_word else [*one.opts, *one.secondary_opts]
        shown = ", ".join(f"`{name}{'' if is_word else _kind(one, context)}`" for name in names)
        said = " ".join((getattr(one, "help", None) or "").split())
        rows.append(f"- {shown}: {said}{_default(one)}\n")
    return "".join(rows) + "\n"


def _kind(one: Any, context: Any) -> str:
    """What follows the option: ` INTEGER`; nothing after a switch."""
    record = one.get_help_record(context)
    words = record[0].split() if record else []
    while any(word.startswith("-") for word in words):
        words.pop(0)
    return "".join(f" {word}" for word in words)


def _default(one: Any) -> str:
    if one.required:
        return " Required."
    plain = one.default is None or isinstance(one.default, bool) or callable(one.default)
    return "" if plain or not one.default else f" Default: `{one.default}`."
