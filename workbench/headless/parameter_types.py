"""The types of notebook parameters: declared, checked, read from text, and as JSON Schema.

A type is one of a few kinds that JSON can carry, so that a value means the same in a notebook, on the
command line, in Prefect's form and in the run's record. Nothing is converted silently.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import numbers
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeGuard

__all__ = ["ANY", "ParameterType", "shown", "type_of_value"]

Kind = Literal["str", "int", "float", "bool", "date", "datetime", "list", "dict", "choice", "any"]

# What a 64-bit column, Prefect and every JSON reader hold exactly.
_LARGEST_INT = 2**63 - 1
_INT_TEXT = re.compile(r"[+-]?[0-9]+(_[0-9]+)*")
_BOOL_TEXT = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_NULL_TEXT = {"none", "null"}
_SCHEMA = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_EXAMPLES = {
    "str": '"AAPL"',
    "int": "20",
    "float": "0.5",
    "bool": "true",
    "date": '"2010-01-31"',
    "datetime": '"2010-01-31T22:30:00+00:00"',
    "any": "1",
}


@dataclass(frozen=True, slots=True)
class ParameterType:
    """The type of a notebook parameter.

    Attributes
    ----------
    kind : str
        `str`, `int` (64 bits), `float` (finite; an int is taken too), `bool`, `date` (an ISO 8601 string,
        `2010-01-31`), `datetime` (an ISO 8601 string with an offset, kept in UTC,
        `2010-01-31T22:30:00+00:00`; in a run's kernel a timezone-aware datetime), `list`, `dict` (with
        strings as keys), `choice` (one of a few literals) or `any` (whatever JSON can say).
    item : ParameterType or None
        What a list or the values of a dict hold.
    choices : tuple
        The literals of a `choice`.
    nullable : bool
        Whether None is a value too.
    low, high : int or float, optional
        Minimum and maximum of an `int` or a `float`, both allowed.
    """

    kind: Kind
    item: ParameterType | None = None
    choices: tuple[Any, ...] = ()
    nullable: bool = False
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        match self.kind:
            case "list":
                name = f"list[{self.item}]"
            case "dict":
                name = f"dict[str, {self.item}]"
            case "choice":
                name = f"Literal[{', '.join(map(repr, self.choices))}]"
            case _:
                name = f"{self.kind} from {self.limits}" if self.limits else self.kind
        return f"{name} | None" if self.nullable else name

    @property
    def example(self) -> str:
        """A value of this type, as JSON."""
        match self.kind:
            case "list":
                return f"[{_item(self).example}]"
            case "dict":
                return f'{{"key": {_item(self).example}}}'
            case "choice":
                return json.dumps(self.choices[0])
            case _:
                if self.low is None:
                    return _EXAMPLES[self.kind]
                return json.dumps(math.ceil(self.low) if self.kind == "int" else self.low)

    @property
    def limits(self) -> str:
        """The range in words, as in "2 to 200"; empty where there is none."""
        if self.low is not None:
            return f"{self.low} to {self.high}"
        return f"each {self.item.limits}" if self.item is not None and self.item.limits else ""

    @property
    def holds_text(self) -> bool:
        """Whether a value of this type can be, or hold, free text."""
        return self.kind in {"str", "any"} or (self.item is not None and self.item.holds_text)

    def check(self, value: object) -> Any:
        """`value` as plain JSON, or a `ValueError` that says what was wanted and what came."""
        try:
            return self._check(value)
        except RecursionError as error:
            raise ValueError("is nested too deeply") from error

    def _check(self, value: object) -> Any:
        if value is None:
            if self.nullable or self.kind == "any":
                return None
            raise ValueError(f"must be {self}, got None")
        match self.kind:
            case "str" | "date" | "datetime" if isinstance(value, str):
                return {"str": _text, "date": _date, "datetime": _moment}[self.kind](value)
            case "datetime" if isinstance(value, dt.datetime):
                return _moment(value.isoformat())
            case "int" if _is_whole(value):
                return self._within_range(_int(value))
            case "float" if isinstance(value, float) or _is_whole(value):
                return self._within_range(_float(value))
            case "bool" if isinstance(value, bool):
                return value
            case "list" if isinstance(value, list):
                return [_within(f"item {n}", _item(self), item) for n, item in enumerate(value, 1)]
            case "dict" if isinstance(value, dict):
                return {_key(key): _within(f"key {key!r}", _item(self), item) for key, item in value.items()}
            case "choice":
                return self._choose(lambda choice: type(choice) is type(value) and choice == value, value)
            case "any":
                return replace(type_of_value(value), nullable=False)._check(value)
        told = self.kind in {"list", "dict", "date", "datetime"}
        example = f" (for example {self.example})" if told else ""
        raise ValueError(f"must be {self}, got {type(value).__name__} {shown(value)}{example}")

    def _within_range(self, value: float) -> float:
        if self.low is None or self.high is None or self.low <= value <= self.high:
            return value
        raise ValueError(f"must be {self}, got {shown(value)}")

    def parse(self, text: str) -> Any:
        """The value that `text` (from a command line) stands for; `ValueError` where it stands for none."""
        if self.nullable and text.strip().lower() in _NULL_TEXT:
            return None
        match self.kind:
            case "str" | "date" | "datetime":
                return self.check(text)
            case "int" if _INT_TEXT.fullmatch(text.strip()) and len(text) < 40:
                return self.check(int(text))
            case "float" if _is_number(text):
                return self.check(float(text))
            case "bool" if text.strip().lower() in _BOOL_TEXT:
                return _BOOL_TEXT[text.strip().lower()]
            case "list" if not text.lstrip().startswith("["):
                words = [word.strip() for word in text.split(",")] if text.strip() else []
                return [_item(self).parse(word) for word in words]
            case "list" | "dict" | "any":
                return self.check(self._load(text))
            case "choice":
                return self._choose(lambda choice: text in (str(choice), json.dumps(choice)), text)
        raise ValueError(f"must be {self}, got {shown(text)}")

    def _choose(self, fits: Callable[[Any], bool], value: object) -> Any:
        for choice in self.choices:
            if fits(choice):
                return choice
        raise ValueError(f"must be one of {', '.join(map(repr, self.choices))}, got {shown(value)}")

    def _load(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            if self.kind == "any":
                return text
            raise ValueError(f"must be {self} as JSON (for example {self.example})") from error

    def json_schema(self) -> dict[str, Any]:
        """The type as JSON Schema (draft 2020-12)."""
        schema: dict[str, Any]
        match self.kind:
            case "any":
                return {}
            case "date":
                schema = {"type": "string", "format": "date"}
            case "datetime":
                schema = {"type": "string", "format": "date-time"}
            case "list":
                schema = {"type": "array", "items": _item(self).json_schema()}
            case "dict":
                schema = {"type": "object", "additionalProperties": _item(self).json_schema()}
            case "choice":
                schema = {"enum": list(self.choices)}
                if all(isinstance(choice, str) for choice in self.choices):
                    schema["type"] = "string"
            case _:
                schema = {"type": _SCHEMA[self.kind]}
                if self.low is not None:
                    schema |= {"minimum": self.low, "maximum": self.high}
        return {"anyOf": [schema, {"type": "null"}]} if self.nullable else schema


ANY = ParameterType("any")
"""The type of whatever JSON can hold."""


def type_of_value(value: object) -> ParameterType:
    """The type that a default shows by itself; `ValueError` where JSON cannot carry it."""
    match value:
        case None:
            return ANY
        case bool():
            return ParameterType("bool")
        case str():
            return ParameterType("str")
        case numbers.Integral():
            return ParameterType("int")
        case float():
            return ParameterType("float")
        case list():
            return ParameterType("list", _common(value))
        case dict():
            return ParameterType("dict", _common(list(value.values())))
        case tuple():
            raise ValueError("a tuple is not a value a parameter can have; write a list: [...]")
    raise ValueError(f"a {type(value).__name__} is not a value a parameter can have")


def shown(value: object) -> str:
    """`value` as Python would write it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _common(values: list[Any]) -> ParameterType:
    """The one type of all `values`; ints among floats are floats, anything else mixed is `any`."""
    types = {type_of_value(value) for value in values}
    if len(types) == 1:
        return types.pop()
    return ParameterType("float") if {item.kind for item in types} == {"int", "float"} else ANY


