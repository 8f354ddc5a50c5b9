"""What a user sees of the objects: names in completion, a short repr, cards that break no word."""

from __future__ import annotations

import inspect
import pydoc
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

import workbench.backtest
from workbench import Workbench
from workbench.backtest import Signals, Weights
from workbench.db.frames import Written
from workbench.display.card import card_html
from workbench.events.event import Event
from workbench.ingestion import IngestedSeries
from workbench.promotion.deployments import Deployments
from workbench.promotion.records import Deployment, FlowRun
from workbench.promotion.run import NotebookRunResult
from workbench.research import Research
from workbench.runs.trials import TrialCount
from workbench.strategies import sma_cross
from workbench.workbench import _GROUPS

RUN = str(uuid.UUID(int=7))
DAYS = pd.date_range("2024-01-02", periods=3, freq="D", tz="UTC", name="timestamp")
FLAGS = pd.DataFrame({"AAPL": [True, False, False], "IBM": [True, True, False]}, index=DAYS)


@pytest.fixture(scope="module")
def wb() -> Workbench:
    """Nothing is opened by looking."""
    return Workbench()


def _public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_dir_shows_what_a_user_calls(wb: Workbench) -> None:
    services = {"data_ingestion", "strategy_engine", "execution", "risk_management", "analytics"}
    services |= {"notification", "logging"}
    records = {"runs", "trials", "events", "run_id"}
    verbs = {"ingest", "sql", "sweep", "save", "run", "promote", "why"}
    assert _public(wb) == services | records | verbs | {"research", "deployments", "settings", "close"}
    assert _public(wb.research) == {"sweep", "honesty", "tearsheet", "save"}
    deployments = {"promote", "trigger", "list", "slots", "show", "versions", "diff", "next", "runs"}
    deployments |= {"rollback", "pause", "resume", "retire", "compare", "cut_over", "drop_shadow"}
    deployments |= {"promote_ingestion", "backfill", "parity"}
    assert _public(wb.deployments) == deployments
    assert _public(wb.runs) == {"list", "show", "of", "open", "compare", "reap", "rerun", "why"}
    assert _public(wb.trials) == {"list", "count", "store"}
    verbs = {"recent", "counts", "follow", "subscribe", "publish_data_event", "put_aside", "retry"}
    assert _public(wb.events) == verbs
    assert {"home", "pool_size", "runs_folder"} <= _public(wb.settings)
    assert not _public(wb.settings) & {"model_dump", "parse_obj", "dict", "copy"}
    for name in _GROUPS["Services"]:
        verbs = _public(getattr(wb, name))
        assert not verbs & {"pool", "name", "write_backtest", "write_checked_bars", "bars_before"}
        assert len([verb for verb in verbs if verb.startswith(("load_", "write_"))]) >= 4
    assert dir(workbench.backtest) == sorted(workbench.backtest.__all__)


def test_what_is_out_of_sight_can_still_be_called(wb: Workbench) -> None:
    assert callable(wb.runs.start)
    assert callable(wb.strategy_engine.write_backtest)
    assert wb.strategy_engine.pool is not None


def test_the_workbenchs_card_names_all_that_it_has(wb: Workbench) -> None:
    named = [name for names in _GROUPS.values() for name in names]
    assert sorted(named) == sorted(_public(wb))
    card = wb._repr_html_()
    for name in named:
        assert f"<code>{name}</code>" in card


SHOWN: list[Callable[[Workbench], object]] = [
    lambda wb: wb,
    lambda wb: wb.settings,
    lambda wb: wb.runs,
    lambda wb: wb.trials,
    lambda wb: wb.events,
    lambda wb: wb.research,
    lambda wb: wb.deployments,
    *(lambda wb, name=name: getattr(wb, name) for name in _GROUPS["Services"]),
    lambda _: sma_cross,
    lambda _: Signals(FLAGS, ~FLAGS),
    lambda _: Weights(FLAGS.astype(float)),
    lambda _: Event("bars.written", "data_ingestion", {"rows": 3}, datetime(2024, 1, 2, tzinfo=UTC), 7),
    lambda _: IngestedSeries("AAPL", "yahoo", "Yahoo", 3, Written(3, 0, 0), 0, {}, ""),
    lambda _: TrialCount("sma_cross", 1_200, 3, 0.01, 0.02, 0.0412345678),
    lambda _: NotebookRunResult(RUN, "strategies/sma_cross.ipynb", Path("/a.ipynb"), Path("/a.html"), 8.25),
    lambda _: Deployment(
        "sma", RUN, "sma_cross.ipynb", "0" * 64, "30 17 * * 1-5 (UTC)", "UTC", {"fast": 20}, None
    ),
    lambda _: FlowRun(RUN, "strategies/sma_cross.ipynb", "COMPLETED", ""),
]


@pytest.mark.parametrize("make", SHOWN)
def test_every_repr_is_one_short_line(make: Callable[[Workbench], object], wb: Workbench) -> None:
    shown = repr(make(wb))
    assert "\n" not in shown
    assert " object at 0x" not in shown
    assert len(shown) <= 200


def test_signals_and_weights_say_how_much_they_say() -> None:
    shown = repr(Signals(FLAGS, ~FLAGS))
    assert shown == "<Signals 3 bars of AAPL, IBM, 2024-01-02 to 2024-01-04: 3 entries, 3 exits>"
    assert repr(Weights(FLAGS.astype(float))).endswith("2024-01-04: 3 rebalancings>")


def test_a_card_breaks_lines_between_words_only_and_escapes_what_it_is_given() -> None:
    long = "a sentence that is longer than what stands in one line of a card, and so is broken"
    card = card_html("<b>", [("name", RUN), ("told", long), ("`x`", "<script>")], note="a & b")
    assert "<script" not in card
    assert "&lt;b&gt;" in card
    assert "a &amp; b" in card
    assert "<code>x</code>" in card
    assert re.search(rf'white-space:nowrap">{RUN}<', card)
    assert "break-all" not in card
    assert f'white-space:normal;word-break:normal;overflow-wrap:normal">{long}<' in card


@pytest.mark.parametrize(
    "method",
    [
        Workbench.run,
        Workbench.promote,
        Workbench.save,
        Workbench.sweep,
        Research.save,
        Research.sweep,
        Research.honesty,
        Research.tearsheet,
        Deployments.promote,
        Deployments.trigger,
    ],
    ids=lambda method: str(method.__qualname__),
)
def test_help_lists_every_parameter(method: Callable[..., object]) -> None:
    told = pydoc.plain(pydoc.render_doc(method))
    for name, parameter in inspect.signature(method).parameters.items():
        if name != "self":
            listed = r"\*\*options$" if parameter.kind is parameter.VAR_KEYWORD else rf"{name}\b.* : \w"
            assert re.search(rf"^ +(?:\w+, )?{listed}", told, re.MULTILINE), name
    assert "See `workbench." not in told
