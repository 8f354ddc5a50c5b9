"""Limits of output for a message, a cell and a run, and how output beyond them is cut.

Shared by the kernel's process and the process that reads from it, so it imports neither side.
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
"""Maximum messages that wait at each end of the connection; beyond that the kernel waits."""

# An error's text is repeated wherever the error is shown, so it is kept short.
_ERROR_LIMIT = 20_000
# Widgets are not kept in a run's output; only small ones mean anything to it (ipywidgets.Output).
_COMM_LIMIT = 100_000


def bound(message: dict[str, Any], text_limit: int, total_limit: int, *, beside: int = 0) -> bool:
    """Cut a message that a kernel is about to send, in place; False if it is not to be sent at all.

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
            # One more than the limit, so that the reader notices and adds the note that it was cut.
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
    """`text` as a terminal shows it: of each line, what follows the last carriage return."""
    if "\r" not in text:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    # A carriage return at the very end overwrites nothing until more text follows.
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
    """Cut each text of an error, or of a reply with an error, to the limit; drop a long payload."""
    if len(content.get("evalue") or "") > limit:
        content["evalue"] = content["evalue"][:limit] + CUT.format(limit)
    if size_of(content.get("traceback")) > limit:
        room, kept = limit, []
        # Its end says what happened, so the first lines of a very long one are left out.
        for line in reversed(content["traceback"]):
            if room <= 0:
                break
            kept.append(line if len(line) <= room else line[:room] + CUT.format(limit))
            room -= len(line)
        content["traceback"] = kept[::-1]
    if size_of(content.get("payload")) > limit:
        content["payload"] = []
