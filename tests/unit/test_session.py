"""A session and the facets on it work without the Workbench; the Workbench only passes on."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from workbench import Workbench
from workbench.earlier_names import EarlierNames
from workbench.promotion.deployments import Deployments
from workbench.research import Research
from workbench.session import Session
from workbench.settings import Settings

# Each earlier name of a verb, and where it is now.
EARLIER = {
    "honesty": (Research, "honesty"),
    "tearsheet": (Research, "tearsheet"),
    "save_backtest": (Research, "save"),
    "save_sweep": (Research, "save"),
    "save_validation": (Research, "save"),
    "trigger": (Deployments, "trigger"),
}


@pytest.fixture
def wb(tmp_path: Path) -> Workbench:
    return Workbench(Settings(home=tmp_path))


def test_making_a_session_opens_nothing(tmp_path: Path) -> None:
    session = Session(Settings(home=tmp_path / "home"))
    _ = session.stack, session.trials, session.data_ingestion, session.events, session.pool("readonly")
    session.close()
    assert not (tmp_path / "home").exists()


def test_a_workbench_can_share_a_session(tmp_path: Path) -> None:
    session = Session(Settings(home=tmp_path))
    one, other = Workbench(session=session), Workbench(session=session)
    assert one.settings is session.settings
    assert one.data_ingestion is other.data_ingestion is session.data_ingestion
    assert one.trials is session.trials


def test_earlier_names_pass_on_to_the_facets_unlisted(wb: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name for name in vars(EarlierNames) if not name.startswith("_")} == EARLIER.keys()
    for earlier, (facet, verb) in EARLIER.items():
        passed: list[Any] = []
        monkeypatch.setattr(facet, verb, lambda _, *given, to=passed, **options: to.append((given, options)))
        getattr(wb, earlier)("what", option=5)
        assert passed[0][0][0] == "what"
        assert passed[0][1] == {"option": 5}
        assert earlier not in dir(wb)


@pytest.mark.parametrize("verb", ["save", "sweep"])
def test_a_verb_of_wb_takes_what_its_facet_takes(verb: str) -> None:
    assert inspect.signature(getattr(Workbench, verb)) == inspect.signature(getattr(Research, verb))


def test_promote_takes_what_its_facet_takes() -> None:
    assert inspect.signature(Workbench.promote) == inspect.signature(Deployments.promote)
