"""Where each setting comes from: an argument, the environment, a kernel's secrets, the project's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from workbench.project import MARKER
from workbench.project.file import ProjectFile

__all__ = ["ORIGINS", "Kind", "Origin", "OriginsSource", "variable_of"]

Kind = Literal["argument", "environment", "secrets", "project", "default"]
ORIGINS = "origins"
"""Under this name the origins travel beside the values; it is no setting."""


@dataclass(frozen=True)
class Origin:
    """Where a setting comes from.

    Attributes
    ----------
    kind : "argument", "environment", "secrets", "project" or "default"
    name : str
        The variable, the variable in a kernel's file of secrets, or the key in `workbench.toml`.
    named : str
        The variable that the key in `workbench.toml` names; else empty.
    """

    kind: Kind
    name: str = ""
    named: str = ""

    def __str__(self) -> str:
        if self.kind == "secrets":
            return f"{self.name}, handed over to this kernel"
        if self.kind == "project":
            key = f"{MARKER}: {self.name}"
            return f"{self.named}, named in {key}" if self.named else key
        return self.name or self.kind


class OriginsSource(PydanticBaseSettingsSource):
    """The last of the sources: which of those before it gave each setting, as one more value `origins`.

    Parameters
    ----------
    settings_cls : type
    sources : mapping of str to PydanticBaseSettingsSource
        Those before it, in their order, by kind.
    project : ProjectFile or None
    """

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        sources: Mapping[Kind, PydanticBaseSettingsSource],
        project: ProjectFile | None,
    ) -> None:
        super().__init__(settings_cls)
        self._sources = sources
        self._project = project

    def __call__(self) -> dict[str, Any]:
        """The origins by setting."""
        return {ORIGINS: {name: self._of(name) for name in self.settings_cls.model_fields}}

    def _of(self, name: str) -> Origin:
        variable = variable_of(self.settings_cls, name)
        for kind, source in self._sources.items():
            given = self.settings_sources_data.get(type(source).__name__, {})
            if name not in given and variable not in given:
                continue
            key = self._project.key_of(name) if self._project and kind == "project" else None
            if key is None or self._project is None:
                return Origin(kind, "" if kind == "argument" else variable)
            named = str(self._project.values[key]) if key.kind == "variable" else ""
            return Origin(kind, str(key), named)
        return Origin("default")

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Unused (but abstract in pydantic): `__call__` returns all at once."""
        del field
        return None, field_name, False


def variable_of(settings: type[BaseSettings], name: str) -> str:
    """The environment variable of a field of `Settings`."""
    return str(settings.model_fields[name].validation_alias or f"WORKBENCH_{name.upper()}")
