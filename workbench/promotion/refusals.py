"""Which values of its parameters a notebook's strategies would refuse, read from its code without running it.

What the code does not determine for certain is allowed: a refusal must be right.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.errors import StrategyError
from workbench.headless.code_cells import CodeCell, code_cells, imported_names
from workbench.runs.notebook import Notebook

if TYPE_CHECKING:
    from workbench.signals.strategy import Strategy

__all__ = ["refused_by_strategies"]

_HOME = "workbench.strategies"
# Code that uses these may bind any name to anything.
_BINDS_UNSEEN = {"__import__", "exec", "eval", "get_ipython", "globals", "locals", "setattr", "vars"}
_BINDING_MAGIC = re.compile(r"^\s*%(run|store|pylab|load|edit|macro|reset|xdel)\b", flags=re.MULTILINE)


def refused_by_strategies(notebook: Notebook, values: Mapping[str, Any]) -> list[str]:
    """Which of the parameters' `values` the notebook's strategies would refuse, each refusal as a clause.

    Looked at are the strategies of `workbench.strategies` that the notebook imports by name, where a cell
    passes them parameters outside of any branch, loop or function: `sma_cross.check({"fast": fast})`,
    `sma_cross(bars, fast=fast)`, `backtest(bars, sma_cross, parameters={"fast": fast})`. A name that the
    notebook may have bound to something else is not looked at.

    Parameters
    ----------
    notebook : dict
    values : mapping
        Every parameter of the notebook.
    """
    cells = list(code_cells(notebook))
    if any(_may_bind_anything(cell) for cell in cells):
        return []
    times = _times_bound(cells)
    imported = {name: home for name, home in imported_names(cells).items() if times[name] == 1}
    # A parameter is bound once, in its own cell; papermill's own cell is not there yet.
    known = {name: value for name, value in values.items() if times.get(name) == 1}
    found = []
    for cell in cells:
        if cell.tree is None or "raises-exception" in cell.tags:
            continue
        for call in _certain_calls(cell.tree):
            strategy, given = _handed_over(call, imported, known)
            refusal = "" if strategy is None else _refusal(strategy, given)
            if refusal:
                found.append(f"{cell.named(ast.unparse(call))} would refuse them: {refusal}")
    return list(dict.fromkeys(found))


def _times_bound(cells: Sequence[CodeCell]) -> dict[str, int]:
    """How often each name is bound, in whatever way; words of a magic count as bound twice."""
    times: dict[str, int] = {}
    for cell in cells:
        for name in [] if cell.tree is None else _bindings(cell.tree):
            times[name] = times.get(name, 0) + 1
        for name in re.findall(r"\w+", cell.magic):
            times[name] = times.get(name, 0) + 2
    return times


def _bindings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from (alias.asname or alias.name.partition(".")[0] for alias in aliases)
            case ast.Global(names=names):
                yield from names


def _may_bind_anything(cell: CodeCell) -> bool:
    if _BINDING_MAGIC.search(cell.magic):
        return True
    return cell.tree is not None and any(
        (isinstance(node, ast.Name) and node.id in _BINDS_UNSEEN)
        or (isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names))
        for node in ast.walk(cell.tree)
    )


class _Unknown:
    """Stands for a value that the code does not determine."""


def _certain_calls(tree: ast.Module) -> Iterator[ast.Call]:
    """The calls that a cell makes in any case, if it runs to its end."""
    for statement in tree.body:
        if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign | ast.AugAssign):
            yield from _certain(statement)


def _certain(node: ast.AST) -> Iterator[ast.Call]:
    if isinstance(node, ast.Call):
        yield node
    match node:
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            return
        case ast.IfExp(test=first) | ast.BoolOp(values=[first, *_]) | ast.Compare(left=first, ops=[_, _, *_]):
            yield from _certain(first)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _certain(child)


def _handed_over(
    call: ast.Call, imported: Mapping[str, tuple[str, str]], known: Mapping[str, Any]
) -> tuple[Strategy | None, dict[str, Any]]:
    """The strategy that a call passes parameters to, and the parameters; None if it calls no strategy."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="check"), args=[given], keywords=[]):
            pairs = _pairs(given)
        case ast.Call(func=ast.Name(id="backtest"), args=[_, ast.Name(id=name), *_], keywords=words) if (
            imported.get("backtest") == ("workbench.backtest", "backtest")
        ):
            pairs = next((_pairs(word.value) for word in words if word.arg == "parameters"), None)
        case ast.Call(func=ast.Name(id=name), args=[_], keywords=words):
            pairs = [(word.arg, word.value) for word in words]
        case _:
            return None, {}
    if pairs is None or not all(isinstance(key, str) for key, _ in pairs):
        return None, {}
    strategy = _strategy(*imported.get(name, ("", "")))
    return strategy, {str(key): _value(value, known) for key, value in pairs}


def _pairs(node: ast.expr) -> list[tuple[Any, ast.expr]] | None:
    match node:
        case ast.Dict(keys=keys, values=values):
            return [(getattr(key, "value", None), value) for key, value in zip(keys, values, strict=True)]
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=words):
            return [(word.arg, word.value) for word in words]
    return None


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return known.get(node.id, _Unknown)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return _Unknown


def _strategy(module: str, name: str) -> Strategy | None:
    if module != _HOME and not module.startswith(f"{_HOME}."):
        return None
    from workbench.signals.strategy import Strategy

    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
    return found if isinstance(found, Strategy) else None


def _refusal(strategy: Strategy, given: Mapping[str, Any]) -> str:
    told = {name: value for name, value in given.items() if value is not _Unknown}
    try:
        if len(told) == len(given):
            strategy.check(told)
        else:
            # `where` needs every value; each by itself can still be out of its range.
            for name, value in told.items():
                if name in strategy.parameters:
                    strategy.parameters[name].check(value, strategy.name)
    except StrategyError as error:
        return str(error).removesuffix(".")
    return ""
