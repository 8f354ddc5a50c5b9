"""What a deployment is to await is refused where it could never come, or would start itself."""

from __future__ import annotations

from typing import Any

import pytest

from workbench import Workbench
from workbench.errors import NotDeployed, ScheduleRefused
from workbench.promotion.scheduling import chosen_schedule
from workbench.runs.versions import DeploymentVersion
from workbench.schedules.on_event import After, OnEvent

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)


def deploy(wb: Workbench, name: str, schedule: dict[str, Any]) -> None:
    new = DeploymentVersion(
        deployment=name,
        notebook="a.ipynb",
        content="a" * 64,
        parameters={},
        options={},
        schedule=schedule,
        code_version="1",
    )
    wb.runs.versions.use(name, wb.runs.versions.add(new).version)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"on": "market_data.writen"}, "no event 'market_data.writen' (did you mean market_data.written?)"),
    ({"on": "market_data.written", "where": {"symbl": "AAPL"}}, "never names that (did you mean symbol?)"),
    (
        {"on": "market_data.written", "where": {"strategy_id": "x"}},
        "asked for: symbol, data_source",
    ),
    ({"on": "market_data.written", "where": {"data_source": "Yahoo!"}}, "no data source can have that"),
    ({"on": "market_data.written", "where": {"symbol": []}}, "where symbol: no value is given"),
    ({"on": "market_data.written", "settle": "soon"}, "is no length of time"),
    ({"on": "market_data.written", "after": "prices"}, "on and after are both given"),
    ({"on": "market_data.written", "cron": "* * * * *"}, "cron and on are both given"),
    ({"after": "prices", "calendar": "XNYS"}, "calendar and after are both given"),
    ({"after": "prices", "settle": "30s"}, "it goes with on only"),
    ({"after": "prices", "catch_up": "all"}, "catch_up='all' is of schedules by the clock"),
    ({"cron": "* * * * *", "timezone": "UTC", "where": {"symbol": "A"}}, "it goes with on only"),
    ({"on": "notebook_run.completed"}, "comes of every run; say of which deployment"),
    ({"after": "price"}, "there is no deployment price to come after (did you mean prices?)"),
    ({"after": "retired"}, "there is no deployment retired to come after"),
    (
        {"on": "notebook_run.completed", "where": {"deployment": "nobody"}},
        "there is no deployment nobody to come after",
    ),
    ({"after": "mine"}, "without end: mine after mine"),
    ({"after": "last"}, "without end: mine after last after middle after mine"),
]


def test_what_could_never_come_or_would_never_end_is_refused_in_one_sentence(wb: Workbench) -> None:
    deploy(wb, "prices", {"kind": "cron", "cron": "* * * * *", "timezone": "UTC"})
    deploy(wb, "retired", {"kind": "cron", "cron": "* * * * *", "timezone": "UTC"})
    wb.runs.versions.set_state("retired", "retired")
    deploy(wb, "middle", After("mine").to_json())
    deploy(wb, "last", OnEvent("notebook_run.completed", {"deployment": ["middle"]}).to_json())
    for given, said in REFUSED:
        with pytest.raises((ScheduleRefused, NotDeployed)) as refused:
            chosen_schedule(wb.session, "mine", "notebook", **given)
        assert said in str(refused.value)
        assert "\n" not in str(refused.value)


def test_an_ingestion_is_not_started_by_what_it_writes(wb: Workbench) -> None:
    with pytest.raises(ScheduleRefused, match="would start itself"):
        chosen_schedule(wb.session, "prices", "ingest", on="market_data.written")


def test_an_event_of_ones_own_can_be_awaited_once_it_was_published(wb: Workbench) -> None:
    asked: dict[str, Any] = {"on": "model.trained", "where": {"name": "lasso"}, "settle": 2}
    with pytest.raises(ScheduleRefused, match="once it has been published"):
        chosen_schedule(wb.session, "mine", "notebook", **asked)
    wb.events.publish_data_event("model.trained", "research", {"name": "ridge"})
    assert chosen_schedule(wb.session, "mine", "notebook", **asked) == OnEvent(
        "model.trained", {"name": ["lasso"]}, settle=2.0
    )
