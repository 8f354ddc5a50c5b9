"""States and causes of parity: of what was said promptly nothing differs, and what is planted is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import BacktestResult, Fixed, Signals, Weights, backtest
from workbench.backtest.live import live_performance
from workbench.backtest.rules_json import rules_from_json, rules_to_json
from workbench.marketdata.calendar import schedule
from workbench.promotion.parity.causes import CAUSES, Split, split
from workbench.promotion.parity.result import Parity, with_meaning
from workbench.promotion.parity.rows import lay_out
from workbench.promotion.parity.why import told_why
from workbench.runs.decisions_kept import KeptDecisions

SESSIONS = pd.DatetimeIndex(
    schedule("XNYS", pd.Timestamp("2024-11-18", tz="UTC"), pd.Timestamp("2025-01-15", tz="UTC")).index
)
SERIES = {"A": ("XNYS", "1d"), "B": ("XNYS", "1d")}
CALENDARS = {"A": "XNYS", "B": "XNYS"}
PLANTS = ("missed", "late", "differed", "revised")


def _market(seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    parts = []
    for symbol in ("A", "B"):
        close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.03, len(SESSIONS))))
        opens = close * np.exp(random.normal(0.0, 0.01, len(SESSIONS)))
        index = pd.MultiIndex.from_product([[symbol], SESSIONS], names=["symbol", "timestamp"])
        frame = pd.DataFrame({"open": opens, "close": close}, index=index)
        frame["high"] = frame.max(axis=1) * 1.005
        frame["low"] = frame[["open", "close"]].min(axis=1) / 1.005
        parts.append(frame)
    return pd.concat(parts)


def _by_signals(bars: pd.DataFrame) -> Signals:
    close = bars["close"].unstack("symbol")
    up, down = close.diff(2) > 0.0, close.diff(2) < 0.0
    return Signals(up, down, down & (close.diff() < 0.0), up)


def _by_weights(bars: pd.DataFrame) -> Weights:
    weights = (bars["close"].unstack("symbol").pct_change(3, fill_method=None) * 5.0).clip(-0.4, 0.4)
    weights.iloc[::3] = np.nan
    return Weights(weights)


MADE: list[tuple[Any, dict[str, Any]]] = [
    (_by_signals, {}),
    (_by_signals, {"stop_loss": 0.02, "take_profit": 0.03, "slippage": 0.001}),
    (_by_signals, {"size": Fixed(10), "whole_units": True}),
    (_by_weights, {"leverage": 1.5}),
]


def kept_of(result: BacktestResult) -> KeptDecisions:
    rows = result.newest_at_each()
    rows["returns"] = result.returns.reindex(rows["timestamp"]).to_numpy()
    return KeptDecisions("rule", result.of_weights, rules_to_json(result.execution), rows)


def slots_of(sessions: Sequence[pd.Timestamp] = tuple(SESSIONS)) -> pd.DataFrame:
    """22:00 UTC of each session, an hour after its close."""
    slots = pd.DatetimeIndex(list(sessions)) + pd.Timedelta(hours=22)
    return pd.DataFrame({"slot": slots, "member": "", "state": "completed", "reason": None})


def said_by(kept: KeptDecisions) -> pd.DataFrame:
    """What each night's run said of it, a minute after the slot."""
    rows = kept.rows[["symbol", "timestamp", "signal", "strength", "target"]].copy()
    rows["slot"] = rows["timestamp"] + pd.Timedelta(hours=22)
    return rows.assign(
        member="",
        strategy_id="rule",
        reason=None,
        said_at=rows["slot"] + pd.Timedelta(minutes=1),
        version="a" * 64,
        run_id=[f"run-{moment:%Y%m%d}" for moment in rows["slot"]],
    )


def plant(said: pd.DataFrame, kind: str, places: Sequence[int]) -> tuple[pd.DataFrame, set[str]]:
    """What was said with a fault of a kind in some nights, and the runs of which bars were revised."""
    nights = said["slot"].unique()[list(places)]
    mine = said["slot"].isin(nights)
    if kind == "missed":
        return said[~mine], set()
    said = said.copy()
    if kind == "late":
        said.loc[mine, "said_at"] += pd.Timedelta(days=4)  # past a holiday and a weekend
        return said, set()
    turned = said["signal"].map({"buy": "sell", "sell": "buy", "hold": "sell"})
    said.loc[mine, "signal"] = turned[mine]
    said.loc[mine, "target"] = np.where(turned[mine] == "buy", 0.4, -0.4)
    return said, set(said.loc[mine, "run_id"]) if kind == "revised" else set()


