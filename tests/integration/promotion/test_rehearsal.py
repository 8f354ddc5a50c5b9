"""A promotion's one run of the notebook leaves nothing in the database, and is refused if it fails."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.conftest import Connection
from tests.integration.promotion.conftest import Project
from workbench import Workbench
from workbench.errors import PromotionRefused
from workbench.headless.notebook_file import NotebookFile
from workbench.promotion.keeping import keep
from workbench.promotion.version import Version
from workbench.settings import Settings
from workbench.stack.environment import settings_environment

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

BEGIN = "import pandas as pd\nfrom workbench import Workbench\nwb = Workbench()"
WRITE = (
    "frame = pd.DataFrame({'strategy_id': ['mine'], 'name': ['by the notebook']})\n"
    "assert wb.strategy_engine.write_strategies(frame).changed"
)


def promote(settings: Settings, project: Project, *cells: str) -> tuple[Version, list[str], list[str]]:
    told: list[str] = []
    kept = keep(
        settings,
        NotebookFile.read(project.notebook(BEGIN, *cells)),
        {},
        files=(),
        environment=settings_environment(settings),
        timeout_seconds=None,
        progress=told.append,
        force=False,
    )
    return kept.version, kept.doubts, told


def test_its_rows_events_runs_and_trials_are_undone(
    wb: Workbench, database_settings: Settings, project: Project, admin: Connection
) -> None:
    wb.ingest("AAPL")
    wb.strategy_engine.write_strategies(_named("before"))
    before = _counts(admin)
    _, doubts, told = promote(
        database_settings,
        project,
        WRITE,
        (
            "from workbench.backtest import backtest\nfrom workbench.strategies import sma_cross\n"
            "bars = wb.data_ingestion.load_market_data('AAPL', source='yahoo_adjusted')\n"
            "result = backtest(bars, sma_cross)\nwb.save(result, strategy_id='mine', report=True)"
        ),
        "wb.events.publish_data_event('model.trained', 'research', {})",
        "assert wb.session.run.run_id() is None\nwb.close()",
    )
    assert doubts == []
    assert _counts(admin) == before
    assert list(wb.strategy_engine.load_strategies("mine")["name"]) == ["before"]
    begin = "gate 1 of 6 (headless), running it once, without its writes: 0 of 5 cells done"
    assert told[0].startswith(begin)


def test_what_the_database_refuses_is_refused_in_it_too(
    wb: Workbench, database_settings: Settings, project: Project
) -> None:
    wrong = "wb.strategy_engine.write_strategies(pd.DataFrame({'strategy_id': ['a'], 'status': ['odd']}))"
    with pytest.raises(PromotionRefused, match=r"because it fails: .*status"):
        promote(database_settings, project, wrong)


def test_a_notebook_that_fails_after_a_write_was_undone_is_promoted_with_its_doubt(
    wb: Workbench, database_settings: Settings, project: Project
) -> None:
    project.write(rules__rule="", late="")
    version, (doubt,), _ = promote(
        database_settings,
        project,
        WRITE,
        "import rules.rule\nassert len(wb.strategy_engine.load_strategies('mine')) == 1",
        "import late",
    )
    assert "it failed, which may be only because what it wrote before was undone" in doubt
    assert set(version.modules) == {"late.py", "rules/__init__.py", "rules/rule.py"}


@pytest.mark.parametrize("call", ["promote('x', name='x', cron='0 6 * * *', timezone='UTC')", "trigger('x')"])
def test_it_neither_promotes_nor_triggers(
    wb: Workbench, database_settings: Settings, project: Project, call: str
) -> None:
    with pytest.raises(PromotionRefused, match=r"because it fails: .* may not (promote|trigger)"):
        promote(database_settings, project, f"wb.deployments.{call}")


def test_a_promotion_from_a_notebook_or_a_run_records_no_run(
    wb: Workbench,
    database_settings: Settings,
    project: Project,
    admin: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wb.strategy_engine.write_strategies(_named("before"))
    before = _counts(admin)
    monkeypatch.setenv("JPY_SESSION_NAME", str(project.root / "notebooks" / "study.ipynb"))
    monkeypatch.setenv("WORKBENCH_RUN_ID", "6f1c7b1e-6a50-4a0c-9a37-6a9f4c0a7c11")
    _, doubts, _ = promote(database_settings, project, WRITE)
    assert doubts == []
    assert _counts(admin) == before


def _named(name: str) -> pd.DataFrame:
    return pd.DataFrame({"strategy_id": ["mine"], "name": [name]})


def _counts(admin: Connection) -> dict[str, int]:
    """The number of rows of every table."""
    tables = admin.execute(
        "SELECT schemaname || '.' || tablename FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    counts = {}
    for (table,) in tables:
        found = admin.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        assert found is not None
        counts[table] = found[0]
    return counts
