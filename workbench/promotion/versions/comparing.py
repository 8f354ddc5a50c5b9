"""What the live version and its shadow said, slot by slot and symbol by symbol."""

from __future__ import annotations

import pandas as pd
import sqlalchemy as sa

from workbench.db import frames
from workbench.db.pool import ServiceConnectionPool
from workbench.errors import PromotionRefused
from workbench.runs.versions import VersionStore
from workbench.services.shadow_said import shadow_frame
from workbench.tables.strategy_engine import strategy_signals
from workbench.tables.workbench import runs

__all__ = ["compare_shadow"]

_TOLERANCE = 1e-9
_SAID = ("signal", "target", "strength", "timestamp")


def compare_shadow(
    pool: ServiceConnectionPool, versions: VersionStore, name: str, version: int | None
) -> pd.DataFrame:
    """What both said; `wb.deployments.compare` has the help."""
    shadow = _shadow(versions, name) if version is None else versions.get(name, version).version
    # The last shadow run of each slot: one that failed may have been tried again.
    wanted = (
        sa.select(runs.c.slot, runs.c.member, runs.c.run_id, runs.c.status, runs.c.evidence)
        .where(
            runs.c.deployment == name,
            runs.c.purpose == "shadow",
            runs.c.deployment_version == shadow,
            runs.c.slot.is_not(None),
        )
        .distinct(runs.c.slot, runs.c.member)
        .order_by(runs.c.slot, runs.c.member, runs.c.started_at.desc())
    )
    table = strategy_signals
    with pool.snapshot("comparing a shadow") as connection:
        beside = connection.execute(wanted).all()
        said = frames.read(
            connection,
            sa.select(*(table.c[one] for one in ("slot", "member", "symbol", *_SAID, "run_id"))).where(
                table.c.kind == "live",
                table.c.deployment == name,
                table.c.slot.in_([row.slot for row in beside]),
            ),
        )
    parts = [
        shadow_frame(row.evidence).assign(slot=pd.Timestamp(row.slot), member=row.member) for row in beside
    ]
    key = ["slot", "member", "symbol"]
    there = [part for part in parts if len(part)]
    would = (pd.concat(there, ignore_index=True) if there else said)[[*key, *_SAID]]
    would = (would if there else would.head(0)).astype({"slot": said["slot"].dtype})
    both = said.merge(would, on=key, how="outer", suffixes=("", "_shadow"))
    both = both.sort_values(key, ascending=[False, True, True], ignore_index=True)
    ran = pd.DataFrame(
        [(pd.Timestamp(row.slot), row.member, str(row.run_id), row.status) for row in beside],
        columns=["slot", "member", "shadow_run_id", "shadow_status"],
    ).astype({"slot": both["slot"].dtype})
    both = both.merge(ran, on=["slot", "member"], how="left")
    return pd.DataFrame(
        {
            "slot": both["slot"],
            "member": both["member"].astype("str"),
            "symbol": both["symbol"].astype("str"),
            "live": both["signal"].astype("str"),
            "shadow": both["signal_shadow"].astype("str"),
            "same": _same(both),
            "live_target": both["target"],
            "shadow_target": both["target_shadow"],
            "live_strength": both["strength"],
            "shadow_strength": both["strength_shadow"],
            "live_bar": both["timestamp"],
            "shadow_bar": both["timestamp_shadow"],
            "live_run_id": both["run_id"].astype("str"),
            "shadow_run_id": both["shadow_run_id"].astype("str"),
            "shadow_status": both["shadow_status"].astype("str"),
        }
    )


def _shadow(versions: VersionStore, name: str) -> int:
    """The shadow there is, else the last that there was."""
    state = versions.state(name)
    if state is not None and state.shadow is not None:
        return state.shadow
    changes = versions.changes(name)
    last = next((one.version for one in changes if one.change == "shadow_dropped"), None)
    if last is None:
        raise PromotionRefused(
            f"{name} has no shadow to compare with; promote one with shadow=5, which runs beside it in the "
            "next 5 slots"
        )
    return last


def _same(both: pd.DataFrame) -> pd.Series[bool]:
    """Whether both said the same of the same bar, but for rounding."""
    same = both["signal"].notna() & (both["signal"] == both["signal_shadow"])
    bars, shadow_bars = both["timestamp"], both["timestamp_shadow"]
    same &= (bars == shadow_bars) | (bars.isna() & shadow_bars.isna())
    for name in ("target", "strength"):
        one, other = both[name], both[f"{name}_shadow"]
        same &= ((one - other).abs() <= _TOLERANCE) | (one.isna() & other.isna())
    return same.astype(bool)
