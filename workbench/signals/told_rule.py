"""What a strategy's `where` asks for, read from its source, so that a refusal can tell it."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType

__all__ = ["told_rule"]

# A longer expression explains nothing in the midst of a sentence.
_LONGEST = 120
_Function = ast.Lambda | ast.FunctionDef


def told_rule(where: Callable[..., bool]) -> str:
    """The expression that `where` returns, as in "fast < slow"; empty where its source does not tell.

    Its source is a lambda, or a function of nothing but a return. A keyword that is read from `**chosen` goes
    by its name: "exit < entry". The expression is told only where it compiles to what `where` runs: the file
    may have been changed since it was imported.
    """
    if not isinstance(where, FunctionType):
        return ""
    try:
        # Not by `inspect.getsource`: of a lambda it gives the lines around it, mostly no whole statement.
        code = where.__code__
        linecache.checkcache(code.co_filename)
        source = "".join(linecache.getlines(code.co_filename, where.__globals__))
        for node in _functions(ast.parse(source), code.co_firstlineno):
            if _same(_compiled(node, code.co_filename), code):
                return _told(node)
    except Exception:  # noqa: BLE001 - whatever it is, the refusal itself must be told
        return ""
    return ""


def _functions(tree: ast.Module, line: int) -> Iterator[_Function]:
    """The functions that begin on that line."""
    for node in ast.walk(tree):
        if isinstance(node, _Function) and node.lineno == line:
            yield node


def _compiled(node: _Function, filename: str) -> CodeType:
    body: ast.stmt = ast.Expr(node) if isinstance(node, ast.Lambda) else node
    module = compile(ast.Module([ast.copy_location(body, node)], []), filename, "exec", dont_inherit=True)
    return next(constant for constant in module.co_consts if isinstance(constant, CodeType))


def _same(one: CodeType, other: CodeType) -> bool:
    return (one.co_code, one.co_consts, one.co_names, one.co_varnames) == (
        other.co_code,
        other.co_consts,
        other.co_names,
        other.co_varnames,
    )


def _told(node: _Function) -> str:
    if isinstance(node, ast.Lambda):
        returned: ast.expr | None = node.body
    else:
        *before, last = node.body
        only = all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in before)
        returned = last.value if only and isinstance(last, ast.Return) else None
    if returned is None:
        return ""
    keywords = node.args.kwarg.arg if node.args.kwarg else None
    told = ast.unparse(_ByName(keywords).visit(returned))
    return told if len(told) <= _LONGEST else ""


class _ByName(ast.NodeTransformer):
    """`chosen["exit"]` becomes `exit`, where `chosen` takes the keywords."""

    def __init__(self, keywords: str | None) -> None:
        self.keywords = keywords

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        match node:
            case ast.Subscript(ast.Name(of), ast.Constant(str(key))) if of == self.keywords:
                return ast.Name(key, node.ctx)
        self.generic_visit(node)
        return node
