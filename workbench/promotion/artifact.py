"""What Prefect's pages show of a run: its figures, its picture, where its page lies, or why it failed.

Markdown that both generations of Prefect's pages draw alike: what is folded away is HTML, since 3.4.14 folds
nothing else. Every value is escaped.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.drawing.wording import (
    NOTHING,
    amount,
    bars_long,
    count,
    money,
    percent,
    ratio,
    signed_percent,
    words,
)
from workbench.errors import NotebookFailed
from workbench.runs.record import of_slot

if TYPE_CHECKING:
    from workbench.services.analytics import AnalyticsService

__all__ = ["artifact_key", "completed_markdown", "failed_markdown", "saved_picture"]

PICTURE_LIMIT = 600_000
"""Bytes of the largest picture that is shown; a tearsheet's has some 100,000."""

_TRACEBACK_LINES = 40
_TRACEBACK_LENGTH = 6_000
_REASON_LENGTH = 2_000

# The figures to be read first, in this order.
_FIRST: dict[str, tuple[str, Callable[[float], str]]] = {
    "total_return": ("Return", signed_percent),
    "benchmark_return": ("Benchmark", signed_percent),
    "cagr": ("CAGR", percent),
    "volatility": ("Volatility", percent),
    "sharpe_ratio": ("Sharpe", ratio),
    "max_drawdown": ("Max drawdown", percent),
    "total_trades": ("Trades", count),
    "win_rate": ("Win rate", lambda value: percent(value, 0)),
}
_REST: dict[str, Callable[[float], str]] = {
    "alpha": signed_percent,
    "conditional_value_at_risk": lambda value: percent(value, 2),
    "down_capture": lambda value: percent(value, 0),
    "expectancy": money,
    "exposure": percent,
    "fees_paid": money,
    "final_equity": money,
    "max_drawdown_length": bars_long,
    "open_trades": count,
    "slippage_paid": money,
    "turnover": lambda value: percent(value, 0),
    "up_capture": lambda value: percent(value, 0),
    "value_at_risk": lambda value: percent(value, 2),
}
_RATIOS = {
    "beta",
    "calmar",
    "information_ratio",
    "kurtosis",
    "omega",
    "profit_factor",
    "skewness",
    "sortino",
    "sqn",
    "stability",
    "tail_ratio",
}


def artifact_key(name: str) -> str:
    """The key that the artifacts of one deployment, or of one notebook, have in common."""
    return f"run-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}".rstrip("-")


def completed_markdown(run: Mapping[str, Any], picture: bytes | None, *, seconds: float) -> str:
    """A run that completed: eight figures, the picture, and behind them the other figures and the parameters.

    Parameters
    ----------
    run : mapping
        The run's record, as `RunStore.show` gives it.
    picture : bytes, optional
        A PNG. One of more than `PICTURE_LIMIT` bytes is left out, with a note.
    seconds : float
        How long the run took.
    """
    figures = run["headline"]
    rest = sorted(set(figures) - set(_FIRST))
    slot = f", for the slot {said}" if (said := of_slot(run)) else ""
    parts = [f"# {_escaped(run['notebook'])}", f"Completed in {seconds:.1f} s{slot}."]
    first = {label: _shown(figures[name], form) for name, (label, form) in _FIRST.items() if name in figures}
    if first:
        rows = [list(first), ["--:"] * len(first), [_escaped(value) for value in first.values()]]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    elif not figures:
        parts.append("It saved no backtest, so there are no figures.")
    if picture is not None and len(picture) > PICTURE_LIMIT:
        parts.append(
            f"Its picture has {len(picture):,} bytes, too many to show here; see `wb.analytics.load_reports`."
        )
    elif picture is not None:
        parts.append(f"![Equity and drawdown](data:image/png;base64,{base64.b64encode(picture).decode()})")
    contradictions = run.get("contradictions", [])
    if contradictions:
        told = "\n".join(f"- {_escaped(line)}" for line in contradictions)
        parts.append(
            f"**Contradicted.** Two runs say different things of one slot; the first stands:\n\n{told}"
        )
    parts += [
        _folded("More figures", {words(name): _figure(name, figures[name]) for name in rest}),
        _folded("Parameters", {name: _json(value) for name, value in run["parameters"].items()}),
        _where(run["run_id"], run["html_path"], run["output_path"]),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def failed_markdown(notebook: str, error: Exception, *, slot: str = "") -> str:
    """A run that failed: why, in which cell, for which slot, and where its page lies.

    Parameters
    ----------
    notebook : str
        The name it goes by.
    error : Exception
        What ended it. Cell, page and traceback are those of a `NotebookFailed`.
    slot : str
        What the run was for, as "by schedule, for the slot 2026-11-27 22:30 UTC"; empty if for no slot.
    """
    parts = [f"# {_escaped(notebook)}", f"**Failed.** {_escaped(_cut(str(error), _REASON_LENGTH))}"]
    if slot:
        parts.append(f"{_escaped(slot[0].upper() + slot[1:])}.")
    if isinstance(error, NotebookFailed):
        facts = {"Cell": error.cell, "Error": error.error_name}
        parts += [
            "\n".join(f"- {name}: {_code(str(fact))}" for name, fact in facts.items() if fact is not None),
            _where(error.run_id, error.html, error.output),
            _traceback(error.traceback),
        ]
    return "\n\n".join(filter(None, parts)) + "\n"


def saved_picture(analytics: AnalyticsService, run_id: str) -> bytes | None:
    """The PNG that a run saved last; None where it saved none, or a later run has saved it again since."""
    listed = analytics.load_reports(run_id=run_id, format="png", content=False)
    if listed.empty:
        return None
    newest = listed.sort_values("updated_at", kind="stable")["report_id"].iloc[-1]
    content: Any = analytics.load_reports(newest)["file"].iloc[0]
    return bytes(content)


def _figure(name: str, value: Any) -> str:
    return _shown(value, ratio if name in _RATIOS else _REST.get(name, amount))


def _shown(value: Any, form: Callable[[float], str]) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _json(value)
    return form(value) if math.isfinite(value) else NOTHING


def _json(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False), 300)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _escaped(text: str) -> str:
    """`text` on one line, with nothing in it that Markdown or HTML would read."""
    line = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", line)


def _code(text: str) -> str:
    line = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"


def _folded(title: str, facts: Mapping[str, str]) -> str:
    """A table that opens on a click. Markdown would begin again after an empty line, so there is none."""
    if not facts:
        return ""
    rows = "\n".join(
        f'<tr><td>{_in_html(name)}</td><td align="right">{_in_html(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f"<details>\n<summary>{title}</summary>\n<table>\n{rows}\n</table>\n</details>"


def _in_html(text: str) -> str:
    return html.escape(" ".join(text.split()))


def _where(run_id: str | None, page: str | Path | None, output: str | Path | None) -> str:
    places = {"Page": page, "Notebook": output, "Run": run_id}
    return "\n".join(f"- {name}: {_code(str(place))}" for name, place in places.items() if place is not None)


def _traceback(text: str) -> str:
    lines = text.strip("\n").splitlines()
    kept = "\n".join(lines[-_TRACEBACK_LINES:])[-_TRACEBACK_LENGTH:]
    if not kept:
        return ""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", kept)), default=0))
    return f"{fence}text\n{kept}\n{fence}"
