"""Runs a notebook headless: checked parameters, a clean kernel, a time limit, an output notebook and page.

The only module that imports papermill. It works in a thread of its own, and the caller's thread watches.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import re
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import NotebookError, NotebookFailed
from workbench.headless.html import FAILURE_TAG, write_html
from workbench.headless.iri_check import put_off_iri_grammar
from workbench.headless.kernel_values import for_kernel, teach_papermill
from workbench.headless.notebook_file import NotebookFile
from workbench.headless.supervision import CellError, Progress, Supervision, Watched
from workbench.home.files import replace_file
from workbench.home.folders import private_folder
from workbench.home.temporary import TemporaryFolder
from workbench.runs.notebook import read_notebook

if TYPE_CHECKING:
    from workbench.headless.kernel import RunKernel

__all__ = ["ExecutedNotebook", "Progress", "execute_notebook", "output_paths"]

CELL_TEXT_LIMIT = 1_000_000
"""Characters that one cell may print; the rest is cut, with a note."""
OUTPUT_LIMIT = 20_000_000
"""Characters that the outputs of one run may hold in all; more ends the run."""

_STARTUP_SECONDS = 60
_STARTS = 3
_PORT_TAKEN = "Address already in use"


@dataclass(frozen=True, slots=True)
class ExecutedNotebook:
    """A notebook that ran to its end.

    Fields: `output` (the notebook with its outputs), `html` (the page made of it), `cells` (code cells
    that ran), `seconds` (from the start to the page).
    """

    output: Path
    html: Path
    cells: int
    seconds: float


def output_paths(notebook: Path, output_folder: Path) -> tuple[Path, Path]:
    """Where a run of `notebook` leaves its output notebook and its HTML page, also when it fails."""
    output = Path(output_folder).absolute() / Path(notebook).name
    return output, output.with_suffix(".html")


def execute_notebook(
    notebook: Path | NotebookFile,
    parameters: Mapping[str, Any],
    output_folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_seconds: float | None = None,
    memory_limit: int | None = None,
    heartbeat: Watched | None = None,
    progress: Progress | None = None,
    about: Callable[[], Sequence[tuple[str, str]]] = tuple,
    page: bool = True,
    home: Path | None = None,
) -> ExecutedNotebook:
    """Run `notebook` from a clean kernel of this Python; keep its output and an HTML page of it.

    Parameters
    ----------
    notebook : Path or NotebookFile
        A path is read once, at the start; later edits change nothing.
    parameters : Mapping[str, Any]
        Values by name; those not given keep the notebook's defaults.
    output_folder : Path
        Gets `<notebook name>.ipynb` and `.html`, each whole or not at all, also from a run that fails.
    environment : Mapping[str, str], optional
        Laid over this process's environment, for the kernel only.
    cwd : Path, optional
        Where the notebook's code works. Default: the notebook's folder.
    timeout_seconds : float, optional
        A limit for the whole run, after which the kernel is killed.
    memory_limit : int, optional
        Bytes of resident memory of the kernel and all that descends from it, beyond which it is killed;
        looked at each second.
    heartbeat : Watched, optional
        Of the run's record: told how far the run is, and asked whether it is over.
    progress : callable, optional
        Called in this thread as `progress(code cells done, code cells in all, what runs now)`.
    about : callable, optional
        Called after the run for the facts that its page shows, as `write_html` takes them.
    page : bool
        Whether a page is made.
    home : Path, optional
        Where the run's temporary folder is made, which goes with it or, if it is killed, at the next start.
        Default: the system's temporary folder.

    Raises
    ------
    NotebookError
        The notebook cannot be read; nothing ran.
    ParametersRefused
        The parameters are not the notebook's; nothing ran.
    NotebookFailed
        A cell raised, the kernel died, a limit was passed, or cells never ran.
    """
    file = notebook if isinstance(notebook, NotebookFile) else NotebookFile.read(Path(notebook).absolute())
    notebook = file.path
    cwd = notebook.parent if cwd is None else Path(cwd).absolute()
    if not cwd.is_dir():
        raise NotebookError(f"{notebook.name} cannot run in {cwd}: there is no such folder.")
    with TemporaryFolder("run", home) as scratch:
        source = scratch / notebook.name
        source.write_text(json.dumps(file.document), encoding="utf-8")
        file.parameters.complete(parameters)  # refuses what is missing
        given = for_kernel(file.parameters, file.parameters.validate(parameters))
        output, html = output_paths(notebook, output_folder)
        private_folder(output.parent)
        partial = scratch / f".{notebook.name}"
        put_off_iri_grammar()
        # Here, because jupyter_client and nbclient take a third of a second to import.
        from workbench.headless.kernel import RunKernel

        environment = {"PLOTLY_RENDERER": "plotly_mimetype", **(environment or {})}
        started = time.monotonic()
        failure: BaseException | None = None
        try:
            for tries_left in reversed(range(_STARTS)):
                kernel = RunKernel(
                    scratch, environment, cwd, text_limit=CELL_TEXT_LIMIT, total_limit=OUTPUT_LIMIT
                )
                run = Supervision(notebook.name, file.document, given, kernel, memory_limit, heartbeat)
                try:
                    _supervised(run, kernel, source, partial, timeout_seconds, progress)
                    break
                except NotebookFailed as error:
                    # In a home with a long path the kernel has ports, and another took one in between.
                    if not tries_left or _PORT_TAKEN not in error.traceback or run.current >= 0:
                        raise
        except BaseException as error:
            failure = error
            raise
        finally:
            if partial.exists():
                _keep(
                    run, partial, output, {"input_path": str(notebook), "output_path": str(output)}, failure
                )
                if page:
                    _show(output, html, failure, about)
        return ExecutedNotebook(output, html, run.cells, time.monotonic() - started)


def _supervised(
    run: Supervision,
    kernel: RunKernel,
    source: Path,
    partial: Path,
    timeout_seconds: float | None,
    progress: Progress | None,
) -> None:
    runner = threading.Thread(
        target=_run, args=(run, kernel, source, partial), name=f"run of {run.name}", daemon=True
    )
    # Warnings of papermill's own dependencies are not about the user's code.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runner.start()
        run.watch(runner, timeout_seconds, progress)
    failure = run.failure(timeout_seconds)
    if failure is not None:
        raise failure from run.error
    if progress is not None:
        progress(run.cells, run.cells, "done")


def _run(run: Supervision, kernel: RunKernel, source: Path, partial: Path) -> None:
    """In the runner's thread: papermill, from its start to its end."""
    import papermill
    from jupyter_core.utils import ensure_event_loop
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").addHandler(logging.NullHandler())
    teach_papermill()
    loop = ensure_event_loop()  # the one that jupyter's synchronous calls use in this thread
    try:
        papermill.execute_notebook(
            _unformatted(source),
            _unformatted(partial),
            parameters=run.given,
            engine_name=_engine(),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            autosave_cell_every=0,
            supervision=run,
            kernel=kernel,
        )
    except PapermillExecutionError as error:
        run.cell_error = CellError(error.cell_index, error.ename, error.evalue, "\n".join(error.traceback))
    except DeadKernelError as error:
        run.kernel_died, run.error = True, error
    except BaseException as error:  # noqa: BLE001 - the watching thread raises what this one met
        run.error = error
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


