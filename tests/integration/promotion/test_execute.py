"""Headless runs on real kernels: what goes in, what comes out, and every ending told and cleaned up."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench.errors import NotebookError, NotebookFailed, ParametersRefused
from workbench.promotion import execute
from workbench.promotion.execute import execute_notebook

MakeNotebook = Callable[..., Path]
PARAMETERS = "fast: int = 20\ntext = 'none'\nvalues: list = []"
HOSTILE = [
    "\"; import os; os.environ['HIT'] = '1' #",
    "'''\"\"\"\\",
    "line\nbreak\r\ttab",
    "{fast} {0} {{}} ../../up",
    "\\x41\\u0041 \u2028 é 😀",
    "$(touch hit) `touch hit`",
]


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
        ("import sys; sys.exit(0)", r"left by sys\.exit\(\) in cell 2 .* 2 of 3 code cells", "SystemExit"),
        ("import sys; sys.exit(3)", r"failed in cell 2 .*SystemExit: 3", "SystemExit"),
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
    notebook = make_notebook(
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\nprint(child.pid)", "while True: pass"
    )
    error = _failed(notebook, timeout_seconds=10)
    assert str(error).startswith("study.ipynb was stopped after 10 s, in cell 3 (`while True: pass`)")
    assert (error.cell, error.error_name) == (3, "TimeoutError")
    (child,) = _texts(notebook.parent / "out" / "study.ipynb")
    assert _gone(int(child))


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
        # Fewer messages than a ZeroMQ queue holds: beyond 1,000 unread ones a kernel drops text.
        "for i in range(500): print(f'\\r{i} of 500', end='', flush=True)",
        "print('end')",
    )
    ran = execute_notebook(notebook, {}, notebook.parent / "out")
    flood, line, bar, end = _texts(ran.output)
    assert len(flood) < 10_200
    assert flood.endswith("[workbench: the rest of this cell's text was cut after 10,000 characters]\n")
    assert len(line) < 10_200
    assert (bar, end) == ("499 of 500", "end\n")


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
    assert (notebook.parent / "out" / "study.ipynb").stat().st_size < 1_200_000


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
        "import sys; from pathlib import Path; from workbench.promotion.execute import execute_notebook\n"
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
