"""`VersionDiff`: what differs between two versions: cells, modules, parameters, environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from html import escape
from typing import Any

import pandas as pd

from workbench.display.card import frame_html
from workbench.errors import NotebookError
from workbench.promotion.store import NotebookStore
from workbench.promotion.version import Version
from workbench.promotion.versions.schedule_facts import schedule_in_words
from workbench.runs.versions import DeploymentVersion

__all__ = ["SourceDiff", "VersionDiff", "contents_of_version", "diff_versions"]

_COLOURS = {"+": "rgba(46,160,67,.18)", "-": "rgba(248,81,73,.18)", "@": "rgba(128,128,128,.14)"}


@dataclass(frozen=True)
class SourceDiff:
    """A cell or a module that differs.

    Attributes
    ----------
    what : str
        "cell 3", "cell 3 (new)", "cell 3 (gone)", "rules/breakout.py".
    lines : tuple of str
        A unified diff, without its first two lines.
    """

    what: str
    lines: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class VersionDiff:
    """What differs between two versions.

    Attributes
    ----------
    deployment : str
    before, now : int
        Their numbers.
    sources : tuple of SourceDiff
        Cells in their order, then modules. Cells are numbered from 1; one that is there in both is
        numbered as in `now`.
    differences : DataFrame
        what ("parameter", "option", "schedule", "code", "file", "package"), name, before, now: text, None
        where there is none.
    """

    deployment: str
    before: int
    now: int
    sources: tuple[SourceDiff, ...]
    differences: pd.DataFrame

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.sources and self.differences.empty

    def __repr__(self) -> str:
        return self.text()

    def text(self) -> str:
        """All of it as text, as `diff -u` shows it."""
        lines = [self._title()]
        for source in self.sources:
            lines += ["", f"--- {source.what}", *source.lines]
        if len(self.differences):
            lines.append("")
        for one in self.differences.to_dict("records"):
            lines.append(f"{one['what']} {one['name']}: {_told(one['before'])} → {_told(one['now'])}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "deployment": self.deployment,
            "before": self.before,
            "now": self.now,
            "same": self.same,
            "sources": [{"what": one.what, "lines": list(one.lines)} for one in self.sources],
            "differences": self.differences.to_dict("records"),
        }

    def _title(self) -> str:
        same = ": nothing differs" if self.same else ""
        return f"{self.deployment}: version {self.before} → version {self.now}{same}"

    def _repr_html_(self) -> str:
        body = "".join(
            f'<div style="padding:6px 10px 2px;font-weight:600">{escape(one.what)}</div>'
            f'<pre style="margin:0 10px 6px;background:transparent;color:inherit">{_coloured(one)}</pre>'
            for one in self.sources
        )
        rows = "".join(
            f'<div style="padding:1px 10px">{escape(one["what"])} <code>{escape(one["name"])}</code>: '
            f"{escape(_told(one['before']))} → {escape(_told(one['now']))}</div>"
            for one in self.differences.to_dict("records")
        )
        return frame_html(escape(self._title()), body + rows)


def diff_versions(
    before: DeploymentVersion, now: DeploymentVersion, contents: tuple[Version | None, Version | None]
) -> VersionDiff:
    """What differs between two versions of a deployment.

    Parameters
    ----------
    before, now : DeploymentVersion
    contents : (Version or None, Version or None)
        What runs in each; None: no notebook, or it is gone.
    """
    old, new = contents
    sources = _cells(_sources(old), _sources(new)) + _modules(old, new)
    rows: list[tuple[str, str, str | None, str | None]] = []
    for what, one, other in (
        ("parameter", before.parameters, now.parameters),
        ("option", before.options, now.options),
        ("schedule", {"": schedule_in_words(before.schedule)}, {"": schedule_in_words(now.schedule)}),
        ("notebook", {"": before.notebook}, {"": now.notebook}),
        ("code", {"": before.code_version}, {"": now.code_version}),
        ("file", old.files if old else {}, new.files if new else {}),
        ("package", before.packages, now.packages),
    ):
        rows += [(what, *row) for row in _differing(one, other)]
    frame = pd.DataFrame(rows, columns=["what", "name", "before", "now"], dtype="object")
    return VersionDiff(now.deployment, before.version, now.version, tuple(sources), frame)


def contents_of_version(store: NotebookStore, version: DeploymentVersion) -> Version | None:
    """What runs in a version; None: no notebook, or it is gone."""
    try:
        return None if version.content is None else store.open(version.content)
    except NotebookError:
        return None


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [
        (name, _text(one, name), _text(other, name))
        for name in dict.fromkeys([*one, *other])
        if (name in one) != (name in other) or one[name] != other[name]
    ]


def _text(values: Mapping[str, Any], name: str) -> str | None:
    if name not in values:
        return None
    return values[name] if isinstance(values[name], str) else repr(values[name])


def _told(value: str | None) -> str:
    return "(none)" if value is None or value == "" else value


def _sources(content: Version | None) -> list[str]:
    return [] if content is None else ["".join(cell["source"]) for cell in content.file.document["cells"]]


def _cells(old: list[str], new: list[str]) -> list[SourceDiff]:
    """The cells that differ; of several that were replaced by others the first ones are paired."""
    found: list[SourceDiff] = []
    for kind, first, last, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for place in range(max(last - first, end - start)):
            was = old[first + place] if first + place < last else None
            is_now = new[start + place] if start + place < end else None
            number = (start if is_now is not None else first) + place + 1
            mark = " (new)" if was is None else " (gone)" if is_now is None else ""
            found.append(SourceDiff(f"cell {number}{mark}", _lines(was or "", is_now or "")))
    return found


def _modules(old: Version | None, new: Version | None) -> list[SourceDiff]:
    """The modules that differ; empty where what was promoted has none."""
    one, other = (content.modules if content else {} for content in (old, new))
    return [
        SourceDiff(path, _lines(_module(old, path), _module(new, path)))
        for path in sorted({*one, *other})
        if one.get(path) != other.get(path)
    ]


def _module(content: Version | None, path: str) -> str:
    if content is None or content.tree is None or path not in content.modules:
        return ""
    return (content.tree / path).read_text(encoding="utf-8", errors="replace")


def _lines(was: str, is_now: str) -> tuple[str, ...]:
    return tuple(unified_diff(was.splitlines(), is_now.splitlines(), lineterm=""))[2:]


def _coloured(source: SourceDiff) -> str:
    return "".join(
        f'<div style="background:{_COLOURS.get(line[:1], "transparent")}">{escape(line) or " "}</div>'
        for line in source.lines
    )
