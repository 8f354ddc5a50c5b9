"""Processes that ask for a secret at once get the same; a lock ends with the process that holds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from workbench.home.locks import is_held


def test_processes_that_ask_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workbench.home.secrets import Secrets;"
        "print([Secrets(Path(sys.argv[1])).get(f'name{n}') for n in range(10)])"
    )
    askers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [asker.communicate(timeout=60)[0] for asker in askers]
    assert all(answers)
    assert len(set(answers)) == 1


def test_a_killed_holder_holds_no_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; from workbench.home.locks import exclusive\n"
        "with exclusive(Path(sys.argv[1]), patience=1, doing='x'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_held(lock)
        holder.kill()
    assert not is_held(lock)
