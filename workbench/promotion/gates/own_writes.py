"""The gate `own_writes`: nothing is written but by the services that a strategy has.

What is seen, in the first run of the notebook:

- a write by a connection of its own (psycopg, SQLAlchemy, psql, with whatever password): in a gate's kernels
  such connections may only read (the server's option `default_transaction_read_only`, which libpq takes from
  the environment), so the cell fails, and nothing was written;
- a write over the connections of a service (`wb.session.pool(…)`) by no method of that service;
- bars and corporate actions that were inserted or updated by a notebook that also saves signals: what a
  strategy trades on should not come from the strategy.

What is not seen: files, mails and other servers; a connection that asks for write access itself, or comes
from a library that does not build on libpq, such as asyncpg; an attempt whose error the notebook swallows,
though nothing was written by it either; and what a notebook would write in later runs only.
"""

from __future__ import annotations

from workbench.promotion.gates.cells import CellNames
from workbench.promotion.gates.result import GateResult
from workbench.promotion.rehearsal import Rehearsal

__all__ = ["judge_writes", "wrote_by_itself"]

_READ_ONLY = "read-only transaction"


def wrote_by_itself(first: Rehearsal) -> bool:
    """Whether the run failed because a connection of its own, or a reader's, tried to write."""
    failure = first.failure
    return failure is not None and _READ_ONLY in f"{failure} {failure.traceback}"


def judge_writes(first: Rehearsal, cells: CellNames) -> GateResult:
    """What the first run wrote, and how."""
    captured, found = first.captured, list[str]()
    if wrote_by_itself(first) and first.failure is not None:
        found.append(
            f"{cells.name(first.failure.cell)} writes to the database over a connection of its own; "
            "write with the methods of a service, such as wb.save or wb.analytics.write_performance_metrics"
        )
    for number, service, what in captured.outside:
        found.append(
            f"{cells.name(number)} writes over the connections of {service} by no method of it ({what}); "
            f"write with the methods of wb.{service}"
        )
    if len(captured.signals):
        for number, table in dict.fromkeys(captured.market_data):
            found.append(
                f"{cells.name(number)} writes {table}, and the notebook saves signals; ingest by a notebook "
                "or a job of its own, which runs before"
            )
    if found:
        return GateResult("own_writes", "failed", 0.0, "; ".join(found), {"found": found})
    return GateResult("own_writes", "passed", 0.0, "it writes by its services alone")
