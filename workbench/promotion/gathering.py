"""What is promoted with a notebook: the project's packages that it imports from, and files that are named."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import PromotionRefused
from workbench.project.imports import ImportRules, top_entry
from workbench.project.modules import Imported

__all__ = ["FILE_LIMIT", "Gathered", "gather_modules", "named_files"]

FILE_LIMIT = 1_000_000_000
"""Maximum bytes of one file that is promoted: the database keeps it."""

_INSTALLED = {"site-packages", "dist-packages", "node_modules", "__pycache__"}


@dataclass
class Gathered:
    """Modules to be promoted.

    Attributes
    ----------
    modules : dict
        The source of each, by its path relative to the project's root.
    paths : set of str
        The folders, relative to the root, in which their imports begin.
    """

    modules: dict[str, bytes] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)


def gather_modules(
    rules: ImportRules, imported: Sequence[Imported], cells: Iterable[ast.Module], notebook: str
) -> Gathered:
    """Every `.py` of the packages from which a notebook imports.

    Those are the ones from which a run of it imported, and those that the imports in its cells, and in the
    modules that are kept, name: what only another day's run imports is there, too.

    Parameters
    ----------
    rules : ImportRules
        Which modules are the project's.
    imported : sequence of Imported
        What the run has noted.
    cells : iterable of ast.Module
        The notebook's cells.
    notebook : str
        Its name, for messages.

    Raises
    ------
    PromotionRefused
        A module cannot be read, or was changed after the run had imported it.
    """
    gathered = Gathered()
    entries = dict.fromkeys([*([] if rules.root is None else [rules.root]), rules.beside])
    tops: dict[str, str] = {}
    for one in imported:
        begin = top_entry(one.name, one.file)
        entries.setdefault(begin)
        tops.setdefault(one.name.partition(".")[0], begin)
    waiting = [*tops, *(name for cell in cells for name in _imports(cell))]
    done: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in done:
            done.add(name)
            entry = tops.get(name) or _entry_of(name, entries)
            files = [] if entry is None else [(file, entry) for file in _sources(name, entry)]
            waiting += _keep(rules, gathered, files, notebook)
    # What its package's folder does not hold, as where a package changes its __path__.
    files = [(Path(one.file), top_entry(one.name, one.file)) for one in imported if one.file.endswith(".py")]
    _keep(rules, gathered, files, notebook)
    _unchanged(rules, imported, gathered, notebook)
    return gathered


def named_files(rules: ImportRules, files: Sequence[str | os.PathLike[str]]) -> dict[str, Path]:
    """The files that a promotion is told of, by their paths relative to the project's root.

    Parameters
    ----------
    rules : ImportRules
    files : sequence of path
        Relative to the root, or absolute and below it.

    Raises
    ------
    PromotionRefused
        One is missing, is no file, lies outside of the root or in the home, also behind a link, or has more
        than `FILE_LIMIT` bytes.
    """
    if files and rules.root is None:
        raise PromotionRefused(f"{files[0]} cannot be promoted: files are the project's, and there is none")
    found = {}
    for given in files:
        root = Path(str(rules.root))
        path = Path(os.path.abspath(root / given))
        if not path.is_file():
            what = "a folder; name its files" if path.is_dir() else f"not in the project {root}"
            raise PromotionRefused(f"{given} cannot be promoted: it is {what}")
        real, within = path.resolve(), root.resolve()
        if not (path.is_relative_to(root) or path.is_relative_to(within)) or not real.is_relative_to(within):
            raise PromotionRefused(f"{given} cannot be promoted: it lies outside of the project {root}")
        if any(real.is_relative_to(os.path.realpath(folder)) for folder in rules.apart):
            raise PromotionRefused(
                f"{given} cannot be promoted: it belongs to workbench's home or to an installation of Python"
            )
        size = path.stat().st_size
        if size > FILE_LIMIT:
            raise PromotionRefused(
                f"{given} cannot be promoted: it has {size / 1e6:,.0f} MB, and the database keeps files of "
                f"at most {FILE_LIMIT / 1e6:,.0f} MB; put such data where every machine can read it, and let "
                "the notebook read it there"
            )
        key = path.relative_to(root if path.is_relative_to(root) else within).as_posix()
        found[key] = path
    return found


def _keep(
    rules: ImportRules, gathered: Gathered, files: Iterable[tuple[Path, str]], notebook: str
) -> list[str]:
    """Keep modules, each with where its import begins; return the names that they import."""
    named: list[str] = []
    for file, entry in files:
        key = rules.key(_module_name(file, entry), str(file))
        if key is not None and key not in gathered.modules:
            gathered.modules[key] = source = _read(file, notebook)
            gathered.paths.add(_begin(key, file, entry))
            named += _imports_in(source)
    return named


def _entry_of(name: str, entries: Iterable[str]) -> str | None:
    """The folder in which a module of that name is found, without running any of it."""
    if name in sys.stdlib_module_names or name == "workbench":
        return None
    for entry in entries:
        there = Path(entry, name)
        if there.with_name(f"{name}.py").is_file() or (there / "__init__.py").is_file():
            return entry
    # Without an __init__.py a folder is a package only where nothing else has the name.
    installed = [folder for folder in sys.path if not _INSTALLED.isdisjoint(Path(folder).parts)]
    if any(Path(folder, name).exists() for folder in installed):
        return None
    return next((entry for entry in entries if any(_sources(name, entry))), None)


def _sources(name: str, entry: str) -> Iterator[Path]:
    """Every `.py` of the package of that name in `entry`, or the one module."""
    package, module = Path(entry, name), Path(entry, f"{name}.py")
    if (package / "__init__.py").is_file() or not module.is_file():
        seen: set[str] = set()
        for above, folders, names in os.walk(package, followlinks=True):
            real = os.path.realpath(above)
            folders[:] = sorted(
                folder
                for folder in folders
                if real not in seen and folder not in _INSTALLED and not folder.startswith(".")
            )
            seen.add(real)
            yield from (Path(above, one) for one in sorted(names) if one.endswith(".py"))
    else:
        yield module


def _module_name(file: Path, entry: str) -> str:
    parts = file.relative_to(entry).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _begin(key: str, file: Path, entry: str) -> str:
    """Where imports of a kept module begin, relative to the root."""
    depth = len(file.relative_to(entry).parts)
    return "/".join(key.split("/")[:-depth]) or "."


def _read(file: Path, notebook: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise PromotionRefused(
            f"{notebook} is not promoted: its module {file} cannot be read ({error.strerror})"
        ) from error


def _unchanged(rules: ImportRules, imported: Sequence[Imported], gathered: Gathered, notebook: str) -> None:
    for one in imported:
        key = rules.key(one.name, one.file)
        source = None if key is None else gathered.modules.get(key)
        if source is not None and hashlib.sha256(source).hexdigest() != one.sha256:
            raise PromotionRefused(
                f"{notebook} is not promoted: {key} was changed after it was imported; promote it again"
            )


def _imports_in(source: bytes) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    yield from _imports(tree)


def _imports(tree: ast.Module) -> Iterator[str]:
    """The outermost names of the modules that are imported anywhere in it."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ) if not module.startswith("."):
                yield module.partition(".")[0]
