"""The pages of the reference as reStructuredText: one per object and group, errors, settings."""

from __future__ import annotations

import inspect
import pprint
import textwrap
from pathlib import Path

from sphinx.ext.napoleon import Config, NumpyDocstring

from docs.site.public import Group, Public, members, value_doc
from workbench import errors
from workbench.settings import Settings

__all__ = ["write_reference"]


def write_reference(folder: Path, groups: list[Group]) -> None:
    """Write every page of the reference below `folder`."""
    for group in groups:
        below = folder / group.folder
        below.mkdir(parents=True, exist_ok=True)
        (below / "index.rst").write_text(_index(group), encoding="utf-8")
        for page in group.pages:
            (below / f"{page.name}.rst").write_text(_page(page), encoding="utf-8")
    (folder / "settings.rst").write_text(_settings(), encoding="utf-8")
    (folder / "errors.rst").write_text(_errors(), encoding="utf-8")


def _heading(title: str) -> str:
    return f"{title}\n{'=' * len(title)}\n\n"


def _literal(title: str) -> str:
    """A title that is code; its underscores and brackets mean nothing."""
    return title.replace("\\", "\\\\").replace("_", "\\_").replace("*", "\\*")


def _index(group: Group) -> str:
    """The page of a group: each object with its first sentence."""
    lines = [".. list-table::", "   :widths: 30 70", "   :class: names", ""]
    for page in group.pages:
        lines += [f"   * - :doc:`{page.title} <{page.name}>`", f"     - {page.sentence}"]
    tree = ["", ".. toctree::", "   :hidden:", "", *(f"   {page.name}" for page in group.pages)]
    return _heading(group.title) + "\n".join([*lines, *tree]) + "\n"


def _page(page: Public) -> str:
    text = _heading(_literal(page.title))
    if not page.facet:
        text += f".. code-block:: python\n\n   from {page.module} import {page.name}\n\n"
    if page.kind == "class":
        return text + _class(page.path, page.object)
    if page.kind == "strategy":
        return text + _strategy(page)
    if page.kind == "value":
        shown = pprint.pformat(page.object, width=88, sort_dicts=False)
        body = [value_doc(page) or "", "", ".. code-block:: text", "", *_indented(shown)]
        text += f".. py:currentmodule:: {page.module}\n\n.. py:data:: {page.name}\n\n"
        return text + "\n".join(_indented("\n".join(body))) + "\n"
    return text + f".. autofunction:: {page.path}\n"


def _class(path: str, kind: type) -> str:
    names = members(kind)
    wanted = f"   :members: {', '.join(names)}\n" if names else ""
    return f".. autoclass:: {path}\n{wanted}"


def _strategy(page: Public) -> str:
    """A strategy is an object that is called; shown is the function that it was made of."""
    signature = inspect.signature(page.object.function)
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    doc = str(NumpyDocstring(inspect.cleandoc(page.object.__doc__ or ""), Config(napoleon_use_rtype=False)))
    shown = str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    head = f".. py:currentmodule:: {page.module}\n\n.. py:function:: {page.name}{shown}\n\n"
    return head + "\n".join(_indented(doc)) + "\n"


def _settings() -> str:
    return (
        _heading("Settings")
        + ".. code-block:: python\n\n   from workbench import Settings\n\n"
        + _class("workbench.settings.Settings", Settings)
    )


def _errors() -> str:
    """The tree as the module's docstring draws it, and each error with its fields."""
    intro, _, rest = inspect.cleandoc(errors.__doc__ or "").partition("\n\n    WorkbenchError")
    tree, _, after = rest.partition("\n\n")
    drawn = "\n".join(_indented(f"WorkbenchError\n{textwrap.dedent(tree.strip(chr(10)))}"))
    text = f"{_heading('Errors')}{intro}\n\n.. code-block:: text\n   :class: tree\n\n{drawn}\n\n{after}\n\n"
    text += ".. py:currentmodule:: workbench.errors\n\n"
    for name in (name for name in vars(errors) if name in errors.__all__):
        text += _class(f"workbench.errors.{name}", getattr(errors, name)) + "   :show-inheritance:\n\n"
    return text


def _indented(text: str) -> list[str]:
    return [f"   {line}".rstrip() for line in text.splitlines()]
