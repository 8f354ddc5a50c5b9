"""A promoted notebook runs with the modules and files that it was promoted with, and with no others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.promotion.conftest import Project, printed
from workbench import Settings
from workbench.errors import NotebookFailed, PromotionRefused
from workbench.headless.execute import execute_notebook
from workbench.headless.notebook_file import NotebookFile
from workbench.project.modules import import_environment, import_rules
from workbench.promotion.keeping import keep
from workbench.promotion.version import Version


def promote(
    project: Project,
    notebook: Path,
    values: dict[str, Any] | None = None,
    *,
    files: Sequence[str] = (),
    force: bool = False,
) -> tuple[Version, list[str]]:
    """What `wb.promote` keeps of a notebook."""
    kept = keep(
        Settings(home=project.home),
        NotebookFile.read(notebook),
        values or {},
        files=files,
        environment={},
        timeout_seconds=None,
        progress=lambda _: None,
        force=force,
    )
    return kept.version, kept.doubts


def run(project: Project, version: Version, values: dict[str, Any] | None = None) -> Sequence[str]:
    """Run a version as a schedule does; return what it printed."""
    folder = project.root / "notebooks"
    rules = import_rules(folder, project.home, tree=version.tree, paths=version.paths)
    executed = execute_notebook(
        version.file, values or {}, project.home / "out", environment=import_environment(rules), cwd=folder
    )
    return printed(executed.output)


def refusal(project: Project, version: Version, values: dict[str, Any] | None = None) -> str:
    with pytest.raises(NotebookFailed) as failed:
        run(project, version, values)
    return str(failed.value)


def test_every_module_of_the_packages_that_it_imports_is_kept_and_no_other(project: Project) -> None:
    project.write(
        rules__rule="from rules.deep.costs import COSTS",
        rules__deep__costs="COSTS = 1",
        rules__unused="",
        shared="import json",
        research__trial="",
        notebooks__helpers="import shared",
    )
    version, doubts = promote(project, project.notebook("from rules.rule import COSTS\nimport helpers"))
    assert set(version.modules) == {
        "notebooks/helpers.py",
        "rules/__init__.py",
        "rules/deep/__init__.py",
        "rules/deep/costs.py",
        "rules/rule.py",
        "rules/unused.py",
        "shared.py",
    }
    assert version.paths == (".", "notebooks")
    assert doubts == []


def test_a_notebook_without_modules_of_the_project_has_none(project: Project) -> None:
    project.write(rules__rule="")
    version, _ = promote(project, project.notebook("import json, workbench"))
    assert (version.modules, version.files) == ({}, {})
    assert version.tree is not None


def test_what_was_promoted_runs_whatever_is_edited_added_or_deleted_since(project: Project) -> None:
    project.write(
        rules__rule="SAID = 'promoted'", single="SAID = 'promoted'", notebooks__helpers="SAID = 'promoted'"
    )
    notebook = project.notebook(
        "import rules.rule, single, helpers\nprint(rules.rule.SAID, single.SAID, helpers.SAID)"
    )
    version, _ = promote(project, notebook)
    project.write(rules__rule="SAID = 'edited'", notebooks__helpers="SAID = 'edited'")
    (project.root / "single.py").unlink()
    assert run(project, version) == ["promoted promoted promoted"]
    again, _ = promote(
        project, project.notebook("import rules.rule, helpers\nprint(rules.rule.SAID, helpers.SAID)")
    )
    assert run(project, again) == ["edited edited"]
    assert run(project, version) == ["promoted promoted promoted"]


def test_a_module_that_was_not_promoted_fails_by_its_name(project: Project) -> None:
    project.write(rules__rule="SAID = 1", other__late="", notebooks__helpers="")
    notebook = project.notebook(
        "import importlib, rules.rule\nif late:\n    importlib.import_module(late)",
        parameters="late: str = ''",
    )
    version, _ = promote(project, notebook, {"late": ""})
    assert run(project, version, {"late": "json.tool"}) == []
    project.write(rules__added="")
    for late, named in (("other.late", "other"), ("helpers", "helpers"), ("rules.added", "rules.added")):
        assert (
            f"line 3: ModuleNotPromoted: {named} is a module of the project that was not promoted with the "
            "notebook; promote it again"
        ) in refusal(project, version, {"late": late})
    assert "No module named 'nowhere'" in refusal(project, version, {"late": "nowhere"})
    assert "No module named 'rules.nowhere'" in refusal(project, version, {"late": "rules.nowhere"})


def test_an_error_in_a_promoted_module_names_it_as_the_project_does(project: Project) -> None:
    project.write(rules__rule="def signals(n):\n    return 1 / n")
    notebook = project.notebook("import rules.rule\nrules.rule.signals(n)", parameters="n: int = 1")
    version, _ = promote(project, notebook, {"n": 1})
    assert ", line 2, inside rules/rule.py, line 2 (signals): ZeroDivisionError" in refusal(
        project, version, {"n": 0}
    )


def test_it_is_not_found_by_a_path_that_a_cell_adds_either(project: Project) -> None:
    project.write(src__model="SAID = 'promoted'", src__other="")
    (project.root / "src" / "__init__.py").unlink()
    notebook = project.notebook(
        "import importlib, sys\nsys.path.insert(0, '../src')\nimport model\nprint(model.SAID)\n"
        "if late:\n    importlib.import_module(late)",
        parameters="late: str = ''",
    )
    version, _ = promote(project, notebook, {"late": ""})
    assert (set(version.modules), version.paths) == ({"src/model.py"}, ("src",))
    project.write(src__model="SAID = 'edited'")
    (project.root / "src" / "__init__.py").unlink()
    assert run(project, version, {"late": ""}) == ["promoted"]
    assert "ModuleNotPromoted: other is a module of the project" in refusal(
        project, version, {"late": "other"}
    )


def test_a_folder_without_an_init_is_a_package_whose_parts_are_all_promoted(project: Project) -> None:
    project.write(plain__rule="SAID = 'promoted'")
    (project.root / "plain" / "__init__.py").unlink()
    version, _ = promote(project, project.notebook("import plain.rule\nprint(plain.rule.SAID)"))
    assert set(version.modules) == {"plain/rule.py"}
    project.write(plain__rule="SAID = 'edited'")
    assert run(project, version) == ["promoted"]


def test_imports_of_another_day_and_of_deep_within_are_kept_too(project: Project) -> None:
    project.write(
        rules__rule="def weekly():\n    import weekly.report", weekly__report="from monthly import total"
    )
    project.write(monthly="total = 1", daily="")
    notebook = project.notebook(
        "import rules.rule\nif late:\n    import daily", parameters="late: bool = False"
    )
    version, _ = promote(project, notebook, {"late": False})
    assert {"weekly/report.py", "monthly.py", "daily.py"} < set(version.modules)


def test_a_notebook_outside_of_the_project_brings_the_modules_beside_it(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "near.py").write_text("SAID = 'promoted'")
    notebook = project.notebook("import near\nprint(near.SAID)").rename(tmp_path / "aside" / "study.ipynb")
    version, _ = promote(project, notebook)
    assert (set(version.modules), version.paths) == ({".beside/near.py"}, (".beside",))
    (tmp_path / "aside" / "near.py").write_text("SAID = 'edited'")
    rules = import_rules(tmp_path / "aside", project.home, tree=version.tree, paths=version.paths)
    executed = execute_notebook(
        version.file, {}, tmp_path / "out", environment=import_environment(rules), cwd=tmp_path / "aside"
    )
    assert printed(executed.output) == ["promoted"]


PROCESSES = {
    "a program": (
        "import subprocess, sys\n"
        "def ask(name):\n"
        "    code = f'import importlib; print(importlib.import_module({name!r}).SAID)'\n"
        "    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)\n"
        "    return (done.stdout or done.stderr).strip().splitlines()[-1]"
    ),
    "spawned": (
        "import multiprocessing\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "def ask(name):\n"
        "    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:\n"
        "        try:\n"
        "            return pool.submit(eval, f'__import__({name!r}, fromlist=[0]).SAID').result()\n"
        "        except ImportError as error:\n"
        "            return repr(error)"
    ),
    "a sweep's workers": (
        "from workbench.sweep.executors import open_executor\n"
        "def said(name, task):\n"
        "    import importlib\n"
        "    return importlib.import_module(name).SAID\n"
        "def ask(name):\n"
        "    with open_executor(2) as executor:\n"
        "        try:\n"
        "            return list(executor.run(said, name, [1]))[0][1]\n"
        "        except ImportError as error:\n"
        "            return repr(error)"
    ),
    "a Dask cluster": (
        "from workbench.sweep.executors.dask_cluster import private_cluster\n"
        "def said(name):\n"
        "    import importlib\n"
        "    return importlib.import_module(name).SAID\n"
        "def ask(name):\n"
        "    from distributed import Client\n"
        "    with private_cluster(1) as cluster, Client(cluster) as client:\n"
        "        try:\n"
        "            return client.submit(said, name).result()\n"
        "        except ImportError as error:\n"
        "            return repr(error)"
    ),
}


@pytest.mark.parametrize("kind", PROCESSES)
def test_processes_that_a_run_starts_have_the_promoted_modules_and_no_others(
    project: Project, kind: str
) -> None:
    project.write(rules__rule="SAID = 'promoted'", other="SAID = 'not promoted'")
    notebook = project.notebook(
        PROCESSES[kind],
        "print(ask('rules.rule'))\nif late:\n    print(ask('oth' 'er'))",
        parameters="late: bool = False",
    )
    version, _ = promote(project, notebook, {"late": False})
    # That only a worker imports it is found, too.
    assert set(version.modules) == {"rules/__init__.py", "rules/rule.py"}
    project.write(rules__rule="SAID = 'edited'")
    first, second = run(project, version, {"late": True})
    assert first == "promoted"
    assert "other is a module of the project that was not promoted" in second


def test_a_module_that_is_edited_while_it_is_promoted_is_refused(project: Project) -> None:
    project.write(rules__rule="")
    edits = f"import rules.rule\nopen({str(project.root / 'rules' / 'rule.py')!r}, 'a').write('X = 1')"
    with pytest.raises(
        PromotionRefused, match=r"rules/rule\.py was changed after it was imported; promote it again"
    ):
        promote(project, project.notebook(edits))


def test_a_notebook_that_fails_is_refused_with_its_cell_or_promoted_by_force(project: Project) -> None:
    project.write(early="SAID = 1", late="SAID = 2", rules__rule="")
    notebook = project.notebook(
        "import early", "raise RuntimeError('no bars')", "import late\nprint(late.SAID)"
    )
    with pytest.raises(PromotionRefused, match=r"because it fails: .* cell \d .*no bars.*--force") as refused:
        promote(project, notebook)
    assert isinstance(refused.value.__cause__, NotebookFailed)
    assert not (project.home / "store").exists()
    version, (doubt,) = promote(project, notebook, force=True)
    assert set(version.modules) == {"early.py", "late.py"}
    assert "no bars" in doubt


def test_the_sitecustomize_of_the_installation_is_run_as_well(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import sys\nsys.hidden = 'it ran'")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{':'.join(sys.path)}")
    version, _ = promote(project, project.notebook("import sys\nprint(sys.hidden)"))
    assert run(project, version) == ["it ran"]


# ------------------------------------------------------------------------------------------------- files

READS = "from workbench import project_file\nprint(project_file('data/universe.csv').read_text())"


def test_a_promoted_file_is_read_as_it_was_promoted(project: Project) -> None:
    universe = project.root / "data" / "universe.csv"
    universe.parent.mkdir()
    universe.write_text("AAPL")
    notebook = project.notebook(READS)
    for given in ("data/universe.csv", str(universe)):
        version, _ = promote(project, notebook, files=[given])
        assert list(version.files) == ["data/universe.csv"]
    without, _ = promote(project, notebook)
    universe.write_text("IBM")
    assert run(project, version) == ["AAPL"]
    sentence = "data/universe.csv was not promoted with the notebook; promote it again with it: files="
    assert f"FileNotPromoted: {sentence}" in refusal(project, without)


def test_files_that_cannot_be_promoted_are_refused_by_name(project: Project, tmp_path: Path) -> None:
    (tmp_path / "outside.csv").touch()
    (project.root / "link.csv").symlink_to(tmp_path / "outside.csv")
    (project.home / "run").mkdir(parents=True)
    (project.home / "run" / "secrets.json").touch()
    notebook = project.notebook("1")
    for given, why in (
        ("gone.csv", "not in the project"),
        ("notebooks", "a folder; name its files"),
        ("../outside.csv", "lies outside of the project"),
        (str(tmp_path / "outside.csv"), "lies outside of the project"),
        ("link.csv", "lies outside of the project"),
        (".workbench/run/secrets.json", "belongs to workbench's home"),
    ):
        with pytest.raises(PromotionRefused, match=why) as refused:
            promote(project, notebook, files=[given])
        assert given in str(refused.value)
    assert not (project.home / "store").exists()
