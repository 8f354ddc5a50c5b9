"""The arithmetic of the connection budget, against sums done by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.db.budget import ConnectionBudget, Holder, most_of_a_process, stated_budget
from workbench.db.roles import SERVICES
from workbench.embedded import cluster
from workbench.errors import SettingsError
from workbench.settings import Settings


def budget(*holders: Holder, allowed: int = 97, per_process: int = 34) -> ConnectionBudget:
    return ConnectionBudget(allowed + 3, 3, per_process, holders)


def test_a_process_may_fill_a_pool_for_each_service_the_runs_and_plain_sql_beside_the_bar_reader() -> None:
    pools = len(SERVICES) + 2
    assert most_of_a_process(Settings()) == pools * (10 + 20) + 3
    assert most_of_a_process(Settings(pool_size=2, pool_overflow=0)) == pools * 2 + 3


def test_the_embedded_server_allows_what_is_stated_for_a_notebook_three_runs_prefect_and_the_relay() -> None:
    # Prefect: 5 + 10, and one that listens. The relay: 2 + 10, one that listens, one for slots, the reaper 3.
    stated = (1 + 3 * 2) * most_of_a_process(Settings()) + (5 + 10 + 1) + (2 + 10 + 1 + 1 + 1 + 2)
    # Of each run: 1 + 2 for its record and heartbeat, and one that holds its locks.
    stated += 3 * (1 + 2 + 1)
    assert stated_budget(Settings()) == stated
    # PostgreSQL keeps three for superusers.
    assert int(cluster._CONFIGURATION["max_connections"]) - 3 >= stated


def test_the_worst_case_is_every_connected_process_and_one_more_beside_what_others_hold() -> None:
    asked = budget(
        Holder("prefect", "workbench_prefect", "127.0.0.1", 7),
        Holder("trading_system", "workbench:runs:11", "127.0.0.1", 1),
        Holder("trading_system", "workbench:logging:11", "127.0.0.1", 2),
        Holder("trading_system", "workbench:logging:12", "127.0.0.1", 1),
    )
    assert (asked.allowed, asked.in_use, asked.processes) == (97, 11, 2)
    assert asked.worst_case == 7 + (2 + 1) * 34
    assert asked.told() == "prefect: workbench_prefect 7; trading_system: runs 1, logging 3"


def test_one_process_id_on_two_machines_is_two_processes() -> None:
    asked = budget(
        Holder("trading_system", "workbench:runs:11", "10.0.0.1", 1),
        Holder("trading_system", "workbench:runs:11", "10.0.0.2", 1),
    )
    assert asked.processes == 2


def test_another_application_is_no_process_of_ours() -> None:
    names = ("psql", "workbench", "workbench:runs", "workbench:runs:x", "my workbench:runs:1")
    asked = budget(*(Holder("trading_system", name, "", 1) for name in names))
    assert (asked.processes, asked.worst_case) == (0, len(names) + 34)


@pytest.mark.parametrize("allowed", [20, 60, 97, 1997])
def test_the_pools_that_are_advised_are_the_largest_that_fit(allowed: int) -> None:
    holders = [Holder("prefect", "p", "", 5), Holder("trading_system", "workbench:runs:11", "", 1)]

    def worst(connections: int) -> int:
        settings = Settings(pool_size=1, pool_overflow=connections - 1)
        return budget(*holders, allowed=allowed, per_process=most_of_a_process(settings)).worst_case

    fit = budget(*holders, allowed=allowed, per_process=most_of_a_process(Settings())).connections_that_fit
    assert fit == 0 or worst(fit) <= allowed
    assert worst(fit + 1) > allowed


@pytest.mark.parametrize(
    ("variable", "value"), [("WORKBENCH_POOL_SIZE", "0"), ("WORKBENCH_POOL_OVERFLOW", "-1")]
)
def test_pools_that_could_hold_nothing_are_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        Settings.load()
