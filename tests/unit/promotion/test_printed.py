"""What a notebook printed, as a log tells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.headless.printed import LINE_LENGTH, LINES_LIMIT, printed_lines


def stream(text: str | list[str], name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def output(path: Path, *cells: tuple[int | None, list[dict[str, Any]]]) -> Path:
    code: list[dict[str, Any]] = [
        {"cell_type": "code", "metadata": {}, "source": "x", "execution_count": number, "outputs": outputs}
        for number, outputs in cells
    ]
    text: dict[str, Any] = {"cell_type": "markdown", "metadata": {}, "source": "# Text"}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [text, *code]}))
    return path


def test_lines_of_both_streams_come_with_their_cells_number(tmp_path: Path) -> None:
    shown = {"output_type": "display_data", "data": {"text/plain": "a figure"}, "metadata": {}}
    path = output(
        tmp_path / "x.ipynb",
        (1, [stream("one\n\ntwo\n"), shown, stream(["th", "ree\n"], "stderr")]),
        (2, []),
        (3, [stream("no end of line")]),
    )
    assert printed_lines(path) == ["cell 1: one", "cell 1: two", "cell 1: three", "cell 3: no end of line"]


def test_a_line_written_over_is_told_as_it_was_at_last_and_without_colours(tmp_path: Path) -> None:
    path = output(tmp_path / "x.ipynb", (1, [stream("1%\r50%\r\x1b[32m100%\x1b[0m\n"), stream("dos\r\nx")]))
    assert printed_lines(path) == ["cell 1: 100%", "cell 1: dos", "cell 1: x"]


def test_of_very_much_the_first_and_the_last_lines_are_told_and_where_the_rest_is(tmp_path: Path) -> None:
    path = output(tmp_path / "x.ipynb", (1, [stream("\n".join(f"line {n}" for n in range(12_345)))]))
    lines = printed_lines(path)
    assert len(lines) == LINES_LIMIT + 1
    assert lines[0] == "cell 1: line 0"
    assert lines[-1] == "cell 1: line 12344"
    assert lines[LINES_LIMIT // 2] == f"(11,945 more lines were printed here; {path} has them)"
    (long,) = printed_lines(output(tmp_path / "y.ipynb", (1, [stream("x" * 10_000)])))
    assert len(long) == len("cell 1: ") + LINE_LENGTH + 1


def test_what_cannot_be_read_printed_nothing(tmp_path: Path) -> None:
    assert printed_lines(tmp_path / "none.ipynb") == []
