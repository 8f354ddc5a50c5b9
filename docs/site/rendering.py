"""How names become links, and what a class shows of its bases."""

from __future__ import annotations

import inspect
import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import NumpyDocstring
from sphinx.util.nodes import make_refnode

from docs.site.public import groups, returned

__all__ = ["connect"]

# In written pages: what can only be a name of ours, such as `wb.save(result)`, `panel()`, `BacktestResult`.
_OURS = re.compile(r"(?P<name>(?:wb|workbench)(?:\.\w+)+|[A-Z]\w*[a-z]\w*|\w+(?=\())(?:\(.*\))?")

_ALONE = {"class", "data", "exception", "function"}


def connect(app: Sphinx) -> None:
    """Add what this site does beside Sphinx."""
    app.add_role("named", _named)
    app.connect("autodoc-process-docstring", _attributes_of_bases, priority=100)
    app.connect("autodoc-process-docstring", _sentences_of_properties, priority=900)
    app.connect("autodoc-process-signature", _no_signature_of_what_is_returned)
    app.connect("doctree-read", _link_code)
    app.connect("missing-reference", _resolve)
    found = groups()
    app.config.facets = {page.path: page.title for group in found for page in group.pages if page.facet}
    app.config.never_made = set(returned(found)) | {page.object for page in found[0].pages if page.facet}


def _named(
    _role: str, _raw: str, text: str, _line: int, inliner: Any, *_rest: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Code in single backticks; nothing in it is markup."""
    return [_reference(text, inliner.document.settings.env)], []


def _reference(text: str, env: BuildEnvironment) -> nodes.Node:
    match = re.fullmatch(r"(?P<name>[\w.]+)(?:\(.*\))?", text)
    code = nodes.literal(text, text, classes=["code"])
    if match is None:
        return code
    reference = addnodes.pending_xref(
        "", code, refdomain="py", reftype="obj", reftarget=match["name"], refdoc=env.current_document.docname
    )
    reference["py:module"] = env.ref_context.get("py:module")
    reference["py:class"] = env.ref_context.get("py:class")
    return reference


def _link_code(app: Sphinx, document: nodes.document) -> None:
    """Turn code in written pages into links."""
    if app.env.current_document.docname.startswith("reference/"):
        return
    for code in list(document.findall(nodes.literal)):
        match = _OURS.fullmatch(code.astext())
        if match and not isinstance(code.parent, nodes.reference | addnodes.pending_xref | nodes.title):
            code.replace_self(_reference(code.astext(), app.env))


def _resolve(app: Sphinx, env: BuildEnvironment, node: Any, content: Any) -> nodes.reference | None:
    """Find a name by the end of its path, where only one object has it, and `wb.<facet>` by its class."""
    if node.get("refdomain") != "py":
        return None
    objects = env.domains.python_domain.objects
    target = node["reftarget"]
    for path, title in app.config.facets.items():
        if target == title or target.startswith(f"{title}."):
            target = path + target.removeprefix(title)
    target = re.sub(r"^wb\.", "workbench.Workbench.", target)
    found = [target] if target in objects else [path for path in objects if path.endswith(f".{target}")]
    if "." not in target:
        # `run_id` alone is a column more often than an attribute of something.
        found = [path for path in found if objects[path].objtype in _ALONE]
    # A class is there twice: by where it is imported from, and by the module that has it.
    entries = {(objects[path].docname, objects[path].node_id): objects[path] for path in found}
    if len(entries) != 1:
        return None
    entry = next(iter(entries.values()))
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, found[0])


def _attributes_of_bases(
    _app: Sphinx, what: str, _name: str, kind: Any, _options: Any, lines: list[str]
) -> None:
    """A class that names no attributes of its own shows those of its base."""
    if what != "class" or "Attributes" in lines:
        return
    for base in kind.__mro__[1:]:
        doc = inspect.cleandoc(base.__doc__ or "").splitlines()
        if base.__module__.startswith("workbench.") and "Attributes" in doc:
            rest = doc[doc.index("Attributes") :]
            ends = [at - 1 for at, line in enumerate(rest) if at > 1 and re.fullmatch("-{3,}", line)]
            lines += ["", *rest[: ends[0] if ends else None], ""]
            return


def _sentences_of_properties(
    app: Sphinx, what: str, _name: str, kind: Any, _options: Any, lines: list[str]
) -> None:
    """Undo that napoleon takes what stands before the colon of a property's docstring for its type."""
    if what in {"attribute", "property"} and getattr(kind, "__doc__", None) and not isinstance(kind, type):
        lines[:] = [*NumpyDocstring(inspect.getdoc(kind) or "", app.config, app, "method").lines(), ""]


def _no_signature_of_what_is_returned(
    app: Sphinx, what: str, _name: str, kind: Any, _options: Any, signature: str | None, _result: str | None
) -> tuple[str, None] | None:
    """What calls return, and a facet, is never made by hand; its attributes are listed."""
    if what == "class" and kind in app.config.never_made:
        return "", None
    if signature and "<factory>" in signature:
        return signature.replace("<factory>", "..."), None
    return None
