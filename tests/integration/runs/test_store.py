"""Run records from start to end: what is recorded, who is told, what is refused, how two compare."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Connection
from workbench import Workbench
from workbench.attempt import Attempt
from workbench.errors import QueryError, RunError, RunFenced, SlotTaken, ValueRefused
from workbench.runs.record import about
from workbench.runs.slots import Unworked, settle_slot

# What PostgreSQL 15 may do differently lies beneath this, and is tested there.
pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

MOMENT = datetime(2024, 1, 2, 22, 30, tzinfo=UTC)


def _start(wb: Workbench, **facts: Any) -> uuid.UUID:
    return wb.runs.start(**({"notebook": "strategies/sma.ipynb", "trigger": "command"} | facts))


def _events(admin: Connection) -> list[tuple[Any, ...]]:
    return admin.execute("SELECT type, key, data FROM workbench.events ORDER BY event_id").fetchall()


def test_a_run_is_recorded_from_start_to_end(wb: Workbench) -> None:
    flow_run = uuid.uuid4()
    run_id = _start(
        wb,
        trigger="deployment",
        notebook_sha256="ab" * 32,
        parameters={"fast": 20},
        code_version="0.1.0+gabc",
        deployment="sma",
        scheduled_for=MOMENT,
        flow_run_id=str(flow_run),
    )
    started = wb.runs.show(run_id)
    assert (started["status"], started["ended_at"]) == ("running", None)
    wb.runs.note_revisions(run_id, {"yahoo/AAPL": 3})
    wb.runs.note_revisions(run_id, {"yahoo/IBM": 1, "yahoo/AAPL": 4})
    wb.runs.note_headline(run_id, {"sharpe_ratio": 1.25, "trades": None})
    wb.runs.finish(run_id, "completed", output_path="/out.ipynb", html_path="/out.html")
    shown = wb.runs.show(run_id)
    expected = {
        "run_id": str(run_id),
        "notebook": "strategies/sma.ipynb",
        "notebook_sha256": "ab" * 32,
        "parameters": {"fast": 20},
        "trigger": "deployment",
        "status": "completed",
        "code_version": "0.1.0+gabc",
        "data_revisions": {"yahoo/AAPL": 4, "yahoo/IBM": 1},
        "headline": {"sharpe_ratio": 1.25, "trades": None},
        "deployment": "sma",
        "scheduled_for": MOMENT,
        "flow_run_id": flow_run,
        "output_path": "/out.ipynb",
        "html_path": "/out.html",
        "error": None,
    }
    assert {name: shown[name] for name in expected} == expected
    assert shown["ended_at"] >= shown["started_at"]


def test_everyone_is_told_of_start_and_end(wb: Workbench, admin: Connection) -> None:
    run_id = _start(wb)
    wb.runs.finish(run_id, "failed", error="cell 3: ZeroDivisionError")
    started, ended = _events(admin)
    assert started[:2] == ("notebook_run.started", str(run_id))
    assert ended[:2] == ("notebook_run.failed", str(run_id))
    assert ended[2]["error"] == "cell 3: ZeroDivisionError"


def test_the_modules_and_files_that_a_run_used_are_recorded_by_their_hashes(wb: Workbench) -> None:
    promoted = _start(wb, version_sha256="cd" * 32, modules={"rules/rule.py": "ab" * 32})
    by_hand = _start(wb)
    used = {"modules": {"rules/rule.py": "ef" * 32}, "files": {"data/u.csv": "12" * 32}}
    wb.runs.note_code(by_hand, "0.4.0+g5e4d484.dirty", **used)
    shown = wb.runs.show(promoted)
    assert shown["version_sha256"] == "cd" * 32
    assert (shown["modules"], shown["files"]) == ({"rules/rule.py": "ab" * 32}, {})
    told = dict(about(wb.runs.show(by_hand)))
    assert told["code"] == "0.4.0+g5e4d484.dirty"
    assert (told["modules"], told["files"]) == (f"rules/rule.py ({'ef' * 6})", f"data/u.csv ({'12' * 6})")
    differs = wb.runs.compare(promoted, by_hand).query("differs")
    assert {"version_sha256", "modules.rules/rule.py", "files.data/u.csv"} <= set(differs.index)
    wb.runs.finish(by_hand, "completed")
    wb.runs.note_code(by_hand, "later", modules={}, files={})
    assert wb.runs.show(by_hand)["code_version"] == "0.4.0+g5e4d484.dirty"


@pytest.mark.parametrize("again", ["completed", "failed", "crashed"])
def test_a_run_ends_once(wb: Workbench, admin: Connection, again: str) -> None:
    run_id = _start(wb)
    wb.runs.finish(run_id, "crashed", error="declared dead")
    with pytest.raises(RunFenced, match=f"run {run_id} has ended already or was declared dead"):
        wb.runs.finish(run_id, again)
    assert wb.runs.show(run_id)["error"] == "declared dead"
    assert len(_events(admin)) == 2


def _attempt(wb: Workbench, moment: datetime | None = MOMENT, **facts: Any) -> uuid.UUID:
    """A live run of the deployment "sma" for a slot."""
    return _start(wb, **({"deployment": "sma", "slot": moment, "purpose": "live"} | facts))


def _slots(admin: Connection) -> list[tuple[Any, ...]]:
    return admin.execute(
        "SELECT deployment, slot, state, reason, attempts, run_id FROM workbench.slots ORDER BY 1, 2"
    ).fetchall()


def test_a_slot_is_worked_on_by_one_live_run(wb: Workbench, admin: Connection) -> None:
    first = _attempt(wb)
    assert _slots(admin) == [("sma", MOMENT, "running", None, 1, first)]
    for _ in range(2):
        with pytest.raises(SlotTaken, match=r"deployment sma is running for 2024-01-02 .*, or has run for"):
            _attempt(wb)
        if wb.runs.show(first)["status"] == "running":
            wb.runs.finish(first, "completed")
    # Who was refused leaves neither a record nor an event, and the slot as it was.
    assert len(wb.runs.list()) == 1
    assert [kind for kind, _, _ in _events(admin)] == ["notebook_run.started", "notebook_run.completed"]
    assert _slots(admin) == [("sma", MOMENT, "completed", None, 1, first)]


@pytest.mark.parametrize("status", ["failed", "crashed", "cancelled"])
def test_a_slot_that_failed_may_be_tried_again(wb: Workbench, admin: Connection, status: str) -> None:
    failed = _attempt(wb)
    wb.runs.finish(failed, status, error="no power")
    state = "cancelled" if status == "cancelled" else "failed"
    assert _slots(admin) == [("sma", MOMENT, state, "no power", 1, failed)]
    again = _attempt(wb)
    assert _slots(admin) == [("sma", MOMENT, "running", None, 2, again)]
    assert [wb.runs.show(run)["attempt"] for run in (failed, again)] == [1, 2]


def test_what_is_no_live_attempt_takes_no_slot(wb: Workbench, admin: Connection) -> None:
    live = _attempt(wb)
    for purpose in ("rerun", "rerun", "shadow", "rehearsal", "backfill"):
        wb.runs.finish(_attempt(wb, purpose=purpose), "failed")
    assert _slots(admin) == [("sma", MOMENT, "running", None, 1, live)]
    _attempt(wb, MOMENT.replace(day=3))
    _attempt(wb, deployment="rsi")
    for _ in range(2):
        _attempt(wb, None)
    assert len(_slots(admin)) == 3
    assert wb.runs.attempt(live) == Attempt("sma", MOMENT)
    assert wb.runs.attempt(_start(wb)) is None


def test_a_slot_that_no_run_works_on_is_settled_once(wb: Workbench, admin: Connection) -> None:
    attempt = Attempt("sma", MOMENT)

    def settle(state: Unworked, reason: str) -> bool:
        with wb.runs.pool.begin() as connection:
            return settle_slot(connection, attempt, state, reason)

    assert settle("due", "planned")
    assert settle("missed", "nothing ran")
    assert not settle("missed", "said again")
    assert _slots(admin) == [("sma", MOMENT, "missed", "nothing ran", 0, None)]
    run = _attempt(wb)
    assert not settle("missed", "too late")
    wb.runs.finish(run, "completed")
    assert not settle("skipped", "too late")
    assert _slots(admin) == [("sma", MOMENT, "completed", None, 1, run)]


def test_evidence_is_noted_by_kind_and_each_line_once(wb: Workbench) -> None:
    run = _start(wb)
    wb.runs.note_evidence(run, "unclamped", ["SELECT 1"])
    wb.runs.note_evidence(run, "unclamped", ["SELECT 2", "SELECT 1"])
    wb.runs.note_evidence(run, "unknown_close", ["file/GLD"])
    assert wb.runs.show(run)["evidence"] == {
        "unclamped": ["SELECT 1", "SELECT 2"],
        "unknown_close": ["file/GLD"],
    }


def test_runs_are_listed_newest_first_and_by_filter(wb: Workbench) -> None:
    ids = [str(_start(wb, notebook=f"{name}.ipynb")) for name in ("alpha", "beta", "50%_off")]
    wb.runs.finish(uuid.UUID(ids[0]), "completed")
    assert wb.runs.list()["run_id"].tolist() == ids[::-1]
    assert wb.runs.list(latest=1)["run_id"].tolist() == ids[2:]
    assert wb.runs.list(notebook="alpha")["run_id"].tolist() == ids[:1]
    assert wb.runs.list(notebook="%_o")["run_id"].tolist() == ids[2:]
    assert wb.runs.list(status="completed")["run_id"].tolist() == ids[:1]
    of_slot = str(_attempt(wb))
    assert wb.runs.list(deployment="sma", slot="2024-01-02 22:30")["run_id"].tolist() == [of_slot]
    assert wb.runs.list(slot=MOMENT)["run_id"].tolist() == [of_slot]
    assert wb.runs.list(deployment="sm").empty
    empty = wb.runs.list(notebook="nope")
    assert empty.empty
    assert empty.dtypes.equals(wb.runs.list().dtypes)
    with pytest.raises(QueryError, match="latest=0: expected 1 or more"):
        wb.runs.list(latest=0)
    with pytest.raises(QueryError, match="slot='then' is not a date or time"):
        wb.runs.list(slot="then")


def test_a_run_is_shown_by_the_first_characters_of_its_id(wb: Workbench) -> None:
    run_id = _start(wb)
    _start(wb)
    assert wb.runs.show(str(run_id)[:13].upper())["run_id"] == str(run_id)
    with pytest.raises(RunError, match="several run ids begin with"):
        wb.runs.show("")
    for unknown in ("zzz", "%", "_", uuid.uuid4()):
        with pytest.raises(RunError, match=r"there is no run .*; wb.runs.list"):
            wb.runs.show(unknown)


def test_a_row_saved_outside_of_any_run_has_none_to_show(wb: Workbench) -> None:
    wb.strategy_engine.write_strategies(pd.DataFrame({"strategy_id": ["s"], "name": ["S"]}))
    row = wb.strategy_engine.load_strategies("s").iloc[0]
    for missing in (row["run_id"], None, float("nan")):
        with pytest.raises(RunError, match=r"run_id is (nan|None): .* saved outside of any run"):
            wb.runs.show(missing)


def test_two_runs_side_by_side_show_what_differs(wb: Workbench) -> None:
    one = _start(wb, parameters={"fast": 20, "slow": 50}, notebook_sha256="aa", code_version="v1")
    other = _start(wb, parameters={"fast": 30, "slow": 50, "new": 1}, notebook_sha256="aa", code_version="v1")
    wb.runs.note_revisions(one, {"yahoo/AAPL": 1})
    wb.runs.note_revisions(other, {"yahoo/AAPL": 2})
    for run_id in (one, other):
        wb.runs.note_headline(run_id, {"sharpe_ratio": 1.5, "omega": None})
    table = wb.runs.compare(one, other)
    assert list(table.columns) == [str(one)[:8], str(other)[:8], "differs"]
    assert list(table["differs"]) == sorted(table["differs"], reverse=True), "what differs comes first"
    assert list(table.index[:2]) == ["parameters.fast", "parameters.new"]
    differs = set(table.index[table["differs"]]) - {"started_at"}
    assert differs == {"parameters.fast", "parameters.new", "data.yahoo/AAPL"}
    assert list(table.loc["parameters.fast"]) == [20, 30, True]
    assert not table.loc["headline.omega", "differs"]
    assert not table.loc["deployment", "differs"]


@pytest.mark.parametrize(
    ("facts", "said"),
    [({"trigger": "magic"}, "trigger must be interactive, command, deployment or retry")],
)
def test_what_a_run_cannot_be_is_said_in_words(wb: Workbench, facts: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueRefused, match=said):
        _start(wb, **facts)


def test_a_status_that_there_is_not_is_refused(wb: Workbench) -> None:
    run_id = _start(wb)
    for status in ("running", "done"):
        with pytest.raises(ValueRefused):
            wb.runs.finish(run_id, status)
    assert wb.runs.show(run_id)["status"] == "running"


def test_a_record_is_shown_as_a_card_and_says_what_its_numbers_were_made_of(wb: Workbench) -> None:
    run_id = _start(
        wb,
        deployment="sma",
        slot=MOMENT,
        purpose="live",
        notebook_sha256="ab" * 32,
        code_version="0.4.0+g5e4d484",
        parameters={"name": "<b>"},
    )
    wb.runs.note_revisions(run_id, {f"yahoo/S{number:02}": number for number in range(20)})
    record = wb.runs.show(run_id)
    told = dict(about(record))
    assert told["run"] == str(run_id)
    assert (told["deployment"], told["slot"]) == ("sma", f"{MOMENT:%Y-%m-%d %H:%M:%S} UTC")
    assert (told["purpose"], told["attempt"]) == ("live", "1")
    assert (told["content"], told["code"]) == ("ab" * 6, "0.4.0+g5e4d484")
    assert told["data"].startswith("yahoo/S00 at revision 0, yahoo/S01 at revision 1, ")
    assert told["data"].endswith("yahoo/S11 at revision 11, and 8 more, in the record")
    card = record._repr_html_()  # type: ignore[attr-defined]
    assert "&lt;b&gt;" in card
    assert "<b>" not in card


def test_the_short_form_of_a_runs_id_finds_its_rows(wb: Workbench) -> None:
    run_id = str(_start(wb))
    frame = pd.DataFrame({"strategy_id": ["s"], "name": ["S"]})
    wb.strategy_engine.write_strategies(frame)
    day = pd.DataFrame({"strategy_id": ["s"], "date": [MOMENT.date()], "returns": [0.01], "run_id": [run_id]})
    wb.strategy_engine.write_strategy_performance(day)
    for known in (run_id, run_id[:8], run_id[:13].upper()):
        assert len(wb.strategy_engine.load_strategy_performance(run_id=known)) == 1
    assert wb.strategy_engine.load_strategy_performance(run_id="0" * 8).empty
    with pytest.raises(QueryError, match="is not a run's id"):
        wb.strategy_engine.load_strategy_performance(run_id=run_id[:7])
