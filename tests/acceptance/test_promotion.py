"""From a notebook to a scheduled job, through a real Prefect server and worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import Site
from tests.acceptance.notebooks import write_notebook
from workbench.errors import ParametersRefused, PromotionRefused
from workbench.stack import Stack
from workbench.stack.prefect_api import PrefectApi

pytestmark = [pytest.mark.timeout(600)]


@pytest.fixture
def notebook(site: Site) -> Path:
    """A notebook that writes one strategy, named by its parameter."""
    return write_notebook(
        site.folder / "naming.ipynb",
        parameters='strategy: str = "one"  # what it is called\nfails: bool = False',
        cells=[
            "import pandas as pd\nfrom workbench import Workbench\nwb = Workbench()",
            'if fails:\n    raise RuntimeError("told to fail")',
            (
                'frame = pd.DataFrame({"strategy_id": [strategy], "name": ["first version"]})\n'
                "wb.strategy_engine.write_strategies(frame)"
            ),
        ],
    )


def prefect(site: Site) -> PrefectApi:
    endpoints = Stack(site.settings).endpoints()
    return PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string)


def test_a_promoted_notebook_runs_as_it_was_promoted_whatever_is_edited_since(
    site: Site, notebook: Path
) -> None:
    with site.workbench() as wb:
        deployment = wb.promote(
            notebook,
            name="naming",
            cron="0 6 * * *",
            timezone="Europe/Berlin",
            parameters={"strategy": "kept"},
        )
        notebook.write_text(notebook.read_text().replace("first version", "edited since"))
        ended = wb.trigger(deployment)
        assert ended.state == "COMPLETED", ended.message
        strategies = wb.strategy_engine.load_strategies("kept")
        assert list(strategies["name"]) == ["first version"]
        run = wb.runs.show(wb.runs.list(latest=1)["run_id"].iloc[0])
    assert (run["deployment"], run["trigger"], run["status"]) == ("naming", "deployment", "completed")
    assert str(run["flow_run_id"]) == ended.flow_run_id
    page = Path(run["html_path"]).read_text(encoding="utf-8")
    header = page.partition("<header")[2].partition("</header>")[0]
    for known in (run["run_id"], "naming", "a trigger of the deployment"):
        assert known in header
    assert run["code_version"] in header
    assert run["notebook_sha256"][:12] in header


def test_promoting_again_replaces_the_schedule_and_leaves_one(site: Site, notebook: Path) -> None:
    with site.workbench() as wb:
        wb.promote(notebook, name="again", cron="0 6 * * *", timezone="Europe/Berlin")
        wb.promote(notebook, name="again", cron="30 7 * * mon", timezone="Asia/Tokyo")
    found = prefect(site).ask("/deployments/name/run-notebook/again")
    schedules = [(entry["schedule"]["cron"], entry["schedule"]["timezone"]) for entry in found["schedules"]]
    assert schedules == [("30 7 * * mon", "Asia/Tokyo")]


def test_a_run_that_fails_says_so_everywhere(site: Site, notebook: Path) -> None:
    with site.workbench() as wb:
        deployment = wb.promote(
            notebook, name="failing", cron="0 6 * * *", timezone="UTC", parameters={"fails": True}
        )
        ended = wb.trigger(deployment)
        assert ended.state == "FAILED"
        assert "told to fail" in ended.message
        listed = wb.runs.list(latest=1).iloc[0]
        assert listed["status"] == "failed"
        assert "told to fail" in listed["error"]
        assert Path(listed["html_path"]).is_file()
        told = [event for event in wb.events.recent(50) if event.type == "notebook_run.failed"]
        assert told
        assert told[-1].data["run_id"] == listed["run_id"]


def test_parameters_are_checked_strictly_before_anything_is_deployed_or_run(
    site: Site, notebook: Path
) -> None:
    with site.workbench() as wb:
        with pytest.raises(ParametersRefused, match=r"strateggy.*did you mean strategy"):
            wb.promote(
                notebook, name="strict", cron="0 6 * * *", timezone="UTC", parameters={"strateggy": "x"}
            )
        deployment = wb.promote(notebook, name="strict", cron="0 6 * * *", timezone="UTC")
        with pytest.raises(ParametersRefused, match="no parameter nope"):
            wb.trigger(deployment, {"nope": 1})
        with pytest.raises(ParametersRefused, match="Prefect refuses"):
            wb.trigger(deployment, {"strategy": 5})


def test_a_schedule_that_cannot_be_is_refused(site: Site, notebook: Path) -> None:
    with site.workbench() as wb:
        for cron, timezone, sentence in (
            ("0 6 * *", "UTC", "has 4 fields"),
            ("99 6 * * *", "UTC", "Invalid cron"),
            ("0 6 * * *", "Mars/Olympus", "no time zone 'Mars/Olympus'"),
        ):
            with pytest.raises(PromotionRefused, match=sentence):
                wb.promote(notebook, name="never", cron=cron, timezone=timezone)


def test_the_prefect_form_shows_the_notebooks_parameters(site: Site, notebook: Path) -> None:
    with site.workbench() as wb:
        wb.promote(notebook, name="form", cron="0 6 * * *", timezone="UTC")
    schema = prefect(site).ask("/deployments/name/run-notebook/form")["parameter_openapi_schema"]
    shown = schema["properties"]["parameters"]["properties"]
    assert shown["strategy"]["type"] == "string"
    assert shown["strategy"]["description"] == "what it is called"
    assert shown["fails"]["default"] is False


def test_run_and_promote_by_the_command_line(site: Site, notebook: Path) -> None:
    ran = site.ask("run", str(notebook), "-p", "strategy=by-command")
    assert ran["status"] == "completed"
    shown = site.ask("runs", "show", ran["run_id"][:8])
    assert shown["parameters"] == {"strategy": "by-command", "fails": False}
    promoted = site.ask(
        "promote",
        str(notebook),
        "--name",
        "by-command",
        "--cron",
        "0 6 * * *",
        "--timezone",
        "UTC",
        "-p",
        "fails=true",
    )
    assert promoted["parameters"] == {"strategy": "one", "fails": True}
    listed = site.ask("runs", "list", "--latest", "1")
    assert json.dumps(listed)
    assert listed[0]["run_id"] == ran["run_id"]
