"""What holds for every notebook that is committed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[2]


def test_committed_notebooks_hold_no_outputs() -> None:
    # What git holds, not the file: whoever works in a notebook has outputs in it.
    listed = subprocess.run(
        ["git", "-C", str(CLONE), "ls-files", "notebooks/*.ipynb"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is not a git clone, so there is nothing committed to look at")
    names = listed.stdout.split()
    assert names
    for name in names:
        content = subprocess.run(
            ["git", "-C", str(CLONE), "show", f":{name}"], capture_output=True, text=True, check=True
        ).stdout
        for cell in json.loads(content)["cells"]:
            assert not cell.get("outputs"), f"{name} has outputs; clear them before committing"
            assert cell.get("execution_count") is None, f"{name} was run; clear it before committing"
