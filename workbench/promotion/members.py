"""Grids: a deployment with several members, each of which runs in every slot with values of its own."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import ParametersRefused, PromotionRefused
from workbench.headless.parameters import NotebookParameters

__all__ = ["check_each", "members_of", "parse_each"]

_MOST = 1_000
_LONGEST = 200


def check_each(
    declared: NotebookParameters, each: Mapping[str, Sequence[Any]] | None
) -> dict[str, list[Any]] | None:
    """The values of each parameter of a grid, as the notebook's cell takes them; None without any.

    A single value stands for a list of one where the parameter is a list: "AAPL" for ["AAPL"].

    Raises
    ------
    ParametersRefused
        Unknown parameters, or values of a wrong type.
    PromotionRefused
        A parameter without values, a value twice, or more than 1,000 members.
    """
    if not each:
        return None
    checked: dict[str, list[Any]] = {}
    for name, values in each.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise PromotionRefused(
                f"each={{{name!r}: {values!r}}}: give a list of the values, one for each member, such as "
                '{"symbols": ["AAPL", "MSFT"]}'
            )
        checked[name] = [_checked(declared, name, value) for value in values]
    if (count := math.prod(map(len, checked.values()))) > _MOST:
        raise PromotionRefused(f"a grid of {count:,} members is too large; it may have {_MOST:,}")
    names = [member for member, _ in members_of(checked)]
    if doubled := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise PromotionRefused(f"each: the member {doubled[0]!r} comes twice; give each value once")
    if wrong := [name for name in names if not name or len(name) > _LONGEST]:
        raise PromotionRefused(
            f"each: {wrong[0][:40]!r} cannot name a member; use values of 1 to {_LONGEST} characters in all"
        )
    return checked


def parse_each(declared: NotebookParameters, texts: Sequence[str]) -> dict[str, list[Any]]:
    """The grid that the texts of a command line ask for: `symbols=AAPL,MSFT` is a member for each.

    Raises
    ------
    ParametersRefused
        A text that is not name=value, an unknown parameter, or a value of a wrong type.
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, given = text.partition("=")
        if not equals:
            declared.parse([text])  # which refuses it
        for value in given.split(","):
            parsed = declared.parse([f"{name}={value.strip()}"])
            found.setdefault(name.strip(), []).extend(parsed.values())
    return found


def members_of(each: Mapping[str, Sequence[Any]] | None) -> list[tuple[str, dict[str, Any]]]:
    """Each member's name and the values that it runs with; one without a name where there is no grid.

    Examples
    --------
    >>> members_of({"symbols": [["AAPL"], ["MSFT"]]})
    [('AAPL', {'symbols': ['AAPL']}), ('MSFT', {'symbols': ['MSFT']})]
    """
    if not each:
        return [("", {})]
    found = []
    for values in itertools.product(*each.values()):
        chosen = dict(zip(each, values, strict=True))
        shown = {name: _shown(value) for name, value in chosen.items()}
        only = len(shown) == 1
        found.append((", ".join(text if only else f"{name}={text}" for name, text in shown.items()), chosen))
    return found


def _checked(declared: NotebookParameters, name: str, value: Any) -> Any:
    try:
        return declared.validate({name: value})[name]
    except ParametersRefused as error:
        try:
            return declared.validate({name: [value]})[name]
        except ParametersRefused:
            raise error from None


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, str) else json.dumps(value)
