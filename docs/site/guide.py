"""The written pages, copied to where the site is built, with links that hold there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from workbench.paths import PACKAGE

__all__ = ["write_guide"]

# Pages of the repository's root, by the name that they have in the site.
_OF_ROOT = {
    "README": "index",
    "CONTRIBUTING": "contributing",
    "SECURITY": "security",
    "CHANGELOG": "changelog",
}
_LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>[^)\s]+)\)")
_DIAGRAM = re.compile(r"^```mermaid\nflowchart \w+\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_ARROW = re.compile(r" (?:-->|-[-.] (?P<said>.+?) (?:--|\.-)>) ")
_NODE = re.compile(r"(?P<name>\w+)(?:\[[(\"]?(?P<label>.+?)[)\"]?\])?$")

_NAVIGATION = """
```{{toctree}}
:hidden:
:caption: Guide

data
bars
services
research
notebooks
running
operations
projects
```

```{{toctree}}
:hidden:
:caption: Reference

{reference}
reference/settings
reference/errors
reference/commands
```

```{{toctree}}
:hidden:
:caption: How it is made

architecture
decisions
dependencies
performance
scale
contributing
security
changelog
```
"""


def write_guide(folder: Path, reference: list[str]) -> None:
    """Copy the pages and pictures to `folder`; the start page gets the navigation with `reference` in it."""
    for page in sorted((PACKAGE.parent / "docs").glob("*.md")):
        (folder / page.name).write_text(_localised(page), encoding="utf-8")
    shutil.copytree(PACKAGE.parent / "docs" / "images", folder / "images")
    for name, here in _OF_ROOT.items():
        text = _localised(PACKAGE.parent / f"{name}.md")
        if here == "index":
            text += _NAVIGATION.format(reference="\n".join(reference))
        (folder / f"{here}.md").write_text(text, encoding="utf-8")


def _localised(page: Path) -> str:
    """The page's text; a link to a file that is no page of the site becomes its text alone."""

    def moved(link: re.Match[str]) -> str:
        target, hash_, anchor = link["target"].partition("#")
        if not target or target.startswith(("http://", "https://")):
            return link[0]
        there = (page.parent / target).resolve().relative_to(PACKAGE.parent)
        if there.parent.name == "images":
            target = f"images/{there.name}"
        elif there.suffix == ".md":
            target = f"{_OF_ROOT.get(there.stem, there.stem)}.md"
        else:
            return link["text"].strip("[]").strip("`").join("``")
        return f"{link['text']}({target}{hash_}{anchor})"

    return _DIAGRAM.sub(_arrows, _LINK.sub(moved, page.read_text(encoding="utf-8")))


def _arrows(diagram: re.Match[str]) -> str:
    """The arrows of a diagram as lines of text: what draws Mermaid is megabytes of script."""
    names: dict[str, str] = {}
    lines = []
    for line in diagram["body"].splitlines():
        left, *rest = _ARROW.split(line.strip())
        for said, right in zip(rest[::2], rest[1::2], strict=True):
            ends = [", ".join(_node(one, names) for one in side.split(" & ")) for side in (left, right)]
            lines.append(f"{ends[0]} → {ends[1]}" + (f" ({said})" if said else ""))
            left = right
    return "```text\n" + "\n".join(lines) + "\n```"


def _node(text: str, names: dict[str, str]) -> str:
    """A node's label, or of one that had its label before, that."""
    match = _NODE.match(text.strip())
    assert match, text
    if match["label"]:
        names[match["name"]] = match["label"]
    return names.get(match["name"], match["name"])