def _item(kind: ParameterType) -> ParameterType:
    return kind.item or ANY


def _within(where: str, kind: ParameterType, value: object) -> Any:
    try:
        return kind._check(value)
    except ValueError as error:
        raise ValueError(f"{where} {error}") from error


def _key(key: object) -> str:
    if isinstance(key, str):
        return _text(key)
    raise ValueError(f"must have strings as keys, got {shown(key)}")


def _text(value: str) -> str:
    # The output notebook is UTF-8 and the run's record is JSONB: neither can hold these.
    if "\0" in value:
        raise ValueError("holds a NUL character, which no run record can")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a surrogate pair, which is not text") from error
    return str.__str__(value)


def _is_whole(value: object) -> TypeGuard[numbers.Integral]:
    return not isinstance(value, bool) and isinstance(value, numbers.Integral)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _int(value: numbers.Integral) -> int:
    whole = int(value)
    if abs(whole) > _LARGEST_INT:
        raise ValueError("is an integer beyond 64 bits")
    return whole


def _float(value: float | numbers.Integral) -> float:
    if isinstance(value, numbers.Integral):
        value = _int(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"must be a finite number, got {number}")
    if number != value:
        raise ValueError(f"is an integer that no float holds exactly: {value}")
    return number


def _date(value: str) -> str:
    # fromisoformat() also takes 20100131 and 2010-W05-1; one spelling keeps records comparable.
    try:
        if dt.date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise ValueError(f'must be a date as "2010-01-31", got {shown(value)}')


def _moment(value: str) -> str:
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f'must be a moment as "2010-01-31T22:30:00+00:00", got {shown(value)}') from error
    if moment.tzinfo is None:
        raise ValueError(
            f"must have a time zone, got {shown(value)}: put its offset from UTC behind it, as in "
            f'"{moment.isoformat()}+00:00", or localise it: .replace(tzinfo=ZoneInfo("America/New_York"))'
        )
    # One spelling of each moment keeps records comparable.
    return moment.astimezone(dt.UTC).isoformat()
