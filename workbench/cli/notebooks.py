"""The commands about notebooks: demo, lab, run, promote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, cast

import typer

from workbench.errors import GateFailed, NotebookFailed, ServerError
from workbench.paths import PACKAGE
from workbench.project import project_environment, the_project
from workbench.secrets_file import hand_over
from workbench.settings import Settings
from workbench.terminal import as_json, fail, note, step, steps, warn
from workbench.workbench import Workbench

__all__ = ["demo", "lab", "promote", "run"]

# How long JupyterLab may take to end its kernels, in seconds.
_LAB_PATIENCE = 20.0

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Memory = Annotated[
    str | None, typer.Option(help="Resident memory beyond which it is killed, as 4GB or 512MB.")
]
Locks = Annotated[
    list[str] | None,
    typer.Option("--lock", help="A resource that no two runs have at once; may be repeated."),
]
On = Annotated[str | None, typer.Option("--on", help="Start on events of a type, as market_data.written.")]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", help="What the event must name, as symbol=AAPL,MSFT; may be repeated."),
]
Settle = Annotated[
    str | None,
    typer.Option("--settle", help="How long no further event may come before a run begins: 30s, 5min."),
]
After = Annotated[str | None, typer.Option("--after", help="Start when this deployment has completed.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", help="name=value, may be repeated; lists as A,B or JSON."),
]


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the servers running at the end.")] = False,
    json: Json = False,
) -> None:
    """Show all of it on real prices: servers, ingestion, a backtest, a scheduled run, events."""
    from workbench.demo import Demo, summary

    report = Demo(Settings.load(), keep=keep).run()
    if json:
        as_json(report.facts)
    else:
        summary(report)


def run(
    notebook: Annotated[str, typer.Argument(help="A path, or a name below notebooks/.")],
    parameter: Parameters = None,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which it is killed.")] = None,
    memory: Memory = None,
    lock: Locks = None,
    json: Json = False,
) -> None:
    """Run a notebook headless from a clean kernel, and record it."""
    from workbench.headless.notebook_file import open_notebook

    file = open_notebook(notebook)
    values = file.parameters.parse(parameter or [])
    try:
        with Workbench() as wb, steps(f"Running {file.path.name}") as tell:
            result = wb.run(
                file,
                values,
                timeout_seconds=timeout,
                memory_limit=memory,
                locks=lock or (),
                progress=lambda done, total, what: tell(f"{done} of {total} done; {what}"),
            )
            headline = wb.runs.show(result.run_id)["headline"]
    except NotebookFailed as error:
        _tell_failure(error, file.shown, json=json)
        raise typer.Exit(1) from error
    if json:
        as_json(
            {
                "run_id": result.run_id,
                "notebook": result.notebook,
                "status": "completed",
                "output": str(result.output),
                "html": str(result.html),
                "seconds": round(result.seconds, 3),
                "headline": headline,
            }
        )
        return
    step(f"run {result.run_id} completed in {result.seconds:.1f} s")
    step(f"page      {result.html}")
    step(f"notebook  {result.output}")


def _tell_failure(error: NotebookFailed, notebook: str, *, json: bool) -> None:
    fail(str(error))
    if json:
        as_json(
            {
                "run_id": error.run_id,
                "notebook": notebook,
                "status": "failed",
                "output": error.output and str(error.output),
                "html": error.html and str(error.html),
                "error": str(error),
            }
        )
        return
    note(f"run {error.run_id} failed")
    if error.html is not None:
        note(f"page      {error.html}")
    if error.output is not None:
        note(f"notebook  {error.output}")


def promote(
    notebook: Annotated[str, typer.Argument(help="A path, or a name below notebooks/.")],
    name: Annotated[str, typer.Option(help="The deployment's name.")],
    cron: Annotated[str | None, typer.Option(help='Five fields, as "30 17 * * mon-fri".')] = None,
    every: Annotated[str | None, typer.Option(help="Each so often, as 15min, 2h or 1d.")] = None,
    rrule: Annotated[
        str | None, typer.Option(help="A recurrence rule, as FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18.")
    ] = None,
    calendar: Annotated[str | None, typer.Option(help="Each session of an exchange, as XNYS.")] = None,
    at: Annotated[
        str | None, typer.Option(help="When of its sessions: close (the default), close+15min, open-30min.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="The time zone the schedule is read in, as America/New_York; default: the project's."
        ),
    ] = None,
    on: On = None,
    where: Where = None,
    settle: Settle = None,
    after: After = None,
    catch_up: Annotated[
        str,
        typer.Option(help="What is still run of slots that passed while nothing ran: latest, all, none, 5."),
    ] = "latest",
    each: Annotated[
        list[str] | None,
        typer.Option("--each", help="A run for each value, as symbols=AAPL,MSFT; several make a grid."),
    ] = None,
    parameter: Parameters = None,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which a run is killed.")] = None,
    memory: Memory = None,
    retries: Annotated[int, typer.Option(min=0, help="Attempts that may follow one that failed.")] = 2,
    retry_on: Annotated[
        str, typer.Option(help='Which failures: "away" (a server or vendor), or "any" of a cell.')
    ] = "away",
    lock: Locks = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", help="A file of the project to promote with it; may be repeated."),
    ] = None,
    force: Annotated[
        str | None,
        typer.Option("--force", help="Promote it although it is not fit, or does not pass a gate: say why."),
    ] = None,
    min_dsr: Annotated[float | None, typer.Option(help="The least deflated Sharpe ratio, 0 to 1.")] = None,
    max_pbo: Annotated[
        float | None, typer.Option(help="The highest probability of overfitting, 0 to 1.")
    ] = None,
    min_trades: Annotated[int | None, typer.Option(help="The fewest closed trades.")] = None,
    max_drawdown: Annotated[float | None, typer.Option(help="The deepest drawdown, 0.25 for 25 %.")] = None,
    note: Annotated[str | None, typer.Option(help="What you say of this version, such as why.")] = None,
    shadow: Annotated[
        int | None,
        typer.Option(min=1, help="Only run it beside the version in use, undone, in so many slots."),
    ] = None,
    json: Json = False,
) -> None:
    """Turn a notebook into a scheduled Prefect job."""
    from workbench.headless.notebook_file import open_notebook
    from workbench.promotion.members import members_of, parse_each
    from workbench.schedules.catch_up import read_catch_up
    from workbench.schedules.on_event import wheres
    from workbench.stack.schedules import in_zone

    opened = open_notebook(notebook)
    values = opened.parameters.parse(parameter or [])
    grid = parse_each(opened.parameters, each or [])
    with _gates_told(), Workbench() as wb, steps(f"Promoting {opened.path.name}") as tell:
        deployment = wb.promote(
            opened,
            name=name,
            cron=cron,
            every=every,
            rrule=rrule,
            calendar=calendar,
            at=at,
            timezone=timezone,
            on=on,
            where=wheres(where or []),
            settle=settle,
            after=after,
            catch_up=read_catch_up(catch_up),
            each=grid,
            parameters=values,
            timeout_seconds=timeout,
            memory_limit=memory,
            retries=retries,
            retry_on=cast(Literal["away", "any"], retry_on),
            locks=lock or (),
            files=file or (),
            force=force,
            note=note,
            min_dsr=min_dsr,
            max_pbo=max_pbo,
            min_trades=min_trades,
            max_drawdown=max_drawdown,
            shadow=shadow,
            progress=tell,
        )
    if json:
        as_json(deployment.to_json())
        return
    _tell_gates([gate.to_json() for gate in deployment.gates])
    if shadow is not None:
        step(f"version {deployment.version} of {name} runs as a shadow in the next {shadow} slots")
        step(f"what both say: workbench deployments compare {name}; then: cut-over or drop-shadow")
        return
    step(f"{deployment.notebook} is deployed as {deployment.name}: {deployment.schedule}")
    for doubt in deployment.doubts:
        warn(doubt)
    if grid:
        step(f"each slot has a run for each of {', '.join(member for member, _ in members_of(grid))}")
    if on is not None or after is not None:
        step(f"it runs {deployment.schedule}")
    elif deployment.next_run is None:
        warn("Prefect has planned no run of it yet; see: workbench status")
    else:
        step(f"next run: {in_zone(deployment.next_run, deployment.timezone)}")
    kept = [*deployment.modules, *deployment.files]
    step(f"it runs as it is now, version {deployment.version}; promote it again after a change")
    if kept:
        step(f"with it were promoted: {', '.join(kept)}")
    step("it runs only while the servers run: workbench status")


@contextmanager
def _gates_told() -> Iterator[None]:
    """Before the error of a gate, tell what those before it found."""
    try:
        yield
    except GateFailed as error:
        _tell_gates(error.gates[:-1])
        raise


def _tell_gates(gates: Sequence[Mapping[str, Any]]) -> None:
    """One line a gate."""
    tell = {"passed": step, "failed": fail, "not applicable": note}
    for gate in gates:
        tell[gate["outcome"]](f"{gate['gate']} ({gate['seconds']:.1f} s): {gate['summary']}")


def lab(
    port: Annotated[int, typer.Option(help="JupyterLab's port.")] = 8888,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
) -> None:
    """Open JupyterLab at notebooks/, with everything running behind it."""
    from workbench.stack import Stack
    from workbench.stack.environment import settings_environment

    settings, project = Settings.load(), the_project()
    stack = Stack(settings)
    was_up = stack.is_up()
    with steps("Starting the servers") as tell:
        endpoints = stack.up(tell)
    step(f"Prefect's pages: {endpoints.prefect_ui_url}  (sign in with {endpoints.prefect_auth_string})")
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={project / 'notebooks'}",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--LabApp.default_url=/lab/tree/00_start_here.ipynb",
        # Not without being asked: a look for updates goes over the network.
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *(["--ServerApp.allow_root=True"] if os.geteuid() == 0 else []),
        *([] if browser else ["--no-browser"]),
    ]
    # Defaults, which a user's own settings override: else JupyterLab asks each new user about news.
    config = str(PACKAGE / "jupyter" / "config")
    secrets = settings.home / "run" / f"lab-{os.getpid()}.secrets.json"
    if not stack.labs():
        # Those of labs that were killed, which could not remove their own.
        for left in secrets.parent.glob("lab-*.secrets.json"):
            left.unlink(missing_ok=True)
    # Kernels read the project's file themselves, as it is when they start.
    handed = {**os.environ, **project_environment(), **settings_environment(settings, whole=False)}
    given = hand_over(handed, secrets)
    environment = given | {
        "PLOTLY_RENDERER": "plotly_mimetype",
        "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, [config, os.environ.get("JUPYTER_CONFIG_PATH")])),
    }
    try:
        code = _attend(subprocess.Popen(command, env=environment))
    finally:
        secrets.unlink(missing_ok=True)
        if was_up:
            step("the servers keep running; stop them with: workbench down")
        else:
            with steps("Stopping the servers") as tell:
                stack.down(tell)
    if code < 0:
        raise ServerError(f"JupyterLab was ended from outside, by signal {-code}")
    if code:
        fail(f"JupyterLab ended with code {code}")
        raise ServerError(f"JupyterLab could not run on port {port}; try: workbench lab --port {port + 1}")


def _attend(lab: subprocess.Popen[bytes]) -> int:
    """Wait for JupyterLab, and stop it when this process is stopped; its exit code, 0 if it was stopped."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        return lab.wait()
    except KeyboardInterrupt:
        # Ctrl-C reaches JupyterLab too, which asks back; on SIGTERM it ends at once.
        lab.terminate()
        try:
            lab.wait(_LAB_PATIENCE)
        except subprocess.TimeoutExpired:
            lab.kill()
            lab.wait()
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
