"""What is public: which objects have a page, found by `__all__` and the declared types."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, is_typeddict

from workbench.earlier_names import EarlierNames
from workbench.settings import Settings
from workbench.signals.strategy import Strategy
from workbench.workbench import Workbench

__all__ = ["Group", "Public", "groups", "members", "returned", "value_doc"]

# Title, folder of its pages, and the modules whose `__all__` it lists. What two modules offer has one page,
# in the group that comes first.
_GROUPS = (
    ("Backtests and sweeps", "backtest", ("workbench.backtest", "workbench.sweep")),
    ("Strategies", "strategies", ("workbench.strategies",)),
    ("Projects", "project", ("workbench.project.files",)),
    ("Bars", "marketdata", ("workbench", "workbench.marketdata")),
    ("Figures", "metrics", ("workbench.metrics",)),
    ("Overfitting", "overfitting", ("workbench.overfitting",)),
    ("Validation", "validation", ("workbench.validation",)),
    ("Bias", "bias", ("workbench.bias",)),
    ("Reports", "report", ("workbench.report",)),
    ("Sources", "sources", ("workbench.sources",)),
)
# They have pages of their own, outside of these groups.
_ELSEWHERE = {"workbench.Settings", "workbench.Workbench", "workbench.WorkbenchError"}


@dataclass(frozen=True)
class Public:
    """An object with a page: where it is imported from, and how the page calls it."""

    module: str
    name: str
    object: Any
    title: str
    facet: bool = False

    @property
    def path(self) -> str:
        """The name that it is known by in the whole site."""
        return f"{self.module}.{self.name}"

    @property
    def kind(self) -> str:
        """Class, function, strategy or value."""
        if inspect.isclass(self.object):
            return "class"
        if isinstance(self.object, Strategy):
            return "strategy"
        return "function" if callable(self.object) else "value"

    @property
    def sentence(self) -> str:
        """The first paragraph of the docstring, in one line."""
        doc = value_doc(self) if self.kind == "value" else inspect.getdoc(self.object)
        return " ".join((doc or "").partition("\n\n")[0].split())


@dataclass(frozen=True)
class Group:
    """Pages that stand together."""

    title: str
    folder: str
    pages: tuple[Public, ...]


def groups() -> list[Group]:
    """Every group of pages, in the order of the navigation."""
    facets = [Public("workbench", "Workbench", Workbench, "Workbench"), *_facets()]
    found = [Group("The workbench: wb", "wb", tuple(facets))]
    listed = {id(Settings), *(id(page.object) for page in facets)}
    for title, folder, modules in _GROUPS:
        pages = []
        for module in modules:
            for name in importlib.import_module(module).__all__:
                one = _public(module, name)
                if id(one.object) not in listed and one.path not in _ELSEWHERE:
                    listed.add(id(one.object))
                    pages.append(one)
        found.append(Group(title, folder, tuple(sorted(pages, key=lambda page: _order(page.name)))))
    more = [_public(kind.__module__, kind.__name__) for kind in returned(found) if id(kind) not in listed]
    return [*found, Group("What calls return", "returned", tuple(more))]


def returned(listed: list[Group]) -> list[type]:
    """Classes of ours that what has a page returns, and that a user then holds."""
    found: dict[type, None] = {}
    for page in (page for group in listed for page in group.pages):
        called = [page.object]
        if page.kind == "class":
            called = [inspect.getattr_static(page.object, name) for name in members(page.object)]
        for one in called:
            # A TypedDict is a dict to who holds it.
            kinds = [kind for kind in _classes_of(one) if kind.__doc__ and not is_typeddict(kind)]
            found.update(dict.fromkeys(kinds))
    return sorted(found, key=lambda kind: kind.__name__)


def members(owner: type) -> list[str]:
    """The documented public attributes and methods of a class, its own first, then those of our bases."""
    found: dict[str, None] = {}
    for kind in owner.__mro__:
        if not kind.__module__.startswith("workbench.") or kind is EarlierNames:
            continue
        for name, value in vars(kind).items():
            doc = getattr(value, "__doc__", None) if _described(value) else None
            if doc and not name.startswith("_"):
                found.setdefault(name)
    return list(found)


def value_doc(one: Public) -> str | None:
    """The string below the assignment of a value, in the module that makes it."""
    module = _home(one.module, one.name)
    body = _tree(module).body
    for statement, below in itertools.pairwise(body):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        named = any(isinstance(target, ast.Name) and target.id == one.name for target in targets)
        if named and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            return inspect.cleandoc(str(below.value.value))
    return None


def _order(name: str) -> tuple[int, str]:
    """Functions first, then classes, then values."""
    return (2 if name.isupper() else 1 if name[0].isupper() else 0, name.lower())


def _public(module: str, name: str) -> Public:
    found = getattr(importlib.import_module(module), name)
    title = f"{name}()" if callable(found) and not inspect.isclass(found) else name
    return Public(module, name, found, title)


def _facets() -> Iterator[Public]:
    """The attributes of `wb` that are objects of ours."""
    for name in members(Workbench):
        value = inspect.getattr_static(Workbench, name)
        if isinstance(value, functools.cached_property):
            for kind in _classes_of(value.func):
                yield Public(kind.__module__, kind.__name__, kind, f"wb.{name}", facet=True)


def _classes_of(value: Any) -> list[type]:
    """The classes of ours that a function's declared result names."""
    value = getattr(value, "func", None) or getattr(value, "fget", None) or value
    value = getattr(value, "__func__", value)
    annotation = getattr(value, "__annotations__", {}).get("return")
    if not isinstance(annotation, str):
        return []
    known = {**_typing_imports(value.__module__), **vars(sys.modules[value.__module__])}
    named = [known.get(name) for name in re.findall(r"[A-Za-z_]\w*", annotation)]
    return [
        one
        for one in named
        if inspect.isclass(one)
        and one.__module__.startswith("workbench.")
        and not one.__name__.startswith("_")
    ]


@functools.cache
def _typing_imports(module: str) -> dict[str, Any]:
    """What a module imports for types alone."""
    found: dict[str, Any] = {}
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and (line.module or "").startswith("workbench"):
                    home = importlib.import_module(line.module or "")
                    found |= {alias.asname or alias.name: getattr(home, alias.name) for alias in line.names}
    return found


def _home(module: str, name: str) -> str:
    """The module that a name is imported from, or its own."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return _home(node.module or module, name)
    return module


@functools.cache
def _tree(module: str) -> ast.Module:
    path = importlib.import_module(module).__file__
    return ast.parse(Path(path or "").read_text(encoding="utf-8"))


def _described(value: Any) -> bool:
    """Methods and properties; the docstring of a plain value is that of its type."""
    return inspect.isroutine(value) or isinstance(
        value, property | functools.cached_property | classmethod | staticmethod
    )