@functools.cache
def _engine() -> str:
    """The name of our engine, registered with papermill: its own, with our kernel and bounded outputs."""
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines

    from workbench.headless.kernel import BoundedOutputs, unheard

    class Client(BoundedOutputs, PapermillNotebookClient):  # type: ignore[misc]
        """Papermill's client, bounded."""

    class Engine(NBClientEngine):  # type: ignore[misc]
        """One method: run the cells in the kernel that is given."""

        @classmethod
        def execute_managed_notebook(
            cls, nb_man: Any, _name: str, *, supervision: Supervision, kernel: RunKernel, **_options: Any
        ) -> None:
            client = Client(
                nb_man,
                km=kernel.manager,
                log=unheard(),
                timeout=None,
                startup_timeout=_STARTUP_SECONDS,
                # A flood of output may outrun us, and even lose the message that says it is over.
                iopub_timeout=30,
                raise_on_iopub_timeout=False,
                store_widget_state=False,
                on_cell_start=lambda **at: supervision.cell_starts(at["cell_index"]),
                on_cell_executed=lambda **_: supervision.cell_ran(),
            )
            client.bound(CELL_TEXT_LIMIT, OUTPUT_LIMIT, lambda at: supervision.kill("outputs", at))
            kernel.execute(client)

    papermill_engines.register("workbench", Engine)
    return "workbench"


def _unformatted(path: Path) -> str:
    """`path` for papermill, which passes it through `str.format`."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _keep(
    run: Supervision, partial: Path, output: Path, paths: Mapping[str, str], failure: BaseException | None
) -> None:
    """Correct what papermill recorded wrongly, and put the output notebook in its place."""
    document = read_notebook(partial)
    document["cells"] = [cell for cell in document["cells"] if FAILURE_TAG not in cell["metadata"]["tags"]]
    document["metadata"].setdefault("papermill", {}).update(paths)
    if failure is not None:
        document["metadata"]["papermill"]["exception"] = True
        for cell in document["cells"][run.current + 1 :]:
            # Papermill calls these completed when a kernel has died.
            cell["metadata"].get("papermill", {})["status"] = "pending"
        text = str(failure) or type(failure).__name__
        # No line of the text can end the fence, which is longer than any row of its character there.
        fence = "~" * (3 + max(map(len, re.findall("~+", text)), default=0))
        banner = f"**This run failed**\n\n{fence}text\n{text}\n{fence}"
        cell = {"cell_type": "markdown", "metadata": {"tags": [FAILURE_TAG]}, "source": banner}
        document["cells"].insert(0, cell | ({"id": "failure"} if document["nbformat_minor"] >= 5 else {}))
    try:
        replace_file(output, (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode())
        partial.unlink()
    except OSError as error:
        if failure is None:
            raise NotebookError(f"The run's output {output} cannot be written: {error.strerror}.") from error


def _show(
    output: Path,
    page: Path,
    failure: BaseException | None,
    about: Callable[[], Sequence[tuple[str, str]]],
) -> None:
    try:
        write_html(output, page, about())
    except NotebookError:
        if failure is None:
            raise  # after a failed run, its own error is the one to raise
