"""From a notebook to a scheduled job, through a real Prefect server and worker."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.acceptance.browser import open_page, signed_in
from tests.acceptance.conftest import CLONE, Site
from tests.acceptance.notebooks import write_notebook
from tests.servers import wait_for
from workbench import Workbench
from workbench.errors import NotDeployed, ParametersRefused, PromotionRefused
from workbench.promotion.artifact import saved_picture
from workbench.promotion.deployments import Deployments
from workbench.runs.versions import VersionStore
from workbench.session import Session
from workbench.stack import Stack
from workbench.stack.prefect_api import PrefectApi, PrefectRefused

pytestmark = [pytest.mark.timeout(600)]

SMA = "strategies/sma_cross.ipynb"
SCHEDULE: dict[str, Any] = {"cron": "0 6 * * *", "timezone": "UTC"}
OLD_PAGES = importlib.metadata.version("prefect") == "3.4.14"


@pytest.fixture
def notebook(site: Site) -> Path:
    """A notebook that writes one strategy, named by its parameter."""
    return write_notebook(
        site.folder / "naming.ipynb",
        parameters='strategy: str = "one"  # what it is called\nfails: bool = False',
        cells=[
            "import pandas as pd\nfrom workbench import Workbench\nwb = Workbench()",
            'print("naming", strategy)\nif fails:\n    raise RuntimeError("told to fail")',
            (
                'frame = pd.DataFrame({"strategy_id": [strategy], "name": ["first version"]})\n'
                "wb.strategy_engine.write_strategies(frame)"
            ),
        ],
    )


def prefect(site: Site) -> PrefectApi:
    endpoints = Stack(site.settings).endpoints()
    return PrefectApi(str(endpoints.prefect_api_url), endpoints.prefect_auth_string)


def artifact_of(site: Site, flow_run_id: str) -> Any:
    # Newer ones leave another beside it, of no type, for what the flow raised.
    wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}, "type": {"any_": ["markdown"]}}}
    (found,) = prefect(site).ask("/artifacts/filter", wanted)
    return found


def log_of(site: Site, flow_run_id: str, *, until: str) -> list[str]:
    """The messages in a flow run's log, which arrives a little later than the run's end."""
    wanted = {"logs": {"flow_run_id": {"any_": [flow_run_id]}}, "sort": "TIMESTAMP_ASC"}
    for _ in range(60):
        messages = [entry["message"] for entry in prefect(site).ask("/logs/filter", wanted)]
        if any(until in message for message in messages):
            break
        time.sleep(0.5)
    return messages


@pytest.fixture(scope="module")
def sma_cross(site: Site) -> dict[str, Any]:
    """sma_cross.ipynb after a run by hand, and promoted and run by the worker, with the same parameters."""
    assert site.run("ingest", "AAPL").returncode == 0
    ran = site.ask("run", SMA)
    with site.workbench() as wb:
        deployment = wb.promote(SMA, name="sma-cross", **SCHEDULE)
        ended = wb.deployments.trigger(deployment)
        assert ended.state == "COMPLETED", ended.message
    return {"run_id": ran["run_id"], "deployment": deployment, "flow_run_id": ended.flow_run_id}


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
        ended = wb.deployments.trigger(deployment)
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


def test_the_facet_lists_and_triggers_deployments_without_a_workbench(site: Site, notebook: Path) -> None:
    with closing(Session(site.settings)) as session:
        deployments = Deployments(session)
        promoted = deployments.promote(notebook, name="listed", cron="0 6 * * *", timezone="Europe/Berlin")
        listed = deployments.list().set_index("name")
        assert listed.loc["listed", "schedules"] == "0 6 * * * (Europe/Berlin)"
        assert listed.loc["listed", "next_run"] == promoted.next_run
        assert (listed.loc["listed", "late"], listed.loc["listed", "problem"]) == (0, "")
        assert deployments.trigger("listed", {"strategy": "by the facet"}).state == "COMPLETED"
        assert len(session.strategy_engine.load_strategies("by the facet")) == 1


def test_what_is_not_deployed_is_said_to_be_not_found(site: Site) -> None:
    with site.workbench() as wb:
        with pytest.raises(NotDeployed, match=r"^nothing is deployed as nowhere; wb\.deployments\.list\(\)"):
            wb.deployments.trigger("nowhere")
        with pytest.raises(PromotionRefused):
            wb.trigger("nowhere")


def test_a_run_that_fails_says_so_everywhere(site: Site, notebook: Path) -> None:
    with site.workbench() as wb:
        deployment = wb.promote(
            notebook,
            name="failing",
            cron="0 6 * * *",
            timezone="UTC",
            parameters={"fails": True},
            force="it has to fail",
        )
        ended = wb.deployments.trigger(deployment)
        assert ended.state == "FAILED"
        assert "told to fail" in ended.message
        listed = wb.runs.list(latest=1).iloc[0]
        assert listed["status"] == "failed"
        assert "told to fail" in listed["error"]
        assert Path(listed["html_path"]).is_file()
        told = [event for event in wb.events.recent(50) if event.type == "notebook_run.failed"]
        assert told
        assert told[-1].data["run_id"] == listed["run_id"]
    artifact = artifact_of(site, ended.flow_run_id)
    assert (artifact["key"], artifact["type"]) == ("run-failing", "markdown")
    assert "RuntimeError: told to fail" in artifact["data"]
    assert re.search(r"^- Cell: `\d+`$", artifact["data"], flags=re.MULTILINE)
    assert f"- Page: `{listed['html_path']}`" in artifact["data"]
    assert f"- Run: `{listed['run_id']}`" in artifact["data"]
    # What it printed before it failed is told, with the number that the page shows.
    log = log_of(site, ended.flow_run_id, until="naming one")
    assert [line for line in log if re.fullmatch(r"cell \d+: naming one", line)], log


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
            wb.deployments.trigger(deployment, {"nope": 1})
        with pytest.raises(ParametersRefused, match="strategy must be str, got int 5"):
            wb.deployments.trigger(deployment, {"strategy": 5})
    # Whoever asks Prefect itself is refused, too.
    values = deployment.parameters | {"strategy": 5}
    with pytest.raises(PrefectRefused, match="5 is not of type 'string'"):
        prefect(site).ask(
            f"/deployments/{deployment.deployment_id}/create_flow_run", {"parameters": {"parameters": values}}
        )


def test_a_schedule_that_cannot_be_is_refused(site: Site, notebook: Path) -> None:
    with site.workbench() as wb:
        for cron, timezone, sentence in (
            ("0 6 * *", "UTC", "has 4 fields"),
            ("99 6 * * *", "UTC", "minute 99 is not in 0 to 59"),
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
        "--force",
        "it has to fail",
    )
    assert "told to fail" in promoted["doubts"][0]
    assert promoted["parameters"] == {"strategy": "one", "fails": True}
    listed = site.ask("runs", "list", "--latest", "1")
    assert json.dumps(listed)
    assert listed[0]["run_id"] == ran["run_id"]


def test_a_failed_run_names_its_run_its_page_and_its_notebook(site: Site, notebook: Path) -> None:
    done = site.run("run", str(notebook), "-p", "fails=true")
    assert done.returncode == 1
    assert done.stdout == ""
    told = [line.split() for line in done.stderr.splitlines() if not line.startswith("error: ")]
    (run_id,) = (words[1] for words in told if words[0] == "run" and words[2] == "failed")
    (page,) = (words[1] for words in told if words[0] == "page")
    (output,) = (words[1] for words in told if words[0] == "notebook")
    recorded = site.ask("runs", "show", run_id)
    assert recorded["status"] == "failed"
    assert (recorded["html_path"], recorded["output_path"]) == (page, output)
    assert Path(page).is_file()
    assert Path(output).is_file()
    as_json = site.run("run", str(notebook), "-p", "fails=true", "--json")
    assert as_json.returncode == 1
    facts = json.loads(as_json.stdout)
    assert facts["status"] == "failed"
    assert Path(facts["html"]).is_file()
    assert "told to fail" in facts["error"]


def test_a_scheduled_run_shows_eight_figures_and_the_picture(site: Site, sma_cross: dict[str, Any]) -> None:
    artifact = artifact_of(site, sma_cross["flow_run_id"])
    endpoints = Stack(site.settings).endpoints()
    with signed_in(str(endpoints.prefect_ui_url), str(endpoints.prefect_auth_string), height=1500) as page:
        pages = page.url.partition("/dashboard")[0]
        page.goto(f"{pages}/artifacts/artifact/{artifact['id']}")
        page.get_by_role("heading", name=SMA).wait_for(timeout=30_000)
        table = page.locator("table").filter(has_text="Sharpe").first
        table.wait_for(timeout=30_000)
        # Those of README's demo, which is this strategy on these bars.
        for text in ("Return", "+637.6%", "Sharpe", "0.63", "Max drawdown", "−78.0%", "Trades", "31", "61%"):
            assert table.get_by_text(text, exact=True).count() == 1, text
        assert table.locator("th").count() == 8
        # The picture is that of `tearsheet().png()`: 1200 × 900, and it is drawn.
        picture = page.locator("img[src^='data:image/png']")
        picture.wait_for()
        assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [1200, 900]
        more = page.get_by_text("profit factor")
        assert not more.is_visible()
        page.get_by_text("More figures").click()
        more.wait_for()
        page.screenshot(path=site.folder / "artifact.png")


def test_the_picture_is_that_of_the_run_that_saved_it_last(site: Site, sma_cross: dict[str, Any]) -> None:
    with site.workbench() as wb:
        later = wb.runs.list(notebook=SMA, latest=1)["run_id"].iloc[0]
        assert later != sma_cross["run_id"]
        picture = saved_picture(wb.analytics, later)
        assert picture is not None
        assert picture.startswith(b"\x89PNG")
        assert saved_picture(wb.analytics, sma_cross["run_id"]) is None


def test_a_range_holds_in_every_place_where_a_value_enters(site: Site, sma_cross: dict[str, Any]) -> None:
    sentence = "fast must be int from 1 to 200, got 500"
    deploy = ("promote", SMA, "--name", "never", "--cron", "0 6 * * *", "--timezone", "UTC")
    assert sentence in site.refusal("run", SMA, "-p", "fast=500")
    assert sentence in site.refusal(*deploy, "-p", "fast=500")
    deployment = sma_cross["deployment"]
    with site.workbench() as wb:
        for parameters in ({"fast": 500}, {"fast": 50, "slow": 50}):
            with pytest.raises(ParametersRefused, match="fast"):
                wb.promote(SMA, name="never", **SCHEDULE, parameters=parameters)
            with pytest.raises(ParametersRefused, match="fast"):
                wb.deployments.trigger(deployment, parameters)
    values = deployment.parameters | {"fast": 500}
    with pytest.raises(PrefectRefused, match="500 is greater than the maximum of 200"):
        prefect(site).ask(
            f"/deployments/{deployment.deployment_id}/create_flow_run", {"parameters": {"parameters": values}}
        )


def test_prefects_form_tells_the_range_and_holds_to_it(site: Site, sma_cross: dict[str, Any]) -> None:
    endpoints = Stack(site.settings).endpoints()
    with signed_in(str(endpoints.prefect_ui_url), str(endpoints.prefect_auth_string), height=2000) as page:
        pages = page.url.partition("/dashboard")[0]
        form = f"{pages}/deployments/deployment/{sma_cross['deployment'].deployment_id}/run"
        page.goto(form)
        page.get_by_text("bars in the fast average (1 to 200)").wait_for(timeout=30_000)
        fast = page.locator("input[type=number]").first
        assert fast.input_value() == "20"
        fast.fill("500")
        page.get_by_role("button", name="Submit").click()
        if OLD_PAGES:
            page.get_by_text("500 is greater than the maximum of 200").first.wait_for(timeout=30_000)
        else:
            assert fast.evaluate("input => input.validationMessage").endswith("less than or equal to 200.")
        assert page.url == form


def test_what_is_not_fit_to_run_by_schedule_is_refused_with_advice_that_works(site: Site) -> None:
    deploy = ("--name", "start", "--cron", "0 6 * * *", "--timezone", "UTC")
    said = site.refusal("promote", "00_start_here.ipynb", *deploy)
    assert 'no cell tagged "parameters"' in said
    assert "promotes" in said
    assert "triggers" in said
    notebook = nbformat.read(CLONE / "notebooks" / "00_start_here.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and ("promote(" in cell.source or "trigger(" in cell.source):
            cell.metadata.tags = ["skip-execution"]
    notebook.cells.insert(0, nbformat.v4.new_code_cell("", metadata={"tags": ["parameters"]}))
    advised = site.folder / "advised.ipynb"
    nbformat.write(notebook, advised)
    # What it ingests is there already: a notebook that saves signals may bring no bars of its own.
    assert site.run("ingest", "AAPL", "IBM", "MSFT", "GOOG", "FB").returncode == 0
    with site.workbench() as wb:
        promoted = wb.promote(advised, name="advised", **SCHEDULE)
        assert {gate.outcome for gate in promoted.gates[:5]} == {"passed"}
        assert ["SELECT data_source" in doubt for doubt in promoted.doubts] == [True, True]
        ended = wb.deployments.trigger(promoted)
        assert ended.state == "COMPLETED", ended.message
    bare = site.folder / "bare.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(1)")]), bare)
    forced = site.ask("promote", str(bare), *deploy, "--force", "to show it")
    with site.workbench() as wb:
        kept = VersionStore(wb.session.pool("runs")).get("start", 1)
    assert str(kept.forced).startswith("to show it; although it has no cell tagged")
    assert [gate["gate"] for gate in kept.evidence] == [gate["gate"] for gate in forced["gates"]]
    told = prefect(site).ask(f"/deployments/{forced['deployment_id']}")["description"]
    assert ": to show it; although it has no cell tagged" in told
    log = log_of(site, ended.flow_run_id, until="yahoo_adjusted")
    assert [line for line in log if re.match(r"cell \d+: AAPL +yahoo_adjusted", line)], log


def test_the_first_sight_of_prefects_pages_is_as_documented(site: Site) -> None:
    """No error and no advertisement is seen, apart from one window of the older pages."""
    endpoints = Stack(site.settings).endpoints()
    noise = (
        "Oops. Something went wrong.",
        "Authentication failed.",
        "Prefect Cloud",
        "Join the Community",
        "Login",
    )
    with open_page(f"{endpoints.prefect_ui_url}/", login=str(endpoints.prefect_auth_string)) as page:
        page.get_by_text("Event Feed").first.wait_for(timeout=30_000)
        page.wait_for_load_state("networkidle")
        seen = [words for words in noise if page.get_by_text(words).count()]
    if OLD_PAGES:
        assert set(seen) <= {"Join the Community", "Prefect Cloud"}
    else:
        assert seen == []


def test_prefects_own_command_as_documented_prints_no_warning(
    site: Site, sma_cross: dict[str, Any], tmp_path: Path
) -> None:
    endpoints = Stack(site.settings).endpoints()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "COLUMNS"))}
    done = subprocess.run(
        [Path(sys.executable).with_name("prefect"), "deployment", "ls"],
        env=kept
        | {
            "HOME": str(tmp_path),
            "PREFECT_API_URL": str(endpoints.prefect_api_url),
            "PREFECT_API_AUTH_STRING": str(endpoints.prefect_auth_string),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "run-notebook/sma-cross" in done.stdout


def test_a_run_that_a_worker_took_up_before_promoting_again_is_withdrawn(site: Site, notebook: Path) -> None:
    def runs(deployment_id: str, *states: str) -> list[dict[str, Any]]:
        wanted = {
            "deployments": {"id": {"any_": [deployment_id]}},
            "flow_runs": {"state": {"type": {"any_": list(states)}}},
        }
        return list(prefect(site).ask("/flow_runs/filter", wanted))

    def remove(deployment_id: str) -> None:
        """It would run every minute beside the other tests."""
        prefect(site).ask(f"/deployments/{deployment_id}", method="DELETE")

    def promote_in_time(wb: Workbench) -> tuple[dict[str, Any], str]:
        """Promote again between a worker's taking up a run, ten seconds before its slot, and the slot.

        The second promotion runs its notebook first, and waits for the worker when that has ended.
        """
        for number in range(4):
            schedule: dict[str, Any] = {"name": f"taken-{number}", "cron": "* * * * *", "timezone": "UTC"}
            made = wb.promote(notebook, parameters={"strategy": "earlier"}, **schedule).deployment_id
            taken: list[dict[str, Any]] = []

            def wait_for_worker(step: str, made: str = made, taken: list[dict[str, Any]] = taken) -> None:
                if step.endswith("; done"):
                    taken += wait_for(
                        partial(runs, made, "PENDING"), "a worker has taken up a run", seconds=90
                    )

            wb.promote(notebook, parameters={"strategy": "later"}, progress=wait_for_worker, **schedule)
            (run,) = taken
            if datetime.now(UTC) < datetime.fromisoformat(run["expected_start_time"]):
                return run, made
            remove(made)
        pytest.fail("this machine is too slow to promote within ten seconds")

    with site.workbench() as wb:
        taken_up, deployment_id = promote_in_time(wb)
        try:
            completed = wait_for(
                lambda: runs(deployment_id, "COMPLETED"), "the later version has run", seconds=150
            )
            (earlier,) = runs(deployment_id, "CANCELLED")
        finally:
            remove(deployment_id)
    assert earlier["id"] == taken_up["id"]
    assert {run["parameters"]["parameters"]["strategy"] for run in completed} == {"later"}
    log = " ".join(log_of(site, taken_up["id"], until="cancelled")).lower()
    assert "crash" not in log
    assert "naming earlier" not in log


def test_going_back_pausing_and_a_shadow_from_python_and_the_command_line(site: Site, notebook: Path) -> None:
    """A run by hand is the live run of the newest slot; the shadow's comes by itself after it."""

    def in_prefect() -> Any:
        return prefect(site).ask("/deployments/name/run-notebook/versioned")

    now = datetime.now(UTC)
    # Due an hour ago, and then not while this runs.
    schedule: dict[str, Any] = {"cron": f"0 {(now.hour - 1) % 24} * * *", "timezone": "UTC"}
    with site.workbench() as wb:
        wb.promote(notebook, name="versioned", parameters={"strategy": "first"}, **schedule)
        wb.promote(
            notebook, name="versioned", parameters={"strategy": "second"}, cron="0 6 1 * *", timezone="UTC"
        )
    rolled = site.ask("deployments", "rollback", "versioned", "--note", "the second loses")
    assert (rolled["version"], rolled["parameters"]["strategy"]) == (3, "first")
    assert in_prefect()["version"] == "3"
    assert [entry["schedule"]["cron"] for entry in in_prefect()["schedules"]] == [schedule["cron"]]
    assert "rolled back to version 1" in in_prefect()["description"]
    made = [one["made"] for one in site.ask("deployments", "versions", "versioned")]
    assert made == ["rolled back to 1", "promoted", "promoted"]
    site.ask("deployments", "pause", "versioned", "--reason", "earnings")
    assert in_prefect()["paused"]
    assert "paused, because earnings" in site.run("deployments", "show", "versioned").stdout
    site.ask("deployments", "resume", "versioned")
    assert not in_prefect()["paused"]
    changed = notebook.read_text().replace("first version", "shadow version")
    notebook.write_text(changed)
    promoted = site.run(
        *("promote", str(notebook), "--name", "versioned", "--cron", schedule["cron"], "--timezone", "UTC"),
        *("-p", "strategy=beside", "--shadow", "1"),
    )
    assert promoted.returncode == 0, promoted.stderr
    assert in_prefect()["version"] == "3", "what is live stays so"
    with site.workbench() as wb:
        assert wb.deployments.trigger("versioned").state == "COMPLETED"

        def shadow_run() -> Any:
            found = wb.runs.list(deployment="versioned")
            return found[(found["purpose"] == "shadow") & (found["status"] == "completed")]

        ran = wait_for(lambda: shadow_run().to_dict("records"), "the shadow has run by itself", seconds=120)
        record = wb.runs.show(ran[0]["run_id"])
        assert (record["deployment_version"], record["parameters"]["strategy"]) == (4, "beside")
        assert record["slot"] == wb.runs.list(deployment="versioned")["slot"].iloc[-1]
        # Undone, but for its record.
        assert wb.strategy_engine.load_strategies("beside").empty
        assert list(wb.strategy_engine.load_strategies("first")["name"]) == ["first version"]
        # One slot, one run: that was all.
        assert wb.runs.versions.take_shadow_slot("versioned") is None
    diff = site.run("deployments", "diff", "versioned", "3", "4").stdout
    assert '+frame = pd.DataFrame({"strategy_id": [strategy], "name": ["shadow version"]})' in diff
    assert "parameter strategy: first → beside" in diff
    cut = site.ask("deployments", "cut-over", "versioned")
    assert (cut["version"], cut["parameters"]["strategy"], in_prefect()["version"]) == (5, "beside", "5")
    (listed,) = [one for one in site.ask("deployments", "list") if one["name"] == "versioned"]
    assert (listed["state"], listed["version"], listed["shadow"]) == ("active", 5, None)
    assert (listed["outcome"], listed["problem"]) == ("completed", "")
    with site.workbench() as wb:
        wb.deployments.retire("versioned", reason="done")
        with pytest.raises(NotDeployed, match="versioned is retired; have it run again with"):
            wb.deployments.trigger("versioned")
    assert in_prefect()["paused"]
    assert "versioned is retired" in site.run("deployments", "next", "versioned").stderr
