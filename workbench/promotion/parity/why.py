"""Why rows differed: the bars were revised, another version or other parameters said it, or none of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

__all__ = ["told_why"]


def told_why(
    rows: pd.DataFrame,
    runs: Mapping[str, Mapping[str, Any]],
    revised: Mapping[str, str],
    *,
    sha256: str | None,
    parameters: Mapping[str, Mapping[str, Any]],
) -> pd.DataFrame:
    """The rows with `said_version`, `bars_revised`, and of those that differed the reason.

    A row that differed is in state "revised" if bars that its run read have changed since, and the same
    content said it with the same parameters: on the bars as they were it said, and so says, what was said.
    Where another version said it, or with other parameters, that is the reason, whatever became of the bars.

    Parameters
    ----------
    rows : DataFrame
        Of `lay_out`.
    runs : mapping
        Of `read_runs`.
    revised : mapping
        Of `revised_since`.
    sha256 : str, optional
        The content that is compared with.
    parameters : mapping
        What it was run with, by member, without the slot.
    """
    states, whys, versions, touched = [], [], [], []
    for row in rows.to_dict("records"):
        run = runs.get(row["run_id"], {})
        series = revised.get(row["run_id"])
        state, why = row["state"], row["why"]
        if state == "differed":
            ran = {name: value for name, value in run.get("parameters", {}).items() if name != "slot"}
            state, why = _of_difference(
                run.get("version_sha256"), ran, series, sha256, parameters.get(row["member"], {})
            )
            number = run.get("deployment_version")
            if state == "differed" and number is not None and "version" in why:
                why = why.replace("another version", f"version {number}")
        elif state == "late":
            why = f"said {row['said_at']:%Y-%m-%d %H:%M} UTC, after the open that the backtest fills it at"
        states.append(state)
        whys.append(why)
        versions.append(run.get("deployment_version"))
        touched.append(series)
    return rows.assign(
        state=pd.array(states, dtype="str"),
        why=pd.array(whys, dtype="str"),
        said_version=pd.array(versions, dtype="Int64"),
        bars_revised=pd.array(touched, dtype="str"),
    ).drop(columns="version")


def _of_difference(
    said_by: str | None,
    ran_with: Mapping[str, Any],
    series: str | None,
    sha256: str | None,
    parameters: Mapping[str, Any],
) -> tuple[str, str]:
    also = f"; bars were revised as well: {series}" if series else ""
    if said_by != sha256:
        return "differed", f"another version said it{also}"
    if dict(ran_with) != dict(parameters):
        names = sorted(
            name for name in {*ran_with, *parameters} if ran_with.get(name) != parameters.get(name)
        )
        return "differed", f"said with other parameters: {', '.join(names)}{also}"
    if series:
        return "revised", f"bars were revised: {series}"
    return "differed", "nothing that is recorded differs, so the notebook is not deterministic"
