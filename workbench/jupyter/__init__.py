"""The IPython extension of workbench, loaded with `%load_ext workbench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.jupyter.sql_magic import SqlMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["SqlMagics", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext workbench`: add `%sql` and `%%sql`, and their completion."""
    magics = SqlMagics(shell)
    shell.register_magics(magics)
    shell.Completer.custom_matchers.append(magics.complete)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext workbench`: remove the magics, and close their own connections."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("sql", None)
    magics = shell.magics_manager.registry.pop(SqlMagics.__name__, None)
    if isinstance(magics, SqlMagics):
        shell.Completer.custom_matchers.remove(magics.complete)
        magics.close()
