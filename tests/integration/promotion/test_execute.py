"""Headless runs on real kernels: what goes in, what comes out, and every ending told and cleaned up."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.notebooks import write_notebook
from workbench.errors import NotebookError, NotebookFailed, ParametersRefused
from workbench.headless import execute
from workbench.headless.execute import execute_notebook

MakeNotebook = Callable[..., Path]
PARAMETERS = "fast: int = 20\ntext = 'none'\nvalues: list = []"
# One child that stays with the kernel, one with a session of its own, and a daemon without an environment.
CHILDREN = """
import os, subprocess, sys
daemon = "import os, sys; os.fork() and sys.exit(); os.setsid(); print(os.getpid(), flush=True)"
daemon += "; os.execv('/bin/sleep', ['sleep', '600'])"
print(subprocess.Popen(["sleep", "600"]).pid)
print(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)
leaving = subprocess.Popen([sys.executable, "-c", daemon], env={}, stdout=subprocess.PIPE, text=True)
print(leaving.stdout.readline(), flush=True)
"""
HOSTILE = [
    "\"; import os; os.environ['HIT'] = '1' #",
    "'''\"\"\"\\",
    "line\nbreak\r\ttab",
    "{fast} {0} {{}} ../../up",
    "\\x41\\u0041 \u2028 é 😀",
    "$(touch hit) `touch hit`",
]

TEXT_WAYS = [
    "print('x' * N)",
    "for _ in range(N // 1_000): print('x' * 999)",
    "import sys\nsys.stderr.write('x' * N)",
    "import sys\nfor _ in range(N // 1_000_000): sys.stdout.write('x' * 1_000_000); sys.stdout.flush()",
    "import os\nfor _ in range(N // 10_000): os.write(1, b'x' * 10_000)",
    "import subprocess\nsubprocess.run(f'yes | head -c {N}', shell=True, check=True)",
    "import threading\nt = threading.Thread(target=print, args=('x' * N,))\nt.start()\nt.join()",
    "import logging\nlogging.getLogger().addHandler(logging.StreamHandler())\nlogging.warning('x' * N)",
    "from IPython.display import display\ndisplay({'text/plain': 'x' * N}, raw=True)",
    "'x' * N",
]
"""Ways to make N characters of text, of which a run keeps as much as a cell may print."""


@pytest.fixture
def make_notebook(tmp_path: Path) -> MakeNotebook:
    """`make_notebook(*cells)`: a heading, the parameters (cell 1), then the sources given."""

    def make(*cells: str, folder: str = "work") -> Path:
        sources = [("markdown", "# Study", []), ("code", PARAMETERS, ["parameters"])]
        sources += [("code", cell, []) for cell in cells]
        document = {
            "nbformat": 4,
            "nbformat_minor": 4,
            "metadata": {"kernelspec": {"name": "julia", "display_name": "Julia"}},
            "cells": [
                {"cell_type": kind, "metadata": {"tags": tags}, "source": source}
                | ({"outputs": [], "execution_count": None} if kind == "code" else {})
                for kind, source, tags in sources
            ],
        }
        path = tmp_path / folder / "study.ipynb"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document))
        return path

    return make


@pytest.fixture(autouse=True)
def _no_kernel_is_left() -> Iterator[None]:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before]
    assert not left, left


def _failed(notebook: Path, **options: Any) -> NotebookFailed:
    with pytest.raises(NotebookFailed) as failure:
        execute_notebook(notebook, {}, notebook.parent / "out", **options)
    return failure.value


def _texts(output: Path) -> list[str]:
    cells = json.loads(output.read_text())["cells"]
    return ["".join(o["text"]) for c in cells for o in c.get("outputs", []) if o["output_type"] == "stream"]


def test_a_run_gets_its_values_its_environment_and_this_python(
    make_notebook: MakeNotebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kernelspecs and start-up files of the user's, which a run must not see.
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    startup = tmp_path / "ipython" / "profile_default" / "startup" / "00.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("leaked = 1")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup))
    notebook = make_notebook(
        "import json, os, sys\n"
        "print(json.dumps([fast, text, values, os.getcwd(), sys.executable, 'leaked' in globals(),\n"
        "                  os.environ['WORKBENCH_RUN_ID'], os.environ['PLOTLY_RENDERER']]))",
        folder="{fast}{odd",
    )
    output_folder = tmp_path / "{text}" / "out}"
    told: list[tuple[int, int, str]] = []
    ran = execute_notebook(
        notebook,
        {"fast": 7, "text": HOSTILE[0], "values": HOSTILE},
        output_folder,
        environment={"WORKBENCH_RUN_ID": "42"},
        cwd=tmp_path,
        progress=lambda *at: told.append(at),
    )
    (text,) = _texts(ran.output)
    assert json.loads(text) == [
        *(7, HOSTILE[0], HOSTILE, str(tmp_path), sys.executable, False),
        *("42", "plotly_mimetype"),
    ]
    assert not {"WORKBENCH_RUN_ID", "HIT"}.intersection(os.environ)
    assert (ran.output, ran.html) == (output_folder / "study.ipynb", output_folder / "study.html")
    assert sorted(path.name for path in output_folder.iterdir()) == ["study.html", "study.ipynb"]
    assert ran.cells == 3
    assert told[-1] == (3, 3, "done")
    assert [at[:2] for at in told] == sorted(at[:2] for at in told)
    assert "Study" in ran.html.read_text()


@pytest.mark.parametrize(
    "parameters", [{"fsat": 1}, {"fast": "7"}, {"fast = 1; import os; x": 1}, {"values": 1}]
)
def test_refused_parameters_run_nothing(make_notebook: MakeNotebook, parameters: dict[str, Any]) -> None:
    notebook = make_notebook("open('ran', 'w').close()")
    with pytest.raises(ParametersRefused):
        execute_notebook(notebook, parameters, notebook.parent / "out")
    assert [path.name for path in notebook.parent.iterdir()] == ["study.ipynb"]


def test_a_missing_working_folder_is_refused_before_anything_runs(make_notebook: MakeNotebook) -> None:
    notebook = make_notebook()
    with pytest.raises(NotebookError, match="there is no such folder"):
        execute_notebook(notebook, {}, notebook.parent / "out", cwd=notebook.parent / "missing")


def test_a_cell_that_raises_is_named_by_the_number_that_jupyter_and_the_page_show(
    make_notebook: MakeNotebook, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also inside a running event loop, as in JupyterLab or an async flow."""
    notebook = make_notebook("x = 1", "def f():\n    return x / 0\n\nf()", "y = 2")

    async def run() -> None:
        execute_notebook(notebook, {"fast": 1}, notebook.parent / "out")

    with pytest.raises(NotebookFailed) as failure:
        asyncio.run(run())
    error = failure.value
    assert (
        str(error) == "study.ipynb failed in cell 4 (`def f():`), line 2: ZeroDivisionError: division by zero"
    )
    assert (error.cell, error.error_name) == (4, "ZeroDivisionError")
    assert "return x / 0" in error.traceback
    assert "\x1b" not in error.traceback
    cells = json.loads((notebook.parent / "out" / "study.ipynb").read_text())["cells"]
    assert "division by zero" in cells[0]["source"]
    (failed,) = (cell for cell in cells if cell["metadata"].get("papermill", {}).get("status") == "failed")
    assert failed["execution_count"] == error.cell
    assert [cell["metadata"]["papermill"]["status"] for cell in cells[1:]] == [
        *("completed", "completed", "completed", "completed", "failed", "pending"),
    ]
    page = (notebook.parent / "out" / "study.html").read_text()
    assert "division by zero" in page
    assert f'<a href="#cell-id={failed["id"]}">failed in cell 4</a>' in page
    assert f'id="cell-id={failed["id"]}"' in page
    assert capfd.readouterr() == ("", ""), "papermill and its parts say nothing of their own"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        # The function of one cell, called in another; a text cell between them has no number.
        (
            ["def f():\n    return 1 / 0", "", "x = 1\nf()"],
            r"cell 3 \(`x = 1`\), line 2, inside cell 2, line 2 \(f\): ",
        ),
        (
            ["import pandas as pd\n\npd.DataFrame({'y': [1]})['x']"],
            r"cell 2 .*, line 3, inside pandas/core/\S+, line \d+ \(\S+\): KeyError: 'x'$",
        ),
        (
            ["try:\n    {}['a']\nexcept KeyError as error:\n    raise OSError('b') from error"],
            r"line 4: OSError: b$",
        ),
        (["x = 1\ny = = 2"], r"cell 2 \(`x = 1`\), line 2: SyntaxError: invalid syntax$"),
        (["raise ExceptionGroup('two', [ValueError('a')])"], r"cell 2 .*the cell's output says more$"),
    ],
)
def test_the_line_is_that_of_the_users_cell_and_the_innermost_one_is_told_too(
    make_notebook: MakeNotebook, cells: list[str], told: str
) -> None:
    assert re.search(told, str(_failed(make_notebook(*cells))))


