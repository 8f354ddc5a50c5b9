"""The parameters of a notebook: read from the cell tagged `parameters` without running it, and enforced.

Papermill puts names and some values into the notebook as they come, so nothing reaches it that has not
passed `NotebookParameters.validate`: only names that the cell declares, only values that JSON can say.
"""

from __future__ import annotations

import ast
import io
import itertools
import re
import tokenize
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.errors import NotebookError, ParametersRefused
from workbench.headless.annotations import type_of_annotation
from workbench.headless.parameter_types import ParameterType, shown, type_of_value
from workbench.runs.notebook import Notebook, cells_tagged, read_notebook
from workbench.spelling import did_you_mean, near_names

__all__ = ["NotebookParameters", "Parameter"]

_SECRET_WORDS = {
    *("auth", "authorization", "bearer", "credential", "credentials", "dsn", "jwt", "login", "passcode"),
    *("passphrase", "passwd", "password", "pat", "pwd", "secret", "token"),
}
_SECRET_PAIRS = {"accesskey", "apikey", "authstring", "privatekey", "secretkey"}
# In the cell beside the assignments: nothing that could bind a name that we would not see.
_HARMLESS = (ast.Import, ast.ImportFrom, ast.Expr, ast.Pass)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Fields: `name`, `type`, `default` (plain JSON), `description` ("" if there is none), `required`
    (declared without a default).
    """

    name: str
    type: ParameterType
    default: Any = None
    description: str = ""
    required: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.type}" + ("" if self.required else f" = {shown(self.default)}")


@dataclass(frozen=True, slots=True)
class NotebookParameters:
    """The parameters that a notebook declares, in its order.

    Attributes
    ----------
    notebook : str
        The notebook's file name, for messages.
    items : tuple of Parameter
    """

    notebook: str
    items: tuple[Parameter, ...]

    @classmethod
    def from_notebook(cls, path: Path) -> NotebookParameters:
        """Read the cell tagged `parameters` of the notebook at `path`; without one it has no parameters.

        Raises
        ------
        NotebookError
            No notebook; the output of a run; several such cells; a line in it that is no
            `name = literal`; a name that looks like a secret's.
        """
        path = Path(path)
        return cls.from_source(read_notebook(path), path.name)

    @classmethod
    def from_source(cls, notebook: Notebook, name: str) -> NotebookParameters:
        """The same, of a notebook already read; `name` is what messages call it."""
        if cells_tagged(notebook, "injected-parameters"):
            # Papermill would leave the old values standing, after the new defaults.
            raise NotebookError(f"{name} is the output of a run; run the notebook that it came from.")
        return cls.from_document(notebook, name)

    @classmethod
    def from_document(cls, notebook: Notebook, name: str) -> NotebookParameters:
        """The same, also of the output of a run."""
        tagged = cells_tagged(notebook, "parameters")
        if len(tagged) > 1:
            numbers = ", ".join(str(number) for number, _ in tagged)
            raise NotebookError(f'{name} has {len(tagged)} cells tagged "parameters" ({numbers}); keep one.')
        if not tagged:
            return cls(name, ())
        number, cell = tagged[0]
        try:
            return cls(name, _read_cell(cell["source"]))
        except _Unreadable as error:
            raise NotebookError(f"{name}, cell {number} (its parameters), {error}.") from error

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the notebook's order."""
        return tuple(item.name for item in self.items)

    def validate(self, values: Mapping[str, object]) -> dict[str, Any]:
        """The given `values` as plain JSON, nothing added.

        Raises
        ------
        ParametersRefused
            Unknown names and wrong types: all of them at once, with the list of what there is.
        """
        accepted: dict[str, Any] = {}
        problems: dict[str, str] = {}
        for name, value in values.items():
            item = self._find(name)
            if item is None:
                problems[str(name)] = self._unknown(name)
                continue
            try:
                accepted[item.name] = item.type.check(value)
            except ValueError as error:
                problems[item.name] = f"{item.name} {error}"
        self._refuse(problems)
        return accepted

    def complete(self, values: Mapping[str, object]) -> dict[str, Any]:
        """Every parameter's value: the given ones, validated, and the defaults of the others.

        Raises
        ------
        ParametersRefused
            As `validate`; and a parameter without a default that is not given.
        """
        accepted = self.validate(values)
        missing = [item for item in self.items if item.required and item.name not in accepted]
        self._refuse({item.name: f"{item.name} has no default and must be given" for item in missing})
        return {item.name: accepted.get(item.name, item.default) for item in self.items}

    def with_slot(self, values: Mapping[str, Any], slot: datetime) -> dict[str, Any]:
        """The values, with the slot's moment for a parameter `slot` that may be None and has no value.

        It is a `datetime | None`, a `str | None`, or one without an annotation that is None by default.
        """
        item = self._find("slot")
        takes = item is not None and (item.type.kind == "any" or item.type.nullable)
        if item is None or not takes or item.type.kind not in {"datetime", "str", "any"}:
            return dict(values)
        if values.get("slot", item.default) is not None:
            return dict(values)
        return {**values, "slot": slot.astimezone(UTC).isoformat()}

    def parse(self, texts: Iterable[str]) -> dict[str, Any]:
        """The values that `name=value` texts of a command line stand for, by each parameter's type.

        A list is JSON (`["AAPL"]`) or words between commas (`AAPL,MSFT`); a dict is JSON; a bool is
        true or false; where None is a value, it is `none` or `null`.

        Raises
        ------
        ParametersRefused
            As `validate`; and a text without `=`, or a name given twice.
        """
        values: dict[str, Any] = {}
        problems: dict[str, str] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            name = name.strip()
            item = self._find(name)
            if not equals:
                problems[text] = f"{shown(text)} is not name=value"
            elif item is None:
                problems[name] = self._unknown(name)
            elif name in values:
                problems[name] = f"{name} is given twice"
            else:
                try:
                    values[name] = item.type.parse(value)
                except ValueError as error:
                    problems[name] = f"{name} {error}"
        self._refuse(problems)
        return self.validate(values)

    def json_schema(self) -> dict[str, Any]:
        """The parameters as JSON Schema, in the shape of Prefect's `parameter_openapi_schema`."""
        properties: dict[str, Any] = {}
        for position, item in enumerate(self.items):
            properties[item.name] = {"title": item.name, "position": position, **item.type.json_schema()}
            if not item.required:
                properties[item.name]["default"] = item.default
            # Prefect's forms show no range by themselves; the description says it before it is broken.
            limits = f"({item.type.limits})" if item.type.limits else ""
            if item.description or limits:
                properties[item.name]["description"] = f"{item.description} {limits}".strip()
        return {
            "title": "Parameters",
            "type": "object",
            "properties": properties,
            "required": [item.name for item in self.items if item.required],
            "additionalProperties": False,
        }

    def _find(self, name: object) -> Parameter | None:
        return next((item for item in self.items if item.name == name), None)

    def _unknown(self, name: object) -> str:
        # The value is never shown: a mistyped name may carry a secret.
        return f"there is no parameter {shown(name)}{did_you_mean(near_names(name, self.names))}"

    def _refuse(self, problems: Mapping[str, str]) -> None:
        if problems:
            has = f"It has: {'; '.join(map(str, self.items))}." if self.items else "It has no parameters."
            raise ParametersRefused(
                f"{self.notebook} cannot run with these parameters: {'; '.join(problems.values())}. {has}",
                names=tuple(problems),
                known=self.names,
            )


