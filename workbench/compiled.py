"""Functions compiled by Numba, and where the result is kept; the only caller of `numba.njit`."""

from __future__ import annotations

from typing import Any

import numba

from workbench.errors import SettingsError
from workbench.home.folders import private_folder
from workbench.settings import Settings

__all__ = ["compiled"]


def compiled(function: Any, **options: Any) -> Any:
    """Compile a function to run without the interpreter's lock, and keep the result on disk.

    It is kept beside the code, else in the user's cache folder, else in the home's cache, else nowhere: each
    process then compiles again. Numba's cache depends on the function's own file only; a change in another
    file does not invalidate it, so functions that call one another must be in one file.

    Parameters
    ----------
    function : callable
    options : Any
        Further options of `numba.njit`.
    """
    options = {"nogil": True, **options}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        # Neither the code's folder nor the user's cache folder is writable.
        pass
    try:
        numba.config.CACHE_DIR = str(private_folder(Settings.load().home / "cache" / "numba"))
        return numba.njit(cache=True, **options)(function)
    except (RuntimeError, OSError, SettingsError):
        return numba.njit(**options)(function)