@pytest.mark.parametrize(
    ("cell", "complaint", "name"),
    [
        ("import os; os.kill(os.getpid(), 9)", r"the kernel died in cell 2 .*SIGKILL", "DeadKernelError"),
        (
            "import sys; sys.exit(0)",
            r"left by sys\.exit\(\), exit\(\) or quit\(\) in cell 2 .* 2 of 3",
            "SystemExit",
        ),
        ("import sys; sys.exit(3)", r"failed in cell 2 .*SystemExit: 3", "SystemExit"),
        ("exit(0)", r"in cell 2 .* 2 of 3 code cells", "SystemExit"),
        ("def leave():\n    quit()\nleave()", r"in cell 2 .* 2 of 3 code cells", "SystemExit"),
        ("exit", r"in cell 2 .* 2 of 3 code cells", "SystemExit"),
        ("exit(3)", r"failed in cell 2 .*SystemExit: 3", "SystemExit"),
        ("get_ipython().ask_exit()", r"in cell 2 .* 2 of 3 code cells", "SystemExit"),
    ],
)
def test_a_notebook_that_leaves_early_has_failed(
    make_notebook: MakeNotebook, capfd: pytest.CaptureFixture[str], cell: str, complaint: str, name: str
) -> None:
    notebook = make_notebook(cell, "later = 1")
    error = _failed(notebook)
    assert (error.cell, error.error_name) == (2, name)
    assert re.search(complaint, str(error))
    assert (notebook.parent / "out" / "study.html").exists()
    assert capfd.readouterr() == ("", "")


