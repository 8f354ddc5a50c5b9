"""A pool and a fork: the child opens connections of its own, and the parent's stay usable."""

from __future__ import annotations

import os
import subprocess
import sys

from workbench import Settings
from workbench.stack.environment import settings_environment

# In a process of its own, as a notebook's is: pytest's holds other tests' connections.
PROGRAM = """
import os, sys
from workbench import Workbench

wb = Workbench()
SESSION = "SELECT pg_backend_pid() AS session, current_setting('application_name') AS application"

def session():
    return tuple(wb.sql(SESSION).iloc[0])

before = session()
wb.logging.load_system_logs()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.close(reader)
    wb.logging.load_system_logs()
    os.write(writer, f"{session()[0]} {session()[1]} {os.getpid()}".encode())
    # By the ordinary way out: what the child lets go of must not end the parent's sessions.
    sys.exit(0)
os.close(writer)
_, status = os.waitpid(child, 0)
theirs, application, pid = os.read(reader, 1000).decode().split()
wb.logging.load_system_logs()
assert status == 0
assert session() == before, "the parent's connection was closed"
assert int(theirs) != before[0], "the child used the parent's connection"
assert application == f"workbench:readonly:{pid}"
wb.close()
print("well")
"""


def test_after_a_fork_parent_and_child_each_use_their_own(database_settings: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **settings_environment(database_settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr
