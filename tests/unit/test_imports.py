"""Modules import downwards only: no two lead to each other, late imports and those for types included."""

from __future__ import annotations

import ast
from pathlib import Path

from workbench.paths import PACKAGE

# One import for a notebook: names of sweeps are offered where backtests are, and loaded when asked for.
FACES = {
    ("workbench.backtest", f"workbench.sweep.{module}") for module in ("bayesian", "result", "space", "sweep")
}


def modules() -> dict[str, Path]:
    found = {}
    for package in ("workbench", "flows"):
        for path in (PACKAGE.parent / package).rglob("*.py"):
            name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The modules that are imported anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & known.keys() or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {other for other in found & known.keys() if other != name and (name, other) not in FACES}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that all lead to each other (Tarjan, SIAM J. Comput. 1(2), 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: list[str] = []
    found = []

    def visit(one: str) -> None:
        order[one] = low[one] = len(order)
        open_.append(one)
        for other in edges[one]:
            if other not in order:
                visit(other)
                low[one] = min(low[one], low[other])
            elif other in open_:
                low[one] = min(low[one], order[other])
        if low[one] == order[one]:
            group = open_[open_.index(one) :]
            del open_[open_.index(one) :]
            if len(group) > 1:
                found.append(sorted(group))

    for one in edges:
        if one not in order:
            visit(one)
    return found


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]


def test_there_is_no_circle_of_modules() -> None:
    known = modules()
    assert len(known) > 250
    assert circles({name: imports(name, path, known) for name, path in known.items()}) == []


def test_no_room_of_the_house_has_more_than_an_eighth_of_its_lines() -> None:
    lines: dict[str, int] = {}
    for name, path in modules().items():
        room = name.split(".")[1] if name.startswith("workbench.") else name.split(".")[0]
        lines[room] = lines.get(room, 0) + len(path.read_text(encoding="utf-8").splitlines())
    largest = max(lines, key=lambda room: lines[room])
    assert lines[largest] < 0.125 * sum(lines.values()), (largest, lines[largest], sum(lines.values()))
