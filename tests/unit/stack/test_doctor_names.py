"""Another distribution with a package `workbench` is told by doctor: one lies over the other."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from workbench.stack import doctor

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"


def install(site: Path, name: str) -> None:
    """What an installer leaves of a distribution with a package `workbench`."""
    facts = site / f"{name.replace('-', '_')}-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(METADATA.format(name=name))
    (facts / "top_level.txt").write_text("workbench\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own, into which this one's package was installed."""

    def distributions() -> dict[str, list[str]]:
        found = importlib.metadata.Distribution.discover(path=[str(tmp_path)])
        return {"workbench": [one.metadata["Name"] for one in found]}

    monkeypatch.setattr(importlib.metadata, "packages_distributions", distributions)
    install(tmp_path, "quant-workbench")
    return tmp_path


def test_alone_there_is_nothing_to_say(site: Path) -> None:
    assert list(doctor._names()) == []


def test_another_one_is_named_and_what_to_do_as_well(site: Path) -> None:
    install(site, "workbench")
    (finding,) = doctor._names()
    assert finding.level == "fail"
    assert finding.what.startswith("workbench installs a package workbench into this environment, too")
    assert "pip uninstall workbench quant-workbench, then pip install quant-workbench" in str(finding.advice)
