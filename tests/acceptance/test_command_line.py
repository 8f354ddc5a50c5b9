"""The command line against bad input: one clear sentence each, nothing half-written."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Site
from workbench.db import migrate

pytestmark = [pytest.mark.timeout(600)]

SMA = "strategies/sma_cross.ipynb"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["ingest", "NOPE"], "the sample does not have NOPE; it has AAPL, IBM, MSFT, GOOG, FB"),
        (["ingest", "AAPL", "--start", "2020-01-01"], "no bars of AAPL from 2020-01-01"),
        (["ingest", "AAPL", "--start", "2010-01-01", "--end", "2009-01-01"], "start must be before end"),
        (["ingest", "AAPL", "--start", "soon"], "start='soon' is not a date"),
        (["ingest", "X", "--source", "file"], "--path FILE"),
        (["ingest", "X", "--source", "file", "--path", "/nowhere/bars.csv"], "there is no file"),
        (["ingest", "X", "--source", "bloomberg"], 'there is no source "bloomberg"; there are: sample, file'),
        (["run", "nope"], "there is no notebook nope"),
        (["run", SMA, "-p", "fsat=3"], "there is no parameter 'fsat' (did you mean fast?)"),
        (["run", SMA, "-p", "fast=quick"], "fast must be int from 1 to 200, got 'quick'"),
        (["runs", "show", "ffffffff"], "there is no run ffffffff"),
        (
            ["promote", SMA, "--name", "a b", "--cron", "0 6 * * *", "--timezone", "UTC"],
            "cannot name a deployment",
        ),
    ],
)
def test_a_refusal_is_one_sentence(site: Site, words: list[str], sentence: str) -> None:
    assert sentence in site.refusal(*words)


def test_a_file_with_a_missing_column_stores_nothing(site: Site) -> None:
    path = site.folder / "no-close.csv"
    path.write_text("date,open,high,low,volume\n2024-01-02,1,2,1,100\n")
    assert "close" in site.refusal("ingest", "NOCLOSE", "--source", "file", "--path", str(path))
    with site.workbench() as wb:
        assert wb.data_ingestion.load_ingestion_status("NOCLOSE").empty


def test_bad_rows_are_logged_and_good_ones_load(site: Site) -> None:
    path = site.folder / "mixed.csv"
    path.write_text(
        "date,open,high,low,close,volume\n"
        "2024-01-02,10,11,9,10,100\n"
        "2024-01-03,10,9,11,10,100\n"
        "2024-01-04,ten,11,9,10,100\n"
        "2024-01-05,10,inf,9,10,100\n"
        "2024-01-02,10,11,9,10,100\n"
        ",10,11,9,10,100\n"
    )
    words = ["ingest", "MIXED", "--source", "file", "--path", str(path)]
    done = site.run(*words)
    assert done.returncode == 0, done.stderr
    assert "5 of 6 rows refused" in done.stderr
    assert "see them: workbench quality MIXED\n" in done.stderr
    assert done.stderr.endswith("warning: mixed.csv: more than a tenth was refused, 5 of 6 rows (83%)\n")
    assert site.run(*words, "--strict").returncode == 1
    with site.workbench() as wb:
        assert len(wb.data_ingestion.load_market_data("MIXED")) == 1
        logs = wb.data_ingestion.load_data_quality_logs("MIXED")
    assert sorted(logs["row_number"]) == [2, 3, 4, 5, 6]
    assert (logs["reason"] != "").all()


def test_quality_shows_what_was_refused_by_file_and_rule_with_the_rows(site: Site) -> None:
    path = site.folder / "dirty.csv"
    good = [f"2024-01-{day:02},10,11,9,10,9.5,100" for day in range(2, 22)]
    bad = ["2024-02-01,10,9,11,10,9.5,100", "2024-02-02,ten,11,9,10,9.5,100", "2024-02-05,10,9,11,10,9.5,7"]
    path.write_text("\n".join(["Date,Open,High,Low,Close,Adj Close,Volume", *good, *bad[:2]]) + "\n")
    done = site.run("ingest", "DIRTY", "--source", "file", "--path", str(path), "--strict")
    # Two of twenty-two are less than a tenth.
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    option = "--column 'close=Adj Close'"
    assert f"dirty.csv: not used: Adj Close (to take it for the close: {option})" in done.stderr
    path.write_text("\n".join(["Date,Open,High,Low,Close,Adj Close,Volume", *good, *bad]) + "\n")
    assert site.run("ingest", "DIRTY", "--source", "file", "--path", str(path), "--strict").returncode == 1
    shown = site.run("quality", "DIRTY", "--rows", "1")
    assert shown.returncode == 0, shown.stderr
    table = {tuple(line.split()) for line in shown.stdout.splitlines()[:3]}
    assert ("dirty.csv", "file", "high_below_low", "error", "2", "DIRTY") in table
    assert ("dirty.csv", "file", "not_a_number", "error", "1", "DIRTY") in table
    assert "dirty.csv row 23 DIRTY high_below_low: high 9 is below low 11" in shown.stdout
    assert "Volume=7" in shown.stdout
    assert "the newest 1 of 3 rows" in shown.stderr
    rows = site.ask("quality", "--file", "dirty", "--rule", "not_a_number")
    assert [row["raw"]["Open"] for row in rows] == ["ten"]
    nothing = site.run("quality", "--rule", "nope")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "high_below_low" in nothing.stderr
    assert 'no severity "bad"; there are: error, warning, all' in site.refusal("quality", "--severity", "bad")


def test_status_and_doctor_tell_what_runs_where(site: Site) -> None:
    services = {service["name"]: service for service in site.ask("status")["services"]}
    assert set(services) == {"PostgreSQL", "Valkey", "Prefect server", "Worker", "Relay", "Supervisor"}
    assert all(service["running"] for service in services.values())
    assert services["PostgreSQL"]["version"].startswith("18.")
    assert "127.0.0.1" in services["Prefect server"]["where"]
    doctor = site.run("doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert "✗" not in doctor.stdout
    # Passwords are in no output.
    assert "workbench:" not in doctor.stdout


def test_the_database_is_current_and_as_declared(site: Site) -> None:
    assert site.run("db", "current").stdout.split()[0] == migrate.head()
    assert site.run("db", "check").returncode == 0
    rows = site.run("db", "psql", "-Atc", "SELECT count(*) FROM workbench.runs")
    assert rows.returncode == 0, rows.stderr
    assert rows.stdout.strip().isdigit()
    refused = site.run("db", "psql", "-c", "DELETE FROM workbench.runs")
    assert "permission denied" in refused.stderr


def test_events_tail_shows_what_happened(site: Site) -> None:
    assert site.run("ingest", "FB").returncode == 0
    for _ in range(50):
        told = site.run("events", "tail", "--no-follow", "--latest", "100").stdout
        if "FB" in told:
            break
    assert "market_data.written" in told


def test_help_names_every_command(site: Site) -> None:
    shown = site.run("--help").stdout
    for command in (
        "demo",
        "up",
        "down",
        "status",
        "doctor",
        "db",
        "ingest",
        "run",
        "promote",
        "runs",
        "events",
        "lab",
    ):
        assert command in shown


def test_a_filter_that_finds_nothing_names_what_there_is(site: Site) -> None:
    with site.workbench() as wb:
        run_id = wb.runs.start(notebook="research/mine.ipynb", trigger="command")
        wb.runs.finish(run_id, "completed")
        wb.events.publish_data_event("mine.written", "mine", {"symbols": ["FB"]})
    said = site.refusal("runs", "list", "--status", "wrong")
    assert said == 'there is no status "wrong"; use one of running, completed, failed, crashed, cancelled'
    for words in (["--notebook", "nope"], ["--status", "crashed"]):
        done = site.run("runs", "list", *words)
        assert (done.returncode, done.stdout) == (0, "")
        assert "notebooks: research/mine.ipynb; statuses: completed" in done.stderr
        as_json = site.run("runs", "list", *words, "--json")
        assert as_json.stdout.strip() == "[]"
    for _ in range(50):
        told = site.run("events", "tail", "--no-follow", "--type", "nonsense")
        if "mine.written" in told.stderr:
            break
    assert (told.returncode, told.stdout) == (0, "")
    assert "there is no event of type nonsense yet; there are: " in told.stderr
    assert "mine.written" in told.stderr
    assert "cannot be an event's type" in site.refusal("events", "tail", "--no-follow", "--type", "Nonsense!")
    only = site.run("events", "tail", "--no-follow", "--type", "mine.written", "--latest", "1")
    assert only.stdout.count("\n") == 1
    assert "mine.written" in only.stdout
