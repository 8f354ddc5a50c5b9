"""What is wrong with a trigger's parameters is told before a run is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench.errors import ParametersRefused
from workbench.promotion.trigger import trigger
from workbench.settings import Settings


class Deployed:
    """A Prefect with one deployment, of which no run may be asked."""

    def ask(self, path: str, *more: object) -> Any:
        assert path == "/deployments/name/run-notebook/daily"
        known = {"parameters": {"fast": 5, "slow": 20}, "sha256": "0"}
        return {"id": "1", "work_pool_name": "workbench", "parameters": known}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fsat", r"daily has no parameter fsat \(did you mean fast\?\); it has: fast, slow"),
        ("window", "daily has no parameter window; it has: fast, slow"),
    ],
)
def test_a_mistyped_parameter_is_answered_with_the_near_one(tmp_path: Path, name: str, says: str) -> None:
    prefect: Any = Deployed()
    slots: Any = None
    with pytest.raises(ParametersRefused, match=f"^{says}$"):
        trigger(Settings(home=tmp_path), prefect, slots, "daily", {name: 5})
