"""The type of a notebook parameter, read from its annotation in the "parameters" cell."""

from __future__ import annotations

import ast
from dataclasses import replace

from workbench.errors import StrategyError
from workbench.headless.parameter_types import ANY, ParameterType

__all__ = ["type_of_annotation"]

_PLAIN = {
    "str": ParameterType("str"),
    "int": ParameterType("int"),
    "float": ParameterType("float"),
    "bool": ParameterType("bool"),
    "date": ParameterType("date"),
    "datetime": ParameterType("datetime"),
    "list": ParameterType("list", ANY),
    "dict": ParameterType("dict", ANY),
    "Any": ANY,
}


def type_of_annotation(node: ast.expr) -> ParameterType:
    """The type that an annotation names; `ValueError` where it is none that JSON can carry."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return type_of_annotation(ast.parse(node.value, mode="eval").body)
        except SyntaxError as error:
            raise ValueError(f"the type {node.value!r} is not Python") from error
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _optional(node, [node.left, node.right])
    if isinstance(node, ast.Subscript):
        arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        found = _type_of_generic(node, ast.unparse(node.value).rpartition(".")[2], arguments)
    else:
        found = _PLAIN.get(ast.unparse(node).rpartition(".")[2])
    if found is None:
        raise ValueError(
            f"the type {ast.unparse(node)} is none a parameter can have "
            "(str, int, float, bool, date, datetime, list[...], dict[str, ...], Literal[...], each also "
            "| None; Annotated[int, between(2, 200)] for a range)"
        )
    return found


def _type_of_generic(node: ast.expr, name: str, arguments: list[ast.expr]) -> ParameterType | None:
    match name.lower(), arguments:
        case "optional", [argument]:
            return replace(type_of_annotation(argument), nullable=True)
        case "union", _:
            return _optional(node, arguments)
        case "literal", _:
            return _choice(node, arguments)
        case "annotated", [argument, *remarks]:
            return _ranged(node, type_of_annotation(argument), remarks)
        case "list", [argument]:
            return ParameterType("list", type_of_annotation(argument))
        case "dict", [ast.Name(id="str"), argument]:
            return ParameterType("dict", type_of_annotation(argument))
    return None


def _optional(node: ast.expr, members: list[ast.expr]) -> ParameterType:
    rest = [member for member in members if ast.unparse(member) != "None"]
    if len(rest) != 1 or len(rest) == len(members):
        raise ValueError(f"the type {ast.unparse(node)} is none a parameter can have: write one type | None")
    return replace(type_of_annotation(rest[0]), nullable=True)


def _ranged(node: ast.expr, kind: ParameterType, remarks: list[ast.expr]) -> ParameterType:
    """`kind` with the range that `Annotated` gives it, by the words of `workbench.backtest.between`."""
    match remarks:
        case [ast.Call(func=function, args=arguments, keywords=named)] if ast.unparse(function).rpartition(
            "."
        )[2] == "between" and all(word.arg for word in named):
            pass
        case _:
            raise ValueError(
                f"the type {ast.unparse(node)} is none a parameter can have: Annotated holds a type and one "
                "between(low, high)"
            )
    if kind.kind not in {"int", "float"} or kind.low is not None:
        raise ValueError(
            f"the type {ast.unparse(node)} is none a parameter can have: between(low, high) is for one int "
            "or float, also within a list: list[Annotated[int, between(2, 200)]]"
        )
    # Here, because it brings pandas, and most cells have no range.
    from workbench.signals.parameter import between

    try:
        limits = between(
            *(ast.literal_eval(argument) for argument in arguments),
            **{str(word.arg): ast.literal_eval(word.value) for word in named},
        )
    except StrategyError as error:
        raise ValueError(str(error).removesuffix(".")) from error
    except (ValueError, TypeError, SyntaxError) as error:
        raise ValueError(f"{ast.unparse(remarks[0])} is no range ({error})") from error
    return replace(kind, low=limits.low, high=limits.high)


def _choice(node: ast.expr, arguments: list[ast.expr]) -> ParameterType:
    try:
        values = [ast.literal_eval(argument) for argument in arguments]
    except ValueError as error:
        raise ValueError(f"the type {ast.unparse(node)} may hold literals only") from error
    choices = tuple(value for value in values if value is not None)
    if not choices or not all(isinstance(choice, str | int | bool) for choice in choices):
        raise ValueError(f"the type {ast.unparse(node)} may hold strings, integers and booleans only")
    return ParameterType("choice", choices=choices, nullable=None in values)
