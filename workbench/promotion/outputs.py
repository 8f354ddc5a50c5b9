"""How much output there may be: of one message, of one cell, of one run; and how too much of it is cut.

Knows no kernel and no notebook: the kernel's process and whoever reads from it share this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["CUT", "DISPLAYS", "IN_FLIGHT", "LEFT_OUT", "WITHHELD", "bound", "size_of", "without_retractions"]

DISPLAYS = {"display_data", "update_display_data", "execute_result"}
"""The messages that show something other than plain text."""

CUT = "\n[workbench: the rest of this cell's text was cut after {:,} characters]\n"

LEFT_OUT = "[workbench: what else this cell showed was left out: the run's outputs passed {:,} characters]\n"

WITHHELD = "workbench_withheld"
"""In a message's metadata: how many characters it would have shown; it comes without them."""

IN_FLIGHT = 4
"""Messages that wait at each end of the line from the kernel; then the kernel waits."""

# An error's own words; more of them nobody reads, and they are repeated wherever the error is told.
_ERROR_LIMIT = 20_000
# Widgets are not kept in a run's output; only small ones mean anything to it (ipywidgets.Output).
_COMM_LIMIT = 100_000


def bound(message: dict[str, Any], text_limit: int, total_limit: int, *, beside: int = 0) -> bool:
    """Cut what a kernel is about to send, in place; False where it is better not sent at all.

    Parameters
    ----------
    message : dict
        As Jupyter's protocol has it, with `header` and `content`.
    text_limit, total_limit : int
        Characters of plain text, and of anything else.
    beside : int
        Bytes of its buffers.
    """
    kind, content = message["header"]["msg_type"], message["content"]
    if kind == "stream":
        if len(content["text"]) > text_limit:
            # One more than is kept, so that whoever keeps it says that it was cut.
            content["text"] = without_retractions(content["text"])[: text_limit + 1]
    elif kind in DISPLAYS:
        data = content["data"]
        if isinstance(plain := data.get("text/plain"), str) and len(plain) > text_limit:
            content["data"] = data = {**data, "text/plain": plain[:text_limit] + CUT.format(text_limit)}
        if (size := size_of(data)) > total_limit:
            content["data"], content["metadata"] = {}, {WITHHELD: size}
    elif kind in {"error", "execute_reply"}:
        _cut_error(content, min(_ERROR_LIMIT, text_limit))
    elif kind.startswith("comm_"):
        return size_of(content) + beside <= _COMM_LIMIT
    return True


def without_retractions(text: str) -> str:
    """`text` without what carriage returns took back: of each line, what stands behind its last one."""
    if "\r" not in text:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    # One at the very end takes nothing back until something follows.
    return "\n".join(line[line.rfind("\r", 0, len(line) - 1) + 1 :] for line in lines)


def size_of(value: Any) -> int:
    """Characters of all texts in a JSON value, names included; eight for anything else."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(key) + size_of(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(map(size_of, value))
    return 8


def _cut_error(content: dict[str, Any], limit: int) -> None:
    """The texts of an error, or of a reply that tells of one, each to its limit; no long pages."""
    if len(content.get("evalue") or "") > limit:
        content["evalue"] = content["evalue"][:limit] + CUT.format(limit)
    if size_of(content.get("traceback")) > limit:
        room, kept = limit, []
        # From its end, where it says what happened; the first lines of a very long one are left out.
        for line in reversed(content["traceback"]):
            if room <= 0:
                break
            kept.append(line if len(line) <= room else line[:room] + CUT.format(limit))
            room -= len(line)
        content["traceback"] = kept[::-1]
    if size_of(content.get("payload")) > limit:
        content["payload"] = []
