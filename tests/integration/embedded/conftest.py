"""A home for each test, whose servers are stopped when the test ends."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.embedded import EmbeddedPostgres, EmbeddedValkey, place
from workbench.settings import Settings


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account may enter, as a clone's is; pytest's own are closed to others."""
    made = Path(tempfile.mkdtemp(prefix="workbench-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name in [name for name in os.environ if name.startswith(("WORKBENCH_", "PREFECT_"))]:
        monkeypatch.delenv(name)
    # No test writes outside of its folder.
    monkeypatch.setattr(place, "AWAY", folder / "var" / "lib" / "workbench")
    made = Settings(home=folder / "clone" / ".workbench")
    yield made
    for server in (EmbeddedPostgres(made), EmbeddedValkey(made)):
        server.stop()
