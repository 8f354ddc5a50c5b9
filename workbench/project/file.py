"""Reads a project's `workbench.toml`: known keys only, each of its kind; anything else is refused by name."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import SettingsError
from workbench.project.find import MARKER, find_project
from workbench.project.keys import KEYS, Key
from workbench.spelling import did_you_mean, near_names

__all__ = ["ProjectFile", "named_variables", "project_file"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXPECTED = {
    "text": "text in quotes",
    "folder": "a folder in quotes",
    "place": "a folder or a URL in quotes",
    "number": "a whole number",
    "size": 'a number of bytes, such as "4GB", "500MB" or 0',
}


@dataclass(frozen=True)
class ProjectFile:
    """What a `workbench.toml` sets.

    Attributes
    ----------
    path : Path
        The file.
    values : mapping of Key to str or int
        The keys that it has; a folder is absolute.
    lines : mapping of Key to int
        The line that each is on, as far as it is written on one of its own.
    """

    path: Path
    values: Mapping[Key, str | int]
    lines: Mapping[Key, int] = field(default_factory=dict)

    def key_of(self, setting: str) -> Key | None:
        """The key in this file that sets a field of `Settings`; None if none does."""
        return next((key for key in self.values if setting and key.setting == setting), None)

    def where(self, key: Key) -> str:
        """Where a key is, for a message: the file, the section, the key and the line."""
        line = f" (line {self.lines[key]})" if key in self.lines else ""
        return f"{self.path}: {key}{line}"


def project_file() -> ProjectFile | None:
    """The project's file, read anew; None outside of any project.

    Raises
    ------
    SettingsError
        As `find_project`; or the file cannot be read, is not TOML, has an unknown section or key, or a value
        of another kind.
    """
    root = find_project()
    return None if root is None else _read(root / MARKER)


def named_variables() -> set[str]:
    """The environment variables that the project's file names for its servers: they may hold passwords."""
    file = project_file()
    values = {} if file is None else file.values
    return {str(value) for key, value in values.items() if key.kind == "variable"}


def _read(path: Path) -> ProjectFile:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        document = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        raise SettingsError(f"{path} is not TOML: {said[:1].lower()}{said[1:]}") from None
    places = _places(text)
    values, lines = {}, {}
    for section, held in document.items():
        _refuse_unknown_section(path, section, held, places)
        for name, value in held.items():
            place = places.get((section, name))
            key = _known(path, section, name, place)
            values[key] = _checked(path, key, value, place)
            if place is not None:
                lines[key] = place
    return ProjectFile(path, values, lines)


def _refuse_unknown_section(path: Path, section: str, held: Any, places: Mapping[Any, int]) -> None:
    sections = list(dict.fromkeys(key.section for key in KEYS))
    if section in sections and isinstance(held, dict):
        return
    if isinstance(held, dict):
        shown, place = f"[{section}]", places.get((section, ""))
        near = [f"[{one}]" for one in near_names(section, sections)]
        advice = f"there is no such section{did_you_mean(near)}; there are: " + ", ".join(
            f"[{one}]" for one in sections
        )
    else:
        shown, place = section, places.get(("", section))
        homes = [f"[{key.section}]" for key in KEYS if key.name == section]
        if section in sections:
            advice = f"it is a section: write [{section}], and its keys below"
        elif homes:
            advice = f"it stands outside of any section; put it below {' or '.join(homes)}"
        else:
            near = [str(key) for key in KEYS if key.name in near_names(section, [one.name for one in KEYS])]
            advice = f"there is no such key{did_you_mean(near)}; keys stand in sections: " + ", ".join(
                f"[{one}]" for one in sections
            )
    raise SettingsError(f"{path}: {shown}{_line(place)}: {advice}")


def _known(path: Path, section: str, name: str, place: int | None) -> Key:
    for key in KEYS:
        if (key.section, key.name) == (section, name):
            return key
    here = [key.name for key in KEYS if key.section == section]
    near = near_names(name, here)
    elsewhere = [str(key) for key in KEYS if key.name in near_names(name, [one.name for one in KEYS])]
    raise SettingsError(
        f"{path}: [{section}] {name}{_line(place)}: there is no such key{did_you_mean(near or elsewhere)}; "
        f"[{section}] has: {', '.join(here)}"
    )


def _checked(path: Path, key: Key, value: Any, place: int | None) -> str | int:
    """The value, if it is of the key's kind; a folder made absolute."""
    where = f"{path}: {key}{_line(place)}"
    if key.kind == "variable":
        if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
            # What it is must not be shown: it may be a URL with its password.
            raise SettingsError(
                f"{where}: expected the name of an environment variable that holds it, such as "
                f'"{key.setting.upper()}"; no URL or password, since this file goes into git'
            )
        return value
    whole = isinstance(value, int) and not isinstance(value, bool)
    fits = {"number": whole, "size": whole or isinstance(value, str)}.get(key.kind, isinstance(value, str))
    if not fits or (isinstance(value, str) and not value.strip()):
        advice = "; remove the line for the default" if value == "" else ""
        raise SettingsError(f"{where}: expected {_EXPECTED[key.kind]} (got {value!r}){advice}")
    if key.kind == "folder" or (key.kind == "place" and "://" not in str(value)):
        return os.path.abspath(path.parent / Path(value).expanduser())
    assert isinstance(value, str | int)
    return value


def _places(text: str) -> dict[tuple[str, str], int]:
    """The lines of `[section]` (with an empty key) and of `key = …` below it; others have none."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w-]+)\s*\]\s*(#.*)?$", line):
            section = header[1]
            found.setdefault((section, ""), number)
        elif assigned := re.match(r"""\s*["']?([\w-]+)["']?\s*=""", line):
            found.setdefault((section, assigned[1]), number)
    return found


def _line(place: int | None) -> str:
    return "" if place is None else f" (line {place})"
