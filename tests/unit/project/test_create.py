"""`workbench init` makes a whole project, or refuses and leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

from workbench.cli import main
from workbench.errors import ProjectRefused
from workbench.paths import shipped
from workbench.project import create
from workbench.project.create import create_project
from workbench.project.find import find_project
from workbench.project.without_outputs import without_outputs

WHO = ("-c", "user.name=a", "-c", "user.email=a@localhost")


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".git" not in path.parts}


def git(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        ["git", "-C", str(folder), *WHO, *words], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_project_has_all_that_work_begins_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = create_project(tmp_path / "new" / 'my "first"')
    source = shipped("notebooks")
    # Not what JupyterLab leaves where somebody has worked in the clone.
    found = [path.relative_to(source) for path in source.rglob("*.ipynb")]
    notebooks = {f"notebooks/{path}" for path in found if ".ipynb_checkpoints" not in path.parts}
    assert {"notebooks/00_start_here.ipynb", "notebooks/strategies/sma_cross.ipynb"} <= notebooks
    assert {path for path in tree(root) if (root / path).is_file()} == notebooks | {
        "workbench.toml",
        "README.md",
        ".gitignore",
        "notebooks/.starters.json",
        "strategies/__init__.py",
        "strategies/breakout.py",
    }
    assert tomllib.loads((root / "workbench.toml").read_text())["project"]["name"] == 'my "first"'
    assert (root / "README.md").read_text().startswith('# my "first"\n')
    assert ".workbench/" in (root / ".gitignore").read_text().splitlines()
    monkeypatch.chdir(root / "notebooks" / "research")
    assert find_project() == root


def test_copies_are_ones_own_to_write_whatever_the_modes_of_what_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("template", "notebooks"):
        shutil.copytree(shipped(name), tmp_path / "data" / name)
    for path in (tmp_path / "data").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setattr(create, "shipped", (tmp_path / "data").joinpath)
    root = create_project(tmp_path / "mine")
    assert all(path.stat().st_mode & 0o200 for path in root.rglob("*"))


def test_the_example_rule_trades_on_a_breakout_and_looks_at_no_later_bar(
    tmp_path: Path,
) -> None:
    root = create_project(tmp_path / "mine")
    program = (
        "import pandas as pd; "
        "from strategies.breakout import breakout;"
        "closes = [10, 11, 12, 11, 13, 14, 12, 9, 8.0];"
        "times = pd.date_range('2024-01-01', periods=9, tz='UTC', name='timestamp');"
        "bars = pd.DataFrame({'symbol': 'A', 'timestamp': times, 'open': closes, 'high': closes,"
        "'low': closes, 'close': closes}).set_index(['symbol', 'timestamp']);"
        "signals = breakout(bars, buy=3, sell=2);"
        "print(*([str(t.date()) for t in times[one['A']]] for one in (signals.entries, signals.exits)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    # By hand: above the three closes before on the 5th and 6th, below the two before on the 7th to the 9th;
    # the close of the 4th, 11, equals the lowest of the 2nd and 3rd.
    assert done.stdout.strip() == (
        "['2024-01-05', '2024-01-06'] ['2024-01-07', '2024-01-08', '2024-01-09']"
    ), done.stderr


def test_a_folder_with_other_files_can_become_one(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("kept")
    assert create_project(tmp_path) == tmp_path
    assert (tmp_path / "data.csv").read_text() == "kept"
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".workbench-init")]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("workbench.toml", "is a project already"),
        ("README.md", r"has README\.md already"),
        ("strategies/own.py", "has strategies already"),
        ("notebooks/a.ipynb", "has notebooks already"),
        (".gitignore", r"has \.gitignore already"),
    ],
)
def test_it_refuses_what_is_in_the_way_and_leaves_it_as_it_was(tmp_path: Path, there: str, said: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(ProjectRefused, match=said):
        create_project(tmp_path, git=True)
    assert tree(tmp_path) == before
    assert not (tmp_path / ".git").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(ProjectRefused, match="is a file"):
        create_project(tmp_path / "taken")
    with pytest.raises(ProjectRefused, match="cannot be made a project"):
        create_project(tmp_path / "taken" / "deeper")


@pytest.mark.parametrize("existed", [True, False])
def test_where_it_fails_on_the_way_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existed: bool
) -> None:
    root = tmp_path / "a" / "b"
    if existed:
        root.mkdir(parents=True)
        (root / "mine").touch()
    before = tree(tmp_path)
    moved: list[Path] = []

    def rename(self: Path, target: Path) -> Path:
        if len(moved) == 2:
            raise OSError(28, "No space left on device")
        moved.append(target)
        os.rename(self, target)
        return target

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(ProjectRefused, match="cannot be made a project: No space left on device"):
        create_project(root)
    assert len(moved) == 2
    assert tree(tmp_path) == before


def test_the_command_says_what_to_type_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for code in (0, 1):
        monkeypatch.setattr(sys, "argv", ["workbench", "init", "mine"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code or 0) == code
    told = capsys.readouterr().err
    assert "cd mine && workbench demo" in told
    assert f"error: {tmp_path / 'mine'} is a project already" in told


def notebook(*, with_output: bool) -> str:
    cell = nbformat.v4.new_code_cell("1 + 1")
    if with_output:
        cell["execution_count"] = 7
        cell["outputs"] = [nbformat.v4.new_output("stream", text="secret figure")]
    return str(nbformat.writes(nbformat.v4.new_notebook(cells=[cell]))) + "\n"


def test_a_repository_commits_notebooks_without_outputs_and_leaves_the_files_alone(tmp_path: Path) -> None:
    root = create_project(tmp_path / "mine", git=True)
    written = notebook(with_output=True)
    (root / "notebooks" / "größe 1.ipynb").write_text(written)
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    committed = git(root, "show", "HEAD:notebooks/größe 1.ipynb")
    assert "secret figure" not in committed
    assert json.loads(committed)["cells"][0]["source"] == json.loads(written)["cells"][0]["source"]
    assert json.loads(committed)["cells"][0]["execution_count"] is None
    assert (root / "notebooks" / "größe 1.ipynb").read_text() == written
    start = "notebooks/00_start_here.ipynb"
    assert git(root, "show", f"HEAD:{start}") == (root / start).read_text()


def test_what_is_staged_is_committed_and_no_more(tmp_path: Path) -> None:
    root = create_project(tmp_path / "mine", git=True)
    path = root / "notebooks" / "a.ipynb"
    path.write_text(notebook(with_output=True))
    git(root, "add", ".")
    path.write_text(path.read_text().replace("1 + 1", "later"))
    git(root, "commit", "-qm", "first")
    assert "later" not in git(root, "show", "HEAD:notebooks/a.ipynb")


def test_a_repository_that_is_there_is_used_and_its_hook_is_kept(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    create_project(tmp_path / "one", git=True)
    assert not (tmp_path / "one" / ".git").exists()
    hook = tmp_path / ".git" / "hooks" / "pre-commit"
    assert "without_outputs" in hook.read_text()
    hook.write_text("#!/bin/sh\n")
    with pytest.raises(ProjectRefused, match="pre-commit is there already"):
        create_project(tmp_path / "two", git=True)
    assert not (tmp_path / "two").exists()
    assert hook.read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize(
    ("content", "why"), [(b"no json", "it is no notebook"), (b'{"cells": "\xff"}', "it is not UTF-8")]
)
def test_a_file_that_is_no_notebook_ends_the_commit(tmp_path: Path, content: bytes, why: str) -> None:
    root = create_project(tmp_path / "mine", git=True)
    (root / "broken.ipynb").write_bytes(content)
    git(root, "add", ".")
    with pytest.raises(AssertionError, match=rf"broken\.ipynb: {why}; git commit --no-verify"):
        git(root, "commit", "-qm", "first")


def test_a_notebook_without_outputs_stays_as_it_is_to_the_last_character() -> None:
    odd = notebook(with_output=False).replace(" ", "  ")
    assert without_outputs(odd) == odd