class _Unreadable(ValueError):
    """What is wrong with a parameters cell, and on which of its lines."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


def _read_cell(source: str) -> tuple[Parameter, ...]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an odd escape in a string: Python's to tell, when it runs
            statements = ast.parse(source).body
    except SyntaxError as error:
        raise _Unreadable(error.lineno or 1, f"this is not Python ({error.msg})") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise _Unreadable(1, f"this is not Python ({error})") from error
    comments = _comments(source)
    items: dict[str, Parameter] = {}
    for statement in statements:
        if isinstance(statement, _HARMLESS):
            continue
        item = _read_statement(statement, comments)
        if item.name in items:
            raise _Unreadable(statement.lineno, f"{item.name} is assigned a second time")
        items[item.name] = item
    return tuple(items.values())


def _read_statement(statement: ast.stmt, comments: _Comments) -> Parameter:
    line = statement.lineno
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            annotation = None
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
            pass
        case _:
            raise _Unreadable(line, "a parameters cell holds only lines like `fast: int = 20  # what it is`")
    required = value is None  # only an annotated name can stand without one
    try:
        default = None if value is None else _literal(value)
        kind = type_of_value(default) if annotation is None else type_of_annotation(annotation)
        if _looks_secret(name) and kind.holds_text:
            raise ValueError(
                "this looks like a secret, and parameters stand in clear in every output and record; "
                "read it from the environment in the notebook, or rename it if it is none"
            )
        default = default if required else kind.check(default)
    except ValueError as error:
        raise _Unreadable(line, f"{name}: {error}") from error
    return Parameter(name, kind, default, comments.of(statement), required)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"the default {shown(ast.unparse(node))} is an expression, not a literal") from error


def _looks_secret(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
    pairs = {"".join(pair) for pair in itertools.pairwise(words)}
    return bool(_SECRET_WORDS.intersection(words) or _SECRET_PAIRS.intersection(pairs | set(words)))


class _Comments:
    """The comments of a cell, by line: those behind code, and those that stand alone."""

    def __init__(self) -> None:
        self.behind: dict[int, str] = {}
        self.alone: dict[int, str] = {}

    def of(self, statement: ast.stmt) -> str:
        """What describes `statement`: the comment behind it, else the lines of comment right above."""
        for line in (statement.end_lineno or statement.lineno, statement.lineno):
            if line in self.behind:
                return self.behind[line]
        above: list[str] = []
        line = statement.lineno - 1
        while line in self.alone:
            above.insert(0, self.alone[line])
            line -= 1
        return " ".join(filter(None, above))


def _comments(source: str) -> _Comments:
    found = _Comments()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string.lstrip("#").strip()
        # A remark for a type checker or a linter describes nothing.
        if token.type == tokenize.COMMENT and not text.startswith(("type:", "noqa")):
            alone = not token.line[: token.start[1]].strip()
            (found.alone if alone else found.behind)[token.start[0]] = text
    return found
