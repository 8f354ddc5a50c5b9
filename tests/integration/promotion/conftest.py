"""A project with rules of its own, notebooks that import them, and a promoted one that has run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from tests.acceptance.notebooks import write_notebook
from tests.integration.conftest import MakeBars
from workbench import Workbench
from workbench.headless.notebook_file import NotebookFile
from workbench.promotion.keeping import keep
from workbench.promotion.run import NotebookRunResult, Origin
from workbench.runs.versions import DeploymentVersion, VersionStore
from workbench.settings import Settings
from workbench.stack.environment import settings_environment

SLOT = datetime(2024, 5, 1, tzinfo=UTC)
BEGIN = """
from workbench import Workbench
from workbench.backtest import backtest
from workbench.strategies import sma_cross
import rules.rule
wb = Workbench()
"""
TEST = """
bars = wb.data_ingestion.load_market_data(symbols, source='file')
result = backtest(bars, sma_cross, parameters={'fast': fast, 'slow': rules.rule.SLOW})
"""
STUDY = (BEGIN, TEST, "wb.save(result, strategy_id='mine', report=True)")
PARAMETERS = "symbols: list[str] = ['AAPL']\nfast: int = 2"


class Project:
    """A project in a temporary folder: what its modules say tells which ones were imported.

    Attributes
    ----------
    root, home : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / ".workbench"
        (root / "notebooks").mkdir(parents=True)
        (root / "workbench.toml").touch()

    def write(self, **modules: str) -> None:
        """`write(rules__rule="SAID = 1")` writes `rules/rule.py` and, if missing, `rules/__init__.py`."""
        for name, source in modules.items():
            path = self.root.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent not in {self.root, self.root / "notebooks"}:
                (path.parent / "__init__.py").touch()
            path.write_text(source)

    def notebook(self, *cells: str, parameters: str = "", name: str = "study") -> Path:
        return write_notebook(self.root / "notebooks" / f"{name}.ipynb", parameters=parameters, cells=cells)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path / "mine")
    monkeypatch.setenv("WORKBENCH_PROJECT", str(made.root))
    return made


def printed(output: Path) -> Sequence[str]:
    """The lines that the cells of an output notebook printed."""
    import nbformat

    cells = nbformat.read(output, as_version=4).cells
    texts = [o.text for c in cells for o in c.get("outputs", []) if o.output_type == "stream"]
    return "".join(texts).splitlines()


@pytest.fixture
def stocked(wb: Workbench, project: Project, make_bars: MakeBars) -> Workbench:
    """Sixty bars that rise, fall and rise again, and a rule of the project's own."""
    project.write(rules__rule="SLOW = 5")
    close = [100 + (n if n < 20 else 40 - n if n < 40 else n - 40) for n in range(60)]
    bars = make_bars("AAPL", days=60).assign(close=close, open=close)
    wb.data_ingestion.write_market_data(bars.assign(high=bars.close + 1, low=bars.close - 1), source="file")
    return wb


@pytest.fixture
def promoted_run(stocked: Workbench, database_settings: Settings, project: Project) -> NotebookRunResult:
    """A live run of a promoted notebook for a slot."""
    version = keep(
        database_settings,
        NotebookFile.read(project.notebook(*STUDY, parameters=PARAMETERS)),
        {},
        files=(),
        environment=settings_environment(database_settings),
        timeout_seconds=None,
        progress=lambda _: None,
        force=False,
    ).version
    made = DeploymentVersion(
        "mine", "study.ipynb", version.sha256, {"fast": 3}, {}, {}, "1", note="the first"
    )
    number = VersionStore(stocked.runs.pool).add(made).version
    origin = Origin("deployment", deployment="mine", slot=SLOT, purpose="live", version=number)
    return stocked.run("study.ipynb", {"fast": 3}, sha256=version.sha256, origin=origin)


def revise(wb: Workbench) -> None:
    """Correct a few bars, add one between others, and append some."""
    bars = wb.data_ingestion.load_market_data("AAPL", source="file").reset_index()
    wrong = bars.iloc[10:30:4].copy()
    wrong[["open", "high", "low", "close"]] += 7.5
    added = bars.iloc[[-1]].assign(timestamp=pd.Timestamp("2024-01-05 12:00Z").as_unit("us"))
    more = bars.iloc[-5:].assign(timestamp=bars["timestamp"].iloc[-5:] + pd.Timedelta(days=30))
    for frame in (wrong, added, more):
        wb.data_ingestion.write_market_data(frame, source="file")
