"""`Face`: a public object shows what a user calls, in completion, in its repr and on a notebook's card."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from workbench.display.card import card_html

__all__ = ["Face"]


class Face:
    """The base of the objects behind `wb.`: what only this package calls stays out of sight, not of reach."""

    _inside: ClassVar[frozenset[str]] = frozenset()
    """Public names of the class that its users have no use for."""

    def __dir__(self) -> Iterable[str]:
        """What completion offers (jedi, too, looks at living objects): all but what is `_inside`."""
        return [name for name in super().__dir__() if name not in self._inside]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(self._verbs())}>"

    def _repr_html_(self) -> str:
        return card_html(type(self).__name__, self._verbs().items())

    def _verbs(self) -> dict[str, str]:
        """What a user calls, by name, with the first line of its help."""
        kind = type(self)
        return {
            name: (getattr(kind, name).__doc__ or "").strip().partition("\n")[0]
            for name in sorted(dir(self))
            if not name.startswith("_") and hasattr(getattr(kind, name, None), "__get__")
        }
