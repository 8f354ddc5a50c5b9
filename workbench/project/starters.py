"""The starter notebooks of a project: which ones are as they came, and what a newer version changed in them.

`notebooks/.starters.json` has the hash of each as it was copied. It belongs into git with them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workbench.errors import ProjectRefused
from workbench.home.files import replace_file
from workbench.paths import shipped

__all__ = ["RECORD", "Starter", "compare_starters", "content_hash", "record_starters", "take_starters"]

RECORD = ".starters.json"
"""The record's name, in the project's `notebooks/`."""

State = Literal["new", "changed", "edited", "removed"]


@dataclass(frozen=True)
class Starter:
    """A starter notebook of which this version has news.

    Attributes
    ----------
    name : str
        Its path below `notebooks/`.
    state : str
        "new": it came with this version; "changed": this version's is another one, and the project's is as it
        came; "edited": this version's is another one, and the project's was edited; "removed": this version
        has none.
    """

    name: str
    state: State


def content_hash(path: Path) -> str | None:
    """SHA-256 of a notebook's cells, their types, sources and tags; None where it cannot be read as one.

    Outputs and counts are left out: running a notebook does not edit it.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        cells = [
            [cell["cell_type"], "".join(cell["source"]), cell.get("metadata", {}).get("tags", [])]
            for cell in document["cells"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def record_starters(notebooks: Path) -> None:
    """Record the starter notebooks as they lie in a project that was just made."""
    _write(notebooks, _hashes(notebooks))


def compare_starters(notebooks: Path) -> list[Starter]:
    """The starter notebooks of which this version has news; changes no notebook.

    One that was deleted in the project, or moved, is no news; one that is the same as this version's is noted
    as such. Without a record, as in projects of workbench 0.4.0, a notebook that differs counts as edited.

    Raises
    ------
    ProjectRefused
        The record cannot be read or written.
    """
    ours, recorded = _hashes(shipped("notebooks")), _read(notebooks)
    known = {} if recorded is None else recorded
    here = {name: content_hash(notebooks / name) for name in {*ours, *known} if (notebooks / name).is_file()}
    same = {name: digest for name, digest in ours.items() if here.get(name) == digest}
    if recorded is None or not same.items() <= known.items():
        _write(notebooks, {**known, **same})
    news = []
    for name in sorted({*ours, *known}):
        if name in same or (name in known and name not in here) or known.get(name) == ours.get(name):
            continue
        if name not in ours:
            news.append(Starter(name, "removed"))
        elif name not in here:
            news.append(Starter(name, "new"))
        else:
            as_it_came = name in known and here[name] == known[name]
            news.append(Starter(name, "changed" if as_it_came else "edited"))
    return news


def take_starters(notebooks: Path) -> list[Starter]:
    """Copy this version's new and changed notebooks into the project; edited ones are not touched.

    Returns
    -------
    list of Starter
        Those that were copied.
    """
    taken = [one for one in compare_starters(notebooks) if one.state in ("new", "changed")]
    hashes = dict(_read(notebooks) or {})
    try:
        for one in taken:
            source, target = shipped("notebooks") / one.name, notebooks / one.name
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, source.read_bytes())
            hashes[one.name] = content_hash(source) or ""
    except OSError as error:
        raise ProjectRefused(f"{error.filename or notebooks} cannot be written ({error.strerror})") from error
    finally:
        _write(notebooks, hashes)
    return taken


def _hashes(notebooks: Path) -> dict[str, str]:
    found = {}
    for path in sorted(notebooks.rglob("*.ipynb")):
        name = path.relative_to(notebooks)
        digest = content_hash(path)
        if digest is not None and not any(part.startswith(".") for part in name.parts):
            found[name.as_posix()] = digest
    return found


def _read(notebooks: Path) -> dict[str, str] | None:
    file = notebooks / RECORD
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ProjectRefused(f"{file} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ProjectRefused(f"{file} is damaged: it is not JSON. Delete it; it is made anew") from error
    if not isinstance(held, dict) or not all(isinstance(value, str) for value in held.values()):
        raise ProjectRefused(f"{file} is damaged: it is not an object of strings. Delete it; it is made anew")
    return held


def _write(notebooks: Path, hashes: Mapping[str, str]) -> None:
    try:
        replace_file(notebooks / RECORD, json.dumps(dict(sorted(hashes.items())), indent=2) + "\n")
    except OSError as error:
        raise ProjectRefused(f"{notebooks / RECORD} cannot be written ({error.strerror})") from error
