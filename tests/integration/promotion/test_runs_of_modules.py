"""What a run's record says of the modules and files that it used: of the working tree, or as promoted."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.promotion.conftest import Project, printed
from workbench import Workbench
from workbench.errors import NotebookFailed
from workbench.headless.notebook_file import NotebookFile
from workbench.promotion.keeping import keep
from workbench.settings import Settings
from workbench.version import __version__

pytestmark = pytest.mark.parametrize("postgres", ["postgresql-18"], indirect=True)

CELL = """
import rules.rule
from workbench import project_file
print(rules.rule.SAID, project_file('u.csv').read_text())
"""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def committed(project: Project) -> Path:
    """A notebook that imports a rule and reads a file, all of it committed."""
    project.write(rules__rule="SAID = 'committed'", rules__unused="")
    (project.root / "u.csv").write_text("AAPL")
    (project.root / ".gitignore").write_text(".workbench/\n__pycache__/\n")
    notebook = project.notebook(CELL)
    who = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(project.root), *words], check=True)
    return notebook


def test_a_run_by_hand_names_what_it_used_and_whether_it_was_committed(
    wb: Workbench, project: Project, committed: Path
) -> None:
    ran = wb.run(committed)
    record = wb.runs.show(ran.run_id)
    assert record["modules"] == {
        name: sha256(project.root / name) for name in ("rules/__init__.py", "rules/rule.py")
    }
    assert record["files"] == {"u.csv": sha256(project.root / "u.csv")}
    assert record["version_sha256"] is None
    assert record["code_version"].startswith(f"{__version__}+g")
    project.write(rules__unused="X = 1", another="")
    same = wb.runs.show(wb.run(committed).run_id)
    assert same["code_version"] == record["code_version"]
    project.write(rules__rule="SAID = 'edited'")
    edited = wb.run(committed)
    record = wb.runs.show(edited.run_id)
    assert record["code_version"] == f"{same['code_version']}.dirty"
    assert f"rules/rule.py ({sha256(project.root / 'rules' / 'rule.py')[:12]})" in edited.html.read_text()


def test_a_run_that_fails_names_them_too(wb: Workbench, project: Project) -> None:
    project.write(rule="raise RuntimeError('in the rule')")
    with pytest.raises(NotebookFailed) as failed:
        wb.run(project.notebook("import rule"))
    assert set(wb.runs.show(failed.value.run_id)["modules"]) == {"rule.py"}


def test_a_promoted_run_names_its_version_with_all_of_its_modules_and_files(
    wb: Workbench, database_settings: Settings, project: Project, committed: Path
) -> None:
    options: dict[str, Any] = {"environment": {}, "timeout_seconds": None, "progress": lambda _: None}
    version = keep(
        database_settings, NotebookFile.read(committed), {}, files=["u.csv"], force=False, **options
    ).version
    commit = str(version.commit)
    project.write(rules__rule="SAID = 'edited'")
    (project.root / "u.csv").write_text("IBM")
    ran = wb.run("study.ipynb", sha256=version.sha256)
    assert printed(ran.output) == ["committed AAPL"]
    record = wb.runs.show(ran.run_id)
    assert record["version_sha256"] == version.sha256
    assert record["notebook_sha256"] == version.file.sha256
    assert record["code_version"] == f"{__version__}+{commit}"
    assert (record["modules"], record["files"]) == (version.modules, version.files)
    assert set(version.modules) == {"rules/__init__.py", "rules/rule.py", "rules/unused.py"}
    assert sorted((database_settings.home / "tmp").iterdir()) == []


def test_a_notebook_promoted_before_there_were_versions_runs_as_it_did(
    wb: Workbench, database_settings: Settings, project: Project, committed: Path
) -> None:
    file = NotebookFile.read(committed)
    place = database_settings.store_folder / file.sha256[:2] / file.sha256
    place.mkdir(parents=True)
    (place / "study.ipynb").write_bytes(committed.read_bytes())
    project.write(rules__rule="SAID = 'edited'")
    ran = wb.run("study.ipynb", sha256=file.sha256)
    assert printed(ran.output) == ["edited AAPL"]
    record = wb.runs.show(ran.run_id)
    assert record["version_sha256"] == record["notebook_sha256"] == file.sha256
    assert record["code_version"].endswith(".dirty")
