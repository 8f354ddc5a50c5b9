"""What an import, a first query and a first backtest cost in a fresh process, beside the plain libraries."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from benchmarks import BenchmarkSize, Report
from benchmarks.data import make_bars
from benchmarks.figures import Figures
from benchmarks.server import Server, private_server
from benchmarks.turns import CandidateFailed, is_installed, medians, say, take_turns
from workbench.settings import Settings
from workbench.stack.servers import Servers

__all__ = ["run"]

# The statements alone are timed: the interpreter's own start is the same for all.
_PROGRAM = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
{statements}
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""

_IMPORT = "from workbench import Workbench"
_PARTS = "import pandas, sqlalchemy, psycopg"

_QUERY = f"""
{_IMPORT}
from workbench.settings import Settings
wb = Workbench(Settings(home={{home!r}}, database_url={{url!r}}, redis_url="redis://127.0.0.1:1/0"))
assert len(wb.data_ingestion.load_market_data({{symbol!r}}, source="polygon")) == {{bars}}
"""
_PLAIN_QUERY = """
import pandas, sqlalchemy
engine = sqlalchemy.create_engine({service_url!r}.replace("postgresql:", "postgresql+psycopg:", 1))
bars = pandas.read_sql(
    "SELECT symbol, timestamp, open::float8, high::float8, low::float8, close::float8, volume::float8 "
    "FROM data_ingestion.market_data WHERE data_source = 'polygon' AND symbol = '{symbol}' ORDER BY 1, 2",
    engine,
).set_index(["symbol", "timestamp"])
assert len(bars) == {bars}
"""

_SIGNALS = """
import pandas
bars = pandas.read_pickle({frame!r})
close = bars["close"].droplevel("symbol")
above = close.rolling(20).mean() > close.rolling(50).mean()
"""
_BACKTEST = f"""
{_IMPORT}
from workbench.backtest import backtest
{_SIGNALS}
assert len(backtest(bars, above, ~above).equity) == {{bars}}
"""
_PLAIN_BACKTEST = f"""
import vectorbt
{_SIGNALS}
portfolio = vectorbt.Portfolio.from_signals(
    close, above.shift(fill_value=False), (~above).shift(fill_value=False),
    price=bars["open"].droplevel("symbol"), fees=0.001, init_cash=100_000.0, freq="1min",
)
assert len(portfolio.value()) == {{bars}}
"""


@dataclass(frozen=True)
class _Task:
    """What a process does, as the table names it, the peer that it is compared with, and what it imports."""

    name: str
    program: str
    figure: str | None = None
    peer: str | None = None
    needs: str | None = None


_TASKS = (
    _Task(_IMPORT, _IMPORT, "import_vs_its_parts", _PARTS),
    _Task(_PARTS, _PARTS),
    _Task(
        "import and first query",
        _QUERY,
        "first_query_vs_plain",
        "pandas.read_sql by SQLAlchemy, with imports",
    ),
    _Task("import and first query, cached", _QUERY),
    _Task("pandas.read_sql by SQLAlchemy, with imports", _PLAIN_QUERY),
    _Task("import and first backtest", _BACKTEST, "first_backtest_vs_plain", "vectorbt alone, with imports"),
    _Task("vectorbt alone, with imports", _PLAIN_BACKTEST, needs="vectorbt"),
)


def run(size: BenchmarkSize) -> Report:
    """Time each task in `size.rounds` fresh processes, in turns, so that all see the same machine.

    A query is of one symbol's `size.bars` bars: of one that no process asked for before, or ("cached") of one
    that the process before it had loaded. A backtest is of a moving average's crossings on as many bars.
    Servers run and the home is set up already, as on any day but the first.
    """
    bars = make_bars(size.rounds + 2, size.bars)
    there = [task.name for task in _TASKS if is_installed(task.name, task.needs)]
    with private_server() as server:
        server.fill(bars)
        facts = _prepare(server, size)
        frame = server.folder / "frame.pkl"
        bars.of(0).frame().to_pickle(frame)
        cpu: dict[str, list[float]] = {}

        def turn(name: str, number: int) -> dict[str, float]:
            task = next(task for task in _TASKS if task.name == name)
            symbol = bars.symbols[-1 if name.endswith("cached") else number]
            wall, processor = _seconds(
                task, {**facts, "symbol": symbol, "frame": str(frame), "bars": size.bars}
            )
            if number:
                cpu.setdefault(name, []).append(processor)
            return {"process": wall}

        taken = take_turns(size.rounds, there, turn)
    median = medians(taken, "process")
    figures = Figures()
    for task in _TASKS:
        if task.figure and task.peer and figures.need(task.figure, [task.name, task.peer], median):
            figures.told[task.figure] = median[task.name] / median[task.peer]
    return Report(
        columns=("task in a fresh process", "median ms", "fastest ms", "median CPU ms", "processes"),
        rows=[
            (
                name,
                median[name] * 1e3,
                min(of["process"]) * 1e3,
                statistics.median(cpu[name]) * 1e3,
                len(of["process"]),
            )
            for name, of in taken.items()
        ],
        figures=figures.told,
        untold=figures.untold,
    )


def _prepare(server: Server, size: BenchmarkSize) -> dict[str, object]:
    """What the programs are told, with a home of the processes' own set up."""
    say(f"queries and backtests are of {size.bars:,} bars")
    home: Path = server.folder / "startup"
    # Plain text: what keeps a password out of `repr` would keep it out of the programs, too.
    facts = {"home": str(home), "url": str(server.url), "service_url": server.service_url}
    settings = Settings(
        home=home, database_url=SecretStr(server.url), redis_url=SecretStr("redis://127.0.0.1:1/0")
    )
    Servers(settings).set_up(server.url, lambda _: None)
    return dict(facts)


def _seconds(task: _Task, facts: Mapping[str, object]) -> tuple[float, float]:
    """Wall-clock and processor seconds of one task in a process of its own."""
    statements = task.program.format(**facts)
    done = subprocess.run(
        # Isolated: what the shell has set, or the folder we are in, changes neither side.
        [sys.executable, "-I", "-c", _PROGRAM.replace("{statements}", statements)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CandidateFailed(f"{task.name}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    wall, cpu = json.loads(done.stdout.strip().splitlines()[-1])
    return wall, cpu
