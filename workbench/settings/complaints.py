"""Pydantic's complaints as one sentence, which names the variable or the key of `workbench.toml`."""

from __future__ import annotations

import os

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from workbench.errors import SettingsError
from workbench.project.file import ProjectFile
from workbench.settings.origins import variable_of

__all__ = ["said_plainly"]

# Our text for pydantic's error types, by prefix of the type.
_EXPECTED = {
    "byte_size": "expected a number of bytes, such as 4GB, 500MB or 0",
    "int": "expected a whole number",
    "literal": "expected {expected}",
    "greater_than_equal": "expected {ge} or more",
    "less_than_equal": "expected {le} or less",
}


def said_plainly(
    error: ValidationError, settings: type[BaseSettings], file: ProjectFile | None
) -> SettingsError:
    """Pydantic's first complaint as one sentence."""
    first = error.errors()[0]
    field = _field(str(first["loc"][0]), settings)
    reason = str(first["msg"]).removeprefix("Value error, ")
    reason = next(
        (words for kind, words in _EXPECTED.items() if first["type"].startswith(kind)), reason
    ).format(**first.get("ctx", {}))
    if first["type"] != "value_error" and isinstance(first["input"], str | int):
        # Only numbers and paths get here; what may be secret is checked below and never shown.
        reason += f" (got {first['input']!r})"
    return SettingsError(f"{_place(field, settings, file)}: {reason}")


def _field(loc: str, settings: type[BaseSettings]) -> str:
    """The field that pydantic means: it may name it by its alias."""
    return next(name for name in settings.model_fields if loc in (name, variable_of(settings, name)))


def _place(field: str, settings: type[BaseSettings], file: ProjectFile | None) -> str:
    """The variable that a value is from, or the key in the project's file."""
    variable = variable_of(settings, field)
    set_here = {name.upper() for name, value in os.environ.items() if value.strip()}
    key = None if file is None or variable in set_here else file.key_of(field)
    if file is None or key is None:
        return variable
    return f"{file.values[key]}, named in {file.where(key)}" if key.kind == "variable" else file.where(key)
