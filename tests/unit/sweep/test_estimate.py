"""Where a sweep runs, and in what chunks, follows from what a variant takes."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

from workbench.backtest import Strategy
from workbench.fills.execution import Execution
from workbench.signals.inputs import read_bars
from workbench.sweep import estimate as module
from workbench.sweep.cells import make_cells
from workbench.sweep.chunk import Plan
from workbench.sweep.estimate import Estimate, estimate


@pytest.fixture
def plan(momentum: Strategy, two_years: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """10,000 plain variants on two years, where four processors are."""
    monkeypatch.setattr(module, "available_cpus", lambda: 4)
    cells = make_cells(read_bars(two_years), "together", None)
    return Plan(momentum, None, 10_000, two_years, cells, Execution(), None, batched=False)


def made(plan: Plan, each: float, workers: int | None = None, cluster: int | None = None) -> Estimate:
    return estimate(plan, rows=plan.size, each=each, workers=workers, cluster_workers=cluster, chunk=None)


def test_plain_functions_run_in_processes_where_that_saves_more_than_starting_them_takes(plan: Plan) -> None:
    assert made(plan, each=1e-4).place == "this process"
    assert (made(plan, each=1e-2).place, made(plan, each=1e-2).workers) == ("processes", 4)


def test_who_asks_for_workers_gets_them(plan: Plan) -> None:
    assert (made(plan, 1e-9, workers=2).place, made(plan, 1e-9, workers=2).workers) == ("processes", 2)
    assert (made(plan, 1.0, workers=1).place, made(plan, 1.0, workers=1).workers) == ("this process", 1)
    assert (made(plan, 1.0, cluster=7).place, made(plan, 1.0, cluster=7).workers) == ("cluster", 7)


def test_a_form_for_many_variants_runs_in_threads(plan: Plan) -> None:
    many = dataclasses.replace(plan, batched=True)
    assert (made(many, 1e-5).place, made(many, 1e-5).workers) == ("threads", 4)


def test_a_chunk_takes_about_half_a_second_and_all_workers_have_several(plan: Plan) -> None:
    assert made(plan, each=0.01).chunk == 50
    assert made(plan, each=30.0).chunk == 1
    assert made(plan, each=5e-4).chunk == 625
    # Chunks that end at once are not worth their start.
    assert made(plan, each=1e-9).chunk > 1_000


def test_every_worker_has_as_many_chunks(plan: Plan) -> None:
    # Half a second's work would make 11 chunks, of which one worker did two and the others three.
    assert made(plan, each=5.5 / plan.size, workers=4).chunk == math.ceil(plan.size / 16)
    assert made(plan, each=5.2 / plan.size, cluster=2).chunk == math.ceil(plan.size / 12)


def test_what_it_says_can_be_read(plan: Plan) -> None:
    assert str(made(plan, 1e-5)).startswith("10,000 variants, about a second in this process, ")
    assert "about 28 s in 4 processes" in str(made(plan, 0.01))
    assert "about 42 min in 4 workers of a cluster" in str(made(plan, 1.0, cluster=4))
    assert "about 2.8 h in this process" in str(made(plan, 1.0, workers=1))
