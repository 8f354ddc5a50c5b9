"""What a saved backtest says at each bar, kept as a file of the run's folder; parity is computed from it."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.home.files import replace_file
from workbench.home.folders import private_folder

__all__ = ["EVIDENCE", "KeptDecisions", "decisions_of", "files_of_decisions", "keep_decisions"]

EVIDENCE = "decided"
"""The kind of evidence that lists a run's files, one line of JSON each."""

_NAME = "decisions-{number}.parquet"


@dataclass(frozen=True, eq=False)
class KeptDecisions:
    """What one save of a backtest says at each bar, with all that an account needs that acts on it.

    Attributes
    ----------
    strategy_id : str
    weights : bool
        Whether targets are weights, and not sides.
    rules : dict
        The rules of filling, as `rules_to_json` has them.
    rows : DataFrame
        As `BacktestRecord.newest_at_each` returns it, with `returns`: the whole backtest's simple return in
        that bar, the same for all symbols of a timestamp.
    """

    strategy_id: str
    weights: bool
    rules: Mapping[str, Any]
    rows: pd.DataFrame


def keep_decisions(folder: Path, kept: KeptDecisions) -> str | None:
    """Write them to the run's folder; the line for its evidence.

    A full disk does not stop the run, whose rows are in the database: then there is no file and no line.
    """
    rows = kept.rows.copy(deep=False)
    rows.attrs = {"strategy_id": kept.strategy_id, "weights": kept.weights, "rules": dict(kept.rules)}
    content = io.BytesIO()
    rows.to_parquet(content, index=False, compression="zstd")
    number = 1
    try:
        private_folder(folder)
        while True:
            path = folder / _NAME.format(number=number)
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
                break
            except FileExistsError:
                number += 1
        replace_file(path, content.getvalue(), mode=0o600)
    except OSError:
        return None
    times = kept.rows["timestamp"]
    return json.dumps(
        {
            "file": path.name,
            "strategy_id": kept.strategy_id,
            "number": number,
            "first": times.min().isoformat(),
            "last": times.max().isoformat(),
        }
    )


def decisions_of(
    evidence: Mapping[str, Sequence[str]], fetch: Callable[[str], Path | None]
) -> list[KeptDecisions] | None:
    """All that a run kept, of a strategy that it saved twice the last; None if a file is not there any more.

    Parameters
    ----------
    evidence : mapping
        Of the run.
    fetch : callable
        Gives the path of a file of the run's folder by its name, or None.
    """
    found: dict[str, KeptDecisions] = {}
    lines = [json.loads(line) for line in evidence.get(EVIDENCE, ())]
    for line in sorted(lines, key=lambda line: line["number"]):
        path = fetch(line["file"])
        if path is None:
            return None
        try:
            rows = pd.read_parquet(path)
        except (OSError, ValueError):
            # Removed meanwhile, or damaged.
            return None
        facts = rows.attrs
        found[facts["strategy_id"]] = KeptDecisions(
            facts["strategy_id"], facts["weights"], facts["rules"], rows
        )
    return list(found.values())


def files_of_decisions(folder: Path) -> list[Path]:
    """The files in a run's folder."""
    return sorted(folder.glob(_NAME.format(number="*")))