def compared(kept: KeptDecisions, said: pd.DataFrame, revised: set[str], slots: pd.DataFrame) -> pd.DataFrame:
    rows = lay_out(slots, said, {"": [kept]}, SERIES, {})
    run = {"deployment_version": 1, "version_sha256": "a" * 64, "parameters": {}}
    return told_why(
        rows,
        dict.fromkeys(said["run_id"], run),
        dict.fromkeys(revised, "yahoo/A"),
        sha256="a" * 64,
        parameters={"": {}},
    )


def _split(rows: pd.DataFrame, kept: KeptDecisions) -> Split:
    return split(rows, kept, CALENDARS)


@pytest.mark.parametrize("made", MADE)
def test_of_what_was_said_promptly_nothing_differs(made: tuple[Any, dict[str, Any]]) -> None:
    decide, rules = made
    bars = _market(1)
    kept = kept_of(backtest(bars, decide(bars), count_trial=False, **rules))
    rows = compared(kept, said_by(kept), set(), slots_of())
    assert set(rows["state"]) == {"matched"}
    found = _split(rows, kept)
    assert dict(found.causes) == pytest.approx(dict.fromkeys(CAUSES, 0.0), abs=1e-9)
    assert found.live == pytest.approx(found.backtest, abs=1e-9)
    assert found.backtest != 0.0
    # What begins in the middle enters what the backtest holds already, and nothing else differs.
    late_start = compared(kept, said_by(kept).iloc[30:], set(), slots_of(list(SESSIONS[15:])))
    causes = _split(late_start, kept).causes
    assert {name for name, value in causes.items() if abs(value) > 1e-12} <= {"fills"}


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    made=st.sampled_from(MADE),
    kinds=st.lists(st.sampled_from(PLANTS), min_size=1, max_size=4, unique=True),
    data=st.data(),
)
def test_what_is_planted_is_found_and_adds_up(
    seed: int, made: tuple[Any, dict[str, Any]], kinds: list[str], data: st.DataObject
) -> None:
    decide, rules = made
    bars = _market(seed)
    kept = kept_of(backtest(bars, decide(bars), count_trial=False, **rules))
    said, revised, nights = said_by(kept), set(), {}
    free = list(range(5, len(SESSIONS) - 5))
    for kind in kinds:
        # Each in nights of its own; the runs of nights that are gone keep their order.
        chosen = data.draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True))
        free = [night for night in free if night not in chosen]
        nights[kind] = set(SESSIONS[chosen] + pd.Timedelta(hours=22))
    every = said
    for kind in sorted(kinds, key=lambda kind: kind == "missed"):
        places = [int(np.flatnonzero(every["slot"].unique() == night)[0]) for night in nights[kind]]
        said, touched = plant(said, kind, places)
        revised |= touched
    rows = compared(kept, said, revised, slots_of())
    assert {
        state: set(group["slot"]) for state, group in rows.groupby("state") if state != "matched"
    } == nights
    found = _split(rows, kept)
    assert sum(found.causes.values()) == pytest.approx(found.live - found.backtest, abs=1e-9)
    daily = found.days[list(CAUSES)].sum(axis=1)
    np.testing.assert_allclose(daily, found.days["live"] - found.days["backtest"], atol=1e-9)
    others = {cause: found.causes[cause] for cause in CAUSES if cause not in kinds}
    assert others == pytest.approx(dict.fromkeys(others, 0.0), abs=1e-9)
    # The live side is what the workbench stores of what was said.
    stored = live_performance(
        said, bars, rules_from_json(kept.rules), weights=kept.weights, calendars=CALENDARS
    )
    mine = found.days[found.days["date"].isin(stored["date"])]
    np.testing.assert_allclose(mine["live"], stored["returns"], atol=1e-9)


def _night(state: str = "completed", **changes: Any) -> pd.DataFrame:
    """The rows of the second of two nights."""
    bars = _market(2).loc[["A"]]
    close = bars["close"].unstack("symbol")
    entries = pd.DataFrame(np.arange(len(close))[:, np.newaxis] == 1, close.index, close.columns)
    kept = kept_of(backtest(bars, Signals(entries, ~entries & False), count_trial=False))
    said = said_by(kept).iloc[1:2].assign(**changes)
    slots = slots_of(SESSIONS[1:2].tolist()).assign(
        state=state, reason=None if state == "completed" else "why"
    )
    return compared(kept, said if state == "completed" else said.iloc[:0], set(), slots)


