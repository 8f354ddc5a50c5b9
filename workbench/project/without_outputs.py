"""The hook of `workbench init --git`: takes outputs out of what is committed, and leaves the files alone."""

from __future__ import annotations

import subprocess
import sys

import nbformat
from nbformat.reader import NotJSONError

__all__ = ["main", "without_outputs"]


def without_outputs(text: str) -> str:
    """A notebook's text without outputs and execution counts; the same text where there are none.

    Raises
    ------
    ValueError
        It is no notebook.
    """
    try:
        notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)
    except (NotJSONError, AttributeError, KeyError) as error:
        raise ValueError("it is no notebook") from error
    changed = False
    for cell in notebook.get("cells", []):
        if cell.get("cell_type") == "code" and (
            cell.get("outputs") or cell.get("execution_count") is not None
        ):
            cell["outputs"], cell["execution_count"], changed = [], None, True
    return nbformat.writes(notebook) + "\n" * text.endswith("\n") if changed else text


def main() -> int:
    """Replace each staged notebook by the same without outputs; 1 ends the commit, where a file is none."""
    listed = _git(
        "diff", "--cached", "--name-only", "-z", "--no-renames", "--diff-filter=AM", "--", "*.ipynb"
    )
    for name in filter(None, listed.split(b"\0")):
        path = name.decode(errors="surrogateescape")
        try:
            staged = _git("show", f":{path}").decode()
            stripped = without_outputs(staged)
        except ValueError as error:
            why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
            print(f"{path}: {why}; git commit --no-verify commits it as it is", file=sys.stderr)  # noqa: T201
            return 1
        if stripped != staged:
            blob = _git("hash-object", "-w", "--stdin", content=stripped.encode()).decode().strip()
            mode = (
                _git("ls-files", "--stage", "-z", "--", path)
                .decode(errors="surrogateescape")
                .partition(" ")[0]
            )
            _git("update-index", "--cacheinfo", f"{mode},{blob},{path}")
    return 0


def _git(*words: str, content: bytes | None = None) -> bytes:
    return subprocess.run(["git", *words], input=content, capture_output=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
