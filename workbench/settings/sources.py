"""The sources of settings below arguments: the environment without blanks, the project's file, its folder."""

from __future__ import annotations

import os
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from workbench.errors import SettingsError
from workbench.project import the_project
from workbench.project.file import ProjectFile
from workbench.project.keys import Key
from workbench.settings.origins import variable_of

__all__ = ["EnvironmentSource", "HomeSource", "ProjectSource"]


class _Whole(PydanticBaseSettingsSource):
    """A source that returns all fields at once."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Unused (but abstract in pydantic)."""
        del field
        return None, field_name, False


class EnvironmentSource(_Whole):
    """The environment, in which a blank variable counts as unset: what is below it then takes effect."""

    def __init__(self, settings_cls: type[BaseSettings], environment: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._environment = environment

    def __call__(self) -> dict[str, Any]:
        """The fields whose variable is set."""
        found = self._environment()
        return {name: value for name, value in found.items() if not isinstance(value, str) or value.strip()}


class ProjectSource(_Whole):
    """The project's `workbench.toml`; of its servers, what the named variables hold."""

    def __init__(self, settings_cls: type[BaseSettings], file: ProjectFile | None) -> None:
        super().__init__(settings_cls)
        self._file = file

    def __call__(self) -> dict[str, Any]:
        """The fields in the file that nothing above sets.

        Raises
        ------
        SettingsError
            A variable that the file names is not set. It does not fall back to a server of its own, which
            would be another database than the one that is meant.
        """
        found: dict[str, Any] = {}
        for key, value in ({} if self._file is None else self._file.values).items():
            above = {key.setting, variable_of(self.settings_cls, key.setting)} if key.setting else {""}
            if not key.setting or above & self.current_state.keys():
                continue
            found[key.setting] = self._held(str(value), key) if key.kind == "variable" else value
        return found

    def _held(self, variable: str, key: Key) -> str:
        assert self._file is not None
        value = os.environ.get(variable, "")
        if not value.strip():
            own = variable_of(self.settings_cls, key.setting)
            raise SettingsError(
                f"{self._file.where(key)} names the environment variable {variable}, which is not set; "
                f"set it, or {own}, or remove the line"
            )
        return value


class HomeSource(_Whole):
    """The default home, `.workbench/` in the project, where nothing above names another one."""

    def __call__(self) -> dict[str, Any]:
        """The home; raises `ProjectMissing` outside of any project."""
        return {} if "home" in self.current_state else {"home": the_project() / ".workbench"}