@pytest.mark.parametrize(
    ("changes", "state", "why"),
    [
        ({}, "matched", None),
        ({"target": 0.5}, "differed", "nothing that is recorded differs"),
        ({"signal": "hold"}, "differed", "nothing that is recorded differs"),
        ({"said_at": pd.Timestamp("2024-11-20 14:29:59", tz="UTC")}, "matched", None),
        ({"said_at": pd.Timestamp("2024-11-20 14:30", tz="UTC")}, "late", "after the open that the backtest"),
        ({"reason": "no new bar", "signal": "hold"}, "differed", "nothing that is recorded"),
    ],
)
def test_the_state_of_a_night(changes: dict[str, Any], state: str, why: str | None) -> None:
    (row,) = _night(**changes).to_dict("records")
    assert row["state"] == state
    assert (row["signal"], row["target"]) == ("buy", 1.0)
    assert why is None or why in row["why"]


def test_a_night_without_a_word_says_why_and_what_it_would_have_said() -> None:
    (row,) = _night("failed").to_dict("records")
    assert (row["state"], row["signal"], row["why"]) == ("missed", "buy", "failed: why")


def test_who_said_it_is_told_before_what_became_of_the_bars() -> None:
    kept = kept_of(backtest(_market(3), _by_signals(_market(3)), count_trial=False))
    said, revised = plant(said_by(kept), "revised", [10])
    rows = lay_out(slots_of(), said, {"": [kept]}, SERIES, {})
    for sha256, parameters, state, why in (
        ("a" * 64, {}, "revised", "bars were revised: yahoo/A"),
        ("b" * 64, {}, "differed", "version 7 said it; bars were revised as well: yahoo/A"),
        ("a" * 64, {"fast": 5}, "differed", "said with other parameters: fast; bars were revised as well"),
    ):
        run = {"deployment_version": 7, "version_sha256": "a" * 64, "parameters": {"slot": "x"}}
        told = told_why(
            rows,
            dict.fromkeys(said["run_id"], run),
            dict.fromkeys(revised, "yahoo/A"),
            sha256=sha256,
            parameters={"": parameters},
        )
        bad = told[told["state"] != "matched"]
        assert set(bad["state"]) == {state}
        assert bad["why"].str.contains(why, regex=False).all()
        assert bad["bars_revised"].tolist() == ["yahoo/A"] * len(bad)


def parity_of_plants() -> Parity:
    """Each kind of fault in a night of its own."""
    bars = _market(4)
    kept = kept_of(backtest(bars, _by_signals(bars), count_trial=False))
    said, revised = plant(said_by(kept), "revised", [20])
    for kind, place in (("differed", 15), ("late", 25), ("missed", 30)):
        said, _ = plant(said, kind, [place])
    slots = slots_of()
    slots.loc[30, ["state", "reason"]] = "missed", "the stack was down <all night>"
    rows = compared(kept, said, revised, slots)
    found = _split(rows, kept)
    key = {"member": "", "strategy_id": "rule"}
    causes = [{**key, "cause": cause, "returns": value} for cause, value in found.causes.items()]
    both = {"backtest": found.backtest, "live": found.live, "difference": found.live - found.backtest}
    return Parity(
        name="nightly",
        version=2,
        table=rows.drop(columns="opens"),
        causes=with_meaning(pd.DataFrame(causes)),
        returns=pd.DataFrame([{**key, **both}]),
        days=found.days.assign(**key),
        source="Compared with what run 1f0c2d3e kept.",
        run_id="1f0c2d3e",
        notes=("a note with <angles>",),
    )


def test_it_is_told_in_a_sentence_as_json_and_as_tiles() -> None:
    import json

    found = parity_of_plants()
    count = len(SESSIONS)
    assert found.counts == {"matched": count - 4, "late": 1, "revised": 1, "differed": 1, "missed": 1}
    assert found.summary.startswith(
        f"nightly: {count - 4} matched, 1 late, 1 revised, 1 differed, 1 missed; "
        "bars of 1 slot were revised since. Live "
    )
    assert json.loads(json.dumps(found.to_dict()))["counts"] == found.counts
    strip = found.strip()
    assert [strip.count(f"]{letter}[") for letter in "=LRDM"] == [count - 4, 1, 1, 1, 1]
    page = found._repr_html_()
    assert page.count('role="listitem"') == count
    assert "2025-01-02 22:00 UTC: missed. A: said nothing, would say" in page
    assert "missed: the stack was down &lt;all night&gt;" in page
    assert "a note with &lt;angles&gt;" in page
    assert "<all night>" not in page
