"""`parity_of`: the parity of many deployments in a few words each, of what their newest runs have noted."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from workbench.promotion.parity.noting import NOTED
from workbench.runs import RunStore

__all__ = ["parity_of"]

# By the index of runs by deployment and slot: of each deployment one run, and the slots since.
_QUERY = """
SELECT asked.name, newest.noted,
       (SELECT count(*) FROM workbench.slots s
        WHERE s.deployment = asked.name AND s.slot > newest.slot
          AND s.state IN ('missed', 'failed', 'skipped', 'cancelled'))
FROM unnest(CAST(:names AS text[])) AS asked (name)
CROSS JOIN LATERAL (
    SELECT r.slot, r.evidence -> :kind ->> 0 AS noted FROM workbench.runs r
    WHERE r.deployment = asked.name AND r.purpose = 'live' AND r.status = 'completed'
    ORDER BY r.slot DESC LIMIT 1) newest
"""


def parity_of(runs: RunStore, deployments: Sequence[str]) -> dict[str, str]:
    """How what each deployment said compares with what its newest run would have said: a cheap summary.

    It is of the 60 slots before that run (of several members, of the one that ran last), as the run noted it
    at its end; returns are not part of it. One query, which reads one run of each deployment: bars that were
    revised after that run do not show, as they do in `wb.deployments.parity`.

    Parameters
    ----------
    runs : RunStore
    deployments : sequence of str
        Their names.

    Returns
    -------
    dict of str to str
        By name: "58 matched, 1 differed, 1 missed", and ", 2 missed since" of slots after that run. Without
        those that have not run, or have said nothing before.
    """
    if not deployments:
        return {}
    with runs.pool.snapshot("reading parity") as connection:
        rows = connection.execute(sa.text(_QUERY), {"names": list(deployments), "kind": NOTED}).all()
    return {
        str(name): ", ".join([str(noted), *([f"{missed:,} missed since"] if missed else [])])
        for name, noted, missed in rows
        if noted is not None
    }