def test_a_deadline_ends_the_run_and_all_that_it_started(make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(CHILDREN, "while True: pass")
    error = _failed(notebook, timeout_seconds=10)
    assert str(error).startswith("study.ipynb was stopped after 10 s, in cell 3 (`while True: pass`)")
    assert (error.cell, error.error_name) == (3, "TimeoutError")
    _all_children_are_gone(notebook)


@pytest.mark.parametrize("end", ["import os; os.kill(os.getpid(), 9)", "import os; os._exit(0)", "1 / 0", ""])
def test_what_a_run_started_ends_with_it(make_notebook: MakeNotebook, end: str) -> None:
    """However its kernel goes: killed, gone by itself, told to after an error or after the last cell."""
    notebook = make_notebook(CHILDREN, end)
    if end:
        assert _failed(notebook).cell == 3
    else:
        execute_notebook(notebook, {}, notebook.parent / "out")
    _all_children_are_gone(notebook)


def test_a_server_that_a_run_had_to_start_serves_on(make_notebook: MakeNotebook, tmp_path: Path) -> None:
    """As PostgreSQL and Valkey do, which are started with an environment of their own."""
    server = tmp_path / "valkey-server"
    shutil.copy(shutil.which("sleep") or "", server)
    start = "import subprocess\nprint(subprocess.Popen(['{}', '600'], env={}, start_new_session=True).pid)"
    notebook = make_notebook(start.replace("{}", str(server), 1))
    execute_notebook(notebook, {}, notebook.parent / "out")
    (pid,) = _texts(notebook.parent / "out" / "study.ipynb")
    assert psutil.Process(int(pid)).name() == "valkey-server"
    os.kill(int(pid), signal.SIGKILL)
    assert _gone(int(pid))


def test_a_kernel_that_will_not_go_is_ended_and_the_run_has_succeeded(make_notebook: MakeNotebook) -> None:
    notebook = make_notebook(
        "import atexit, signal, threading, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "atexit.register(time.sleep, 600)\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()"
    )
    assert execute_notebook(notebook, {}, notebook.parent / "out").cells == 2


def test_a_flood_of_text_is_cut_and_the_run_goes_on(
    make_notebook: MakeNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "CELL_TEXT_LIMIT", 10_000)
    notebook = make_notebook(
        "for i in range(5_000): print('x' * 100)",
        "print('y' * 2_000_000)",
        # Beyond 1,000 unread messages ZeroMQ drops some, unless it is told to wait.
        "for i in range(3_000): print(f'\\r{i} of 3000', end='', flush=True)",
        "print('end')",
    )
    ran = execute_notebook(notebook, {}, notebook.parent / "out")
    flood, line, bar, end = _texts(ran.output)
    assert len(flood) < 10_200
    assert flood.endswith("[workbench: the rest of this cell's text was cut after 10,000 characters]\n")
    assert len(line) < 10_200
    assert (bar, end) == ("2999 of 3000", "end\n")


def test_outputs_beyond_the_limit_end_the_run(
    make_notebook: MakeNotebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "OUTPUT_LIMIT", 1_000_000)
    notebook = make_notebook(
        "from IPython.display import HTML, display\n"
        "shown = display(HTML(''), display_id=True)\n"
        "for _ in range(5): shown.update(HTML('x' * 300_000))",  # replaced each time: never too much
        "import time\nfor _ in range(5): display(HTML('x' * 300_000))\ntime.sleep(600)",
    )
    error = _failed(notebook)
    assert (error.cell, error.error_name) == (3, "OutputLimit")
    output = notebook.parent / "out" / "study.ipynb"
    assert output.stat().st_size < 1_200_000
    (notice,) = _texts(output)
    assert notice.startswith("[workbench: what else this cell showed was left out")


def test_a_hundred_megabytes_of_output_are_cut_before_they_reach_this_process(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    """Each way of making them, in a cell of its own; how far another process grows by them is measured."""
    program = """
import json, re, sys
from pathlib import Path
from workbench.errors import NotebookFailed
from workbench.headless.execute import execute_notebook

def status(key):
    return int(re.search(rf"{key}:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

first, *others = map(Path, sys.argv[1:])
execute_notebook(first, {}, first.parent / "out")  # what is imported by this is no growth
said = []
for notebook in others:
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    try:
        execute_notebook(notebook, {}, notebook.parent / "out")
        error = None
    except NotebookFailed as failure:
        error = [failure.cell, failure.error_name, len(str(failure))]
    said.append([status("VmHWM") - before, error])
print(json.dumps(said))
"""
    ways = [
        *TEXT_WAYS,
        *("import comm; comm.create_comm(target_name='x', data={}, buffers=[b'x' * N])", "print('end')"),
    ]
    notebooks = [
        make_notebook("1", folder="first"),
        make_notebook(*(f"N = 100_000_000\n{way}" for way in ways), folder="texts"),
        make_notebook("from IPython.display import HTML\nHTML('x' * 100_000_000)", "'next'", folder="html"),
        make_notebook(
            "from IPython.display import HTML, display\nfor _ in range(100): display(HTML('x' * 1_000_000))",
            "'next'",
            folder="displays",
        ),
        make_notebook("raise ValueError('x' * 100_000_000)", "'next'", folder="error"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, notebooks)],
        cwd=Path(execute.__file__).resolve().parents[2],
        # A kernel that finds pytest's variable does not capture what is written to the descriptors.
        env={name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (texts, html, displays, error) = json.loads(done.stdout)
    # The page of ten cells with a megabyte each takes several times as much while it is made.
    assert texts[0] < 250, done.stdout
    assert max(growth for growth, _ in (html, displays, error)) < 100, done.stdout
    assert texts[1] is None
    cells = json.loads((tmp_path / "texts" / "out" / "study.ipynb").read_text())["cells"][2:]
    for way, cell in zip(TEXT_WAYS, cells, strict=False):
        said = json.dumps(cell["outputs"])
        assert said.count("cut after 1,000,000 characters]") == 1, way
        assert len(said) < 4_000_000, way  # as lists of lines
    assert "".join(cells[-1]["outputs"][0]["text"]) == "end\n"
    assert html[1][:2] == displays[1][:2] == [2, "OutputLimit"]
    assert error[1][:2] == [2, "ValueError"]
    assert error[1][2] < 30_000


def test_an_interrupted_run_keeps_what_it_has(make_notebook: MakeNotebook) -> None:
    notebook = make_notebook("x = 1", "import time; time.sleep(600)")

    def interrupt(done: int, total: int, now: str) -> None:
        if "sleep" in now:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute_notebook(notebook, {}, notebook.parent / "out", progress=interrupt)
    assert "KeyboardInterrupt" in (notebook.parent / "out" / "study.ipynb").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with the one that started it")
def test_a_kernel_dies_with_a_run_that_is_killed_outright(
    make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    # Inside one long call into C, where nothing in Python gets a turn.
    notebook = make_notebook("import os\nopen('pid', 'w').write(str(os.getpid()))\nsum(range(10**13))")
    program = (
        "import sys; from pathlib import Path; from workbench.headless.execute import execute_notebook\n"
    )
    program += "execute_notebook(Path(sys.argv[1]), {}, Path(sys.argv[2]))"
    command = [sys.executable, "-c", program, str(notebook), str(tmp_path / "out")]
    root = Path(execute.__file__).resolve().parents[2]
    # What it leaves in its temporary folder goes with the test's.
    with subprocess.Popen(command, cwd=root, env={**os.environ, "TMPDIR": str(tmp_path)}) as run:
        pid_file = notebook.parent / "pid"
        while run.poll() is None and not (pid_file.exists() and pid_file.read_text()):
            time.sleep(0.1)
        run.send_signal(signal.SIGKILL)
    assert _gone(int(pid_file.read_text()))


def _all_children_are_gone(notebook: Path) -> None:
    children = " ".join(_texts(notebook.parent / "out" / "study.ipynb")).split()
    assert len(children) == 3
    assert all(_gone(int(child)) for child in children)


def _gone(pid: int) -> bool:
    """Whether the process has ended, or ends within some seconds; one not yet reaped has."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def test_a_moment_arrives_as_a_datetime_and_binds_nothing_else(tmp_path: Path) -> None:
    cell = (
        "import datetime\nslot: datetime.datetime | None = None\n"
        "days: list[datetime.datetime] = []\ntext: str = '2026-11-27T22:30:00+00:00'"
    )
    notebook = write_notebook(
        tmp_path / "study.ipynb",
        parameters=cell,
        cells=["print(repr(slot))\nprint(days[0].tzinfo, datetime.__name__, repr(text))"],
    )
    given = {"slot": "2026-11-27T17:30:00-05:00", "days": ["2026-11-26T00:00:00+00:00"]}
    ran = execute_notebook(notebook, given, tmp_path / "out")
    assert "".join(_texts(ran.output)).splitlines() == [
        "datetime.datetime(2026, 11, 27, 22, 30, tzinfo=datetime.timezone.utc)",
        "UTC datetime '2026-11-27T22:30:00+00:00'",
    ]
    kept = json.loads(ran.output.read_text())["metadata"]["papermill"]["parameters"]
    assert kept == {"slot": "2026-11-27T22:30:00+00:00", "days": ["2026-11-26T00:00:00+00:00"]}
    assert "2026-11-27T22:30:00+00:00" in ran.html.read_text()
