"""What Prefect's pages show of a run, judged by `markdown-it-py`, a CommonMark parser of others."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from workbench.errors import NotebookFailed, ParametersRefused
from workbench.promotion.artifact import (
    PICTURE_LIMIT,
    artifact_key,
    completed_markdown,
    failed_markdown,
)

FIGURES: dict[str, Any] = {
    "total_return": 6.37594123,
    "benchmark_return": 12.7440,
    "cagr": 0.16612,
    "volatility": 0.34699,
    "sharpe_ratio": 0.6284,
    "max_drawdown": -0.78012,
    "total_trades": 31.0,
    "win_rate": 0.6129,
    "max_drawdown_length": 1154.0,
    "value_at_risk": -0.029481,
    "final_equity": 737594.123,
    "profit_factor": None,
    "turnover": math.inf,
    "my_figure": 0.000123456,
}
RUN: dict[str, Any] = {
    "run_id": "174b8198-25f3-4297-8c31-b9080e38c619",
    "notebook": "strategies/sma_cross.ipynb",
    "slot": datetime(2026, 11, 27, 22, 30, tzinfo=UTC),
    "purpose": "live",
    "headline": FIGURES,
    "parameters": {"symbols": ["AAPL"], "start": None, "<b>": "a | `b`"},
    "html_path": "/home/me/a `b`/sma_cross.html",
    "output_path": "/home/me/sma_cross.ipynb",
}


LIVE = ", for the slot 2026-11-27 22:30:00 UTC (live)"


def texts(markdown: str) -> list[str]:
    """The text of each inline piece that a reader sees."""
    inline = [token for token in MarkdownIt("commonmark").enable("table").parse(markdown) if token.children]
    return [
        "".join(
            child.content if child.type in {"text", "code_inline"} else f"<{child.type}>"
            for child in token.children or []
            if child.type not in {"strong_open", "strong_close"} and (child.content or child.type != "text")
        )
        for token in inline
    ]


def test_eight_figures_with_digits_that_mean_something_stand_first() -> None:
    seen = texts(completed_markdown(RUN, None, seconds=3.21))
    assert seen[:2] == ["strategies/sma_cross.ipynb", f"Completed in 3.2 s{LIVE}."]
    assert seen[2:18] == [
        *("Return", "Benchmark", "CAGR", "Volatility", "Sharpe", "Max drawdown", "Trades", "Win rate"),
        *("+637.6%", "+1,274%", "16.6%", "34.7%", "0.63", "−78.0%", "31", "61%"),
    ]


def test_the_rest_is_folded_away_in_one_piece_of_html() -> None:
    markdown = completed_markdown(RUN, None, seconds=1.0)
    pieces = [
        token.content for token in MarkdownIt("commonmark").parse(markdown) if token.type == "html_block"
    ]
    figures, parameters = pieces
    rows = [
        '<tr><td>max drawdown length</td><td align="right">1,154 bars</td></tr>',
        '<tr><td>value at risk</td><td align="right">−2.95%</td></tr>',
        '<tr><td>final equity</td><td align="right">737,594</td></tr>',
        '<tr><td>profit factor</td><td align="right">–</td></tr>',
        '<tr><td>turnover</td><td align="right">–</td></tr>',
        '<tr><td>my figure</td><td align="right">0.00012346</td></tr>',
    ]
    assert all(row in figures for row in rows), figures
    assert "sharpe" not in figures
    assert "<td>&lt;b&gt;</td>" in parameters
    assert "a | `b`" in parameters
    for piece in pieces:
        assert piece.startswith("<details>")
        assert piece.rstrip().endswith("</details>")


def test_the_picture_is_in_the_page_unless_it_is_too_large() -> None:
    markdown = completed_markdown(RUN, b"\x89PNG", seconds=1.0)
    assert "![Equity and drawdown](data:image/png;base64,iVBORw==)" in markdown
    large = completed_markdown(RUN, bytes(PICTURE_LIMIT + 1), seconds=1.0)
    assert "data:" not in large
    assert "too many to show here" in large


def test_a_run_that_saved_nothing_says_so() -> None:
    seen = texts(completed_markdown(RUN | {"headline": {}, "parameters": {}}, None, seconds=1.0))
    assert "It saved no backtest, so there are no figures." in seen
    assert "Run: 174b8198-25f3-4297-8c31-b9080e38c619" in seen
    assert "Page: /home/me/a `b`/sma_cross.html" in seen


def test_a_failed_run_tells_reason_cell_and_page() -> None:
    error = NotebookFailed(
        "x.ipynb failed in cell 3 (`f(0)`), line 4: ZeroDivisionError: division by zero",
        cell=3,
        error_name="ZeroDivisionError",
        traceback="Traceback\n" + "\n".join(f"line {n} ```" for n in range(100)),
        run_id="174b8198",
        html=Path("/runs/x.html"),
        output=Path("/runs/x.ipynb"),
    )
    markdown = failed_markdown("x.ipynb", error)
    seen = texts(markdown)
    assert seen == [
        "x.ipynb",
        f"Failed. {error}",
        "Cell: 3",
        "Error: ZeroDivisionError",
        "Page: /runs/x.html",
        "Notebook: /runs/x.ipynb",
        "Run: 174b8198",
    ]
    (fence,) = [token for token in MarkdownIt().parse(markdown) if token.type == "fence"]
    assert fence.content.splitlines() == [f"line {n} ```" for n in range(60, 100)]


def test_an_error_before_the_run_tells_its_reason() -> None:
    refusal = ParametersRefused("x.ipynb has no parameter 'y'.")
    seen = texts(failed_markdown("x.ipynb", refusal))
    assert seen == ["x.ipynb", "Failed. x.ipynb has no parameter 'y'."]
    said = "by hand, for the slot 2026-11-27 22:30 UTC"
    assert texts(failed_markdown("x.ipynb", refusal, slot=said))[2] == f"B{said[1:]}."


@pytest.mark.parametrize(
    ("purpose", "said"), [("live", "live"), ("rerun", "rerun, says nothing live"), (None, "")]
)
def test_a_completed_run_tells_its_slot(purpose: str | None, said: str) -> None:
    run = RUN | {"purpose": purpose, "slot": RUN["slot"] if purpose else None}
    slot = f", for the slot 2026-11-27 22:30:00 UTC ({said})" if purpose else ""
    assert texts(completed_markdown(run, None, seconds=1.0))[1] == f"Completed in 1.0 s{slot}."


@given(text=st.text(alphabet=st.sampled_from(list("ab1.*_`~#|<>&[]()!\\-+= \n:/@")), min_size=1))
def test_no_text_of_an_error_is_taken_for_markdown_or_html(text: str) -> None:
    """A reader sees the characters of the error, in one paragraph."""
    seen = texts(failed_markdown("x.ipynb", ParametersRefused(f"a{text}z")))
    assert seen == ["x.ipynb", f"Failed. {' '.join(f'a{text}z'.split())}"]


@pytest.mark.parametrize(
    ("name", "key"),
    [("sma-cross", "run-sma-cross"), ("My_Study.v2", "run-my-study-v2"), ("ä", "run"), ("-x-", "run-x")],
)
def test_the_key_is_one_that_prefect_takes(name: str, key: str) -> None:
    """Prefect's are lower-case letters, digits and dashes."""
    assert artifact_key(name) == key
