"""Has jsonschema put off reading the grammar of its IRI format, which takes over a second at each start.

jsonschema, which every library of notebooks imports, makes a parser from that grammar as it is imported; the
schemas of notebooks know no IRIs.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

__all__ = ["put_off_iri_grammar"]

_PACKAGE = "rfc3987_syntax"


def put_off_iri_grammar() -> None:
    """Import jsonschema; the grammar is read when the first IRI is checked. Once is enough."""
    known = {"jsonschema._format", _PACKAGE} & sys.modules.keys()
    if known or importlib.util.find_spec(_PACKAGE) is None:
        return
    for_now = ModuleType(_PACKAGE)
    for_now.is_valid_syntax = _is_valid_syntax  # type: ignore[attr-defined]
    sys.modules[_PACKAGE] = for_now
    try:
        importlib.import_module("jsonschema")
    finally:
        # jsonschema keeps the function; whoever else imports the package gets the package.
        del sys.modules[_PACKAGE]


def _is_valid_syntax(*arguments: Any) -> bool:
    return bool(importlib.import_module(_PACKAGE).is_valid_syntax(*arguments))
