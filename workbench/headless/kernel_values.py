"""Values of parameters as a notebook's kernel gets them: moments as datetimes, everything else as it is."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from workbench.headless.parameter_types import ParameterType
from workbench.headless.parameters import NotebookParameters

__all__ = ["MomentText", "for_kernel", "teach_papermill"]


class MomentText(str):
    """A moment in ISO 8601, which is text in the output notebook's record, and a datetime in its code."""

    __slots__ = ()


def for_kernel(parameters: NotebookParameters, values: Mapping[str, Any]) -> dict[str, Any]:
    """Checked values with their moments marked, for papermill to write as datetimes."""
    types = {item.name: item.type for item in parameters.items}
    return {name: _marked(types[name], value) for name, value in values.items()}


@functools.cache
def teach_papermill() -> None:
    """Have papermill write marked moments as code that binds no name beside the parameter's own."""
    from papermill.translators import PythonTranslator, papermill_translators

    class Translator(PythonTranslator):  # type: ignore[misc]
        """Python's, with moments."""

        @classmethod
        def translate(cls, val: Any) -> str:
            if isinstance(val, MomentText):
                # What the cell above imports as `datetime`, module or class, stays what it is.
                return f'__import__("datetime").datetime.fromisoformat("{val}")'
            return str(super().translate(val))

    papermill_translators.register("python", Translator)


def _marked(kind: ParameterType, value: Any) -> Any:
    match value:
        case str() if kind.kind == "datetime":
            return MomentText(value)
        case list() if kind.item is not None:
            return [_marked(kind.item, one) for one in value]
        case dict() if kind.item is not None:
            return {key: _marked(kind.item, one) for key, one in value.items()}
    return value
