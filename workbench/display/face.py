"""`Face`: base class that lists a public object's user methods in completion, repr and a notebook's card."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from workbench.display.card import card_html

__all__ = ["Face"]


class Face:
    """Base of the objects in `wb.`: methods for internal use are hidden from users, but still callable."""

    _inside: ClassVar[frozenset[str]] = frozenset()
    """Public names of the class for internal use, to be hidden."""

    def __dir__(self) -> Iterable[str]:
        """The names for tab completion (jedi uses it too): all except those in `_inside`."""
        return [name for name in super().__dir__() if name not in self._inside]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(self._verbs())}>"

    def _repr_html_(self) -> str:
        return card_html(type(self).__name__, self._verbs().items())

    def _verbs(self) -> dict[str, str]:
        """The methods for users, by name, with the first line of their docstrings."""
        kind = type(self)
        return {
            name: (getattr(kind, name).__doc__ or "").strip().partition("\n")[0]
            for name in sorted(dir(self))
            if not name.startswith("_") and hasattr(getattr(kind, name, None), "__get__")
        }
