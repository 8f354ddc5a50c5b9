"""Where a process keeps what Numba compiled for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from workbench.paths import PACKAGE

SQUARE = """
from workbench.compiled import compiled

def square(x):
    return x * x

square = compiled(square)
"""


def test_where_neither_code_nor_user_has_room_it_is_kept_in_the_home(tmp_path: Path) -> None:
    code, home = tmp_path / "code", tmp_path / "home"
    code.mkdir()
    (code / "squares.py").write_text(SQUARE)
    # A file stands where each of the folders would have to be made.
    (code / "__pycache__").write_text("")
    (tmp_path / "cache").write_text("")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", "import squares; print(squares.square(3))"],
        cwd=tmp_path,
        env={
            **environment,
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "WORKBENCH_HOME": str(home),
            "PYTHONPATH": f"{code}:{PACKAGE.parent}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "9\n", done.stderr
    kept = [path.name for path in (home / "cache" / "numba").rglob("*.nbi")]
    assert kept
    assert all(name.startswith("squares.square") for name in kept)
