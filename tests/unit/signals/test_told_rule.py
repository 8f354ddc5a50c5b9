"""What a strategy's `where` asks for, told from its source; nothing is told that is not what runs."""

from __future__ import annotations

import functools
import linecache
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from IPython.core.compilerop import CachingCompiler

from workbench.signals.told_rule import told_rule
from workbench.strategies import LIBRARY

Where = Callable[..., bool]
LIMIT = 5


def documented(fast: int, slow: int) -> bool:
    """A fast average is faster."""
    return fast < slow


def in_steps(fast: int, slow: int) -> bool:
    if fast < 5:
        return False
    return fast < slow


def too_long(n: int) -> bool:
    return (n > 1_000_000 and n != 2_000_000 and n != 3_000_000 and n != 4_000_000 and n != 5_000_000) or (
        n < -1_000_000 and n != -2_000_000
    )


class Callee:
    def __call__(self, fast: int) -> bool:
        return fast > 5


def closed_over(least: int) -> Where:
    return lambda fast: fast > least


# fmt: off
one, other = (lambda n: n > 5), (lambda n: n > 6)
over_lines = functools.partial(dict, where=lambda fast, slow: (
    fast < slow
    and slow - fast > LIMIT
)).keywords["where"]
# fmt: on


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (lambda fast, slow, **_: fast < slow, "fast < slow"),
        (lambda **chosen: chosen["exit"] <= chosen["entry"], "exit <= entry"),
        (lambda n, **chosen: {"a": 1}["a"] < n < chosen["m"], "{'a': 1}['a'] < n < m"),
        (one, "n > 5"),
        (other, "n > 6"),
        (over_lines, "fast < slow and slow - fast > LIMIT"),
        (documented, "fast < slow"),
    ],
)
def test_what_where_returns_is_told(where: Where, told: str) -> None:
    assert told_rule(where) == told


@pytest.mark.parametrize(
    "where",
    [
        in_steps,
        closed_over(5),
        Callee(),
        functools.partial(documented, slow=5),
        cast(Where, callable),
        cast(Where, eval("lambda n: n > 5")),
        too_long,
    ],
    ids=["steps", "closure", "object", "partial", "builtin", "no source", "long"],
)
def test_what_cannot_be_told_in_an_expression_is_left_out(where: Where) -> None:
    assert told_rule(where) == ""


def test_every_rule_of_the_library_is_told() -> None:
    told = {name: told_rule(one.where) for name, one in LIBRARY.items() if one.where is not None}
    assert told["sma_cross"] == "fast < slow"
    assert all(told.values())


def test_a_file_that_was_changed_since_does_not_tell_another_rule(tmp_path: Path) -> None:
    module = tmp_path / "mine.py"
    names: dict[str, Any] = {}
    module.write_text("where = lambda n: n > 5\n")
    exec(compile(module.read_text(), str(module), "exec"), names)
    assert told_rule(names["where"]) == "n > 5"
    module.write_text("where = lambda n: n > 50\n")
    os.utime(module, (1, 1))
    assert told_rule(names["where"]) == ""
    module.write_text("where = (\n")
    linecache.clearcache()
    assert told_rule(names["where"]) == ""
    module.unlink()
    linecache.clearcache()
    assert told_rule(names["where"]) == ""


def test_a_rule_in_a_notebooks_cell_is_told() -> None:
    compiler, names = CachingCompiler(), dict[str, Any]()
    cell = "import math\n\nwhere = lambda fast, slow: fast < slow\n"
    # As a kernel runs a cell: under a name of no file, by which its text is to be had.
    exec(compile(cell, compiler.cache(cell, 1), "exec"), names)
    assert told_rule(names["where"]) == "fast < slow"
