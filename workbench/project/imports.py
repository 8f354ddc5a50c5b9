"""Watches what a run's processes import: notes the project's modules, or lets only promoted ones in.

Loaded at the start of every Python process of a run (`startup/sitecustomize.py`), so it imports little.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench.errors import ModuleNotPromoted

__all__ = ["BESIDE", "VARIABLE", "ImportRules", "append_record", "install", "top_entry"]

VARIABLE = "WORKBENCH_IMPORTS"
"""The environment variable with a run's `ImportRules`, as JSON; its processes inherit it."""
BESIDE = ".beside"
"""Where modules beside a notebook that lies outside of the project are kept in a version."""

_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@dataclass(frozen=True)
class ImportRules:
    """Which modules are the project's, and what becomes of their import.

    Attributes
    ----------
    root : str or None
        The project's root; modules below it are the project's.
    beside : str
        The notebook's folder; modules found in it are, too.
    apart : tuple of str
        Folders whose modules are not: the home, this package, installed Python.
    record : str or None
        The file in which each import of such a module is noted.
    tree : str or None
        The folder of a promoted version's modules: only those are let in.
    paths : tuple of str
        Where imports begin in `tree`, relative to it.
    """

    root: str | None
    beside: str
    apart: tuple[str, ...] = ()
    record: str | None = None
    tree: str | None = None
    paths: tuple[str, ...] = ()
    _real: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_environment(cls) -> ImportRules | None:
        """The rules that this process was given; None outside of a run."""
        given = os.environ.get(VARIABLE)
        if not given:
            return None
        facts = json.loads(given)
        return cls(**facts | {"apart": tuple(facts["apart"]), "paths": tuple(facts["paths"])})

    def to_json(self) -> str:
        """The variable's value."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "_real"})

    def entries(self) -> list[str]:
        """The folders of `tree` where imports begin."""
        return [] if self.tree is None else [os.path.normpath(os.path.join(self.tree, p)) for p in self.paths]

    def key(self, name: str, file: str) -> str | None:
        """The relative path, with slashes, by which a module's file goes; None where it is not the project's.

        Parameters
        ----------
        name : str
            The module's full name.
        file : str
            Its `__file__`.
        """
        file = os.path.abspath(file)
        if any(folder in file for folder in _INSTALLED):
            return None
        folder, _, base = file.rpartition(os.sep)
        real = os.path.join(self._realpath(folder or os.sep), base)
        if any(_below(folder, one) for folder in self.apart for one in (file, real)):
            return None
        for one in (file, real):
            for root in [] if self.root is None else [self.root, self._realpath(self.root)]:
                if _below(root, one):
                    return os.path.relpath(one, root).replace(os.sep, "/")
            entry = top_entry(name, one)
            if entry in {self.beside, self._realpath(self.beside)}:
                return f"{BESIDE}/{os.path.relpath(one, entry)}".replace(os.sep, "/")
        return None

    def _realpath(self, folder: str) -> str:
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        return self._real[folder]


def top_entry(name: str, file: str) -> str:
    """The folder in which the import of a module's outermost package began."""
    path = Path(file)
    levels = name.count(".") + (path.name.partition(".")[0] == "__init__")
    return str(path.parents[min(levels, len(path.parents) - 1)])


def append_record(record: str, fact: dict[str, Any]) -> None:
    """Add a line to a run's record of imports, to which several processes write."""
    line = (json.dumps(fact) + "\n").encode()
    try:
        descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return  # the run has ended, and its folder is gone
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def install() -> None:
    """Apply the rules in the environment to this process's imports; does nothing outside of a run."""
    rules = ImportRules.from_environment()
    if rules is not None and not any(isinstance(one, _ProjectImports) for one in sys.meta_path):
        places = [place for place, finder in enumerate(sys.meta_path) if finder is PathFinder]
        # Behind what is built in, which no module of a project can hide.
        sys.meta_path.insert(places[0] if places else len(sys.meta_path), _ProjectImports(rules))


class _Stored(SourceFileLoader):
    """Loads a promoted module; writes no bytecode into the store."""

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Write nothing."""


class _ProjectImports(MetaPathFinder):
    """Stands before the finder of `sys.path`."""

    def __init__(self, rules: ImportRules) -> None:
        self._rules = rules
        self._entries = rules.entries()
        self._noted: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self._rules.tree is None:
            spec = self._elsewhere(fullname, path, target)
            self._note(fullname, spec)
            return spec
        spec = self._promoted(fullname, path)
        if spec is None:
            spec = self._elsewhere(fullname, path, target)
            if self._is_own(fullname, spec) or (spec is None and self._is_left_out(fullname, path)):
                raise ModuleNotPromoted(
                    f"{fullname} is a module of the project that was not promoted with the notebook; "
                    "promote it again",
                    name=fullname,
                )
        return spec

    def _promoted(self, fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
        tree = str(self._rules.tree)
        where = self._entries if path is None else [one for one in path if one == tree or _below(tree, one)]
        spec = PathFinder.find_spec(fullname, where) if where else None
        if spec is None:
            return None
        if spec.submodule_search_locations is not None:
            # Without an __init__.py Python would look for further parts on all of sys.path.
            spec.submodule_search_locations = list(spec.submodule_search_locations)
        if type(spec.loader) is SourceFileLoader:
            spec.loader = _Stored(fullname, str(spec.origin))
        return spec

    def _elsewhere(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        """What the finders behind this one find."""
        finders = list(sys.meta_path)
        for finder in finders[finders.index(self) + 1 :]:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(fullname, path, target)
            if spec is not None:
                return spec
        return None

    def _is_own(self, fullname: str, spec: ModuleSpec | None) -> bool:
        if spec is None:
            return False
        if spec.has_location and spec.origin:
            return self._rules.key(fullname, spec.origin) is not None
        parts = list(spec.submodule_search_locations or ())
        return bool(parts) and all(
            self._rules.key(fullname, os.path.join(part, "__init__.py")) is not None for part in parts
        )

    def _is_left_out(self, fullname: str, path: Sequence[str] | None) -> bool:
        """Whether the project has a module of that name now, where the run's path does not lead."""
        name = fullname.rpartition(".")[2]
        if path is None:
            tree = str(self._rules.tree)
            path = [tree, os.path.join(tree, BESIDE), *self._entries]
        for folder in filter(None, map(self._in_project, path)):
            if (folder / f"{name}.py").is_file() or any((folder / name).glob("*.py")):
                return True
        return False

    def _in_project(self, folder: str) -> Path | None:
        """The folder of the project from which a folder of the version was promoted."""
        tree, rules = Path(str(self._rules.tree)), self._rules
        if not Path(folder).is_relative_to(tree):
            return None
        inner = Path(folder).relative_to(tree)
        if inner.parts[:1] == (BESIDE,):
            return Path(rules.beside, *inner.parts[1:])
        return None if rules.root is None else Path(rules.root, inner)

    def _note(self, fullname: str, spec: ModuleSpec | None) -> None:
        record = self._rules.record
        if record is None or spec is None or not spec.has_location or not spec.origin:
            return
        if fullname in self._noted or self._rules.key(fullname, spec.origin) is None:
            return
        self._noted.add(fullname)
        try:
            content = Path(spec.origin).read_bytes()
        except OSError:
            return  # Python says it better, in a moment
        fact = {"name": fullname, "file": os.path.abspath(spec.origin)}
        append_record(record, fact | {"sha256": hashlib.sha256(content).hexdigest()})


def _below(folder: str, path: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
