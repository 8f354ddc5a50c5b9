"""A schedule, a floor or a force that cannot be is told, before anything is run or asked of Prefect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import PromotionRefused
from workbench.promotion.deploy import promote
from workbench.promotion.gates.floors import Floors
from workbench.schedules import Cron
from workbench.schedules.cron_fields import wrong_field
from workbench.settings import Settings

MakeNotebook = Callable[..., Path]

WRONG = [
    ("61 * * * *", "minute 61 is not in 0 to 59"),
    ("0,15,75 * * * *", "minute 75 is not in 0 to 59"),
    ("1-70/5 * * * *", "minute 70 is not in 0 to 59"),
    ("0 24 * * *", "hour 24 is not in 0 to 23"),
    ("0 0 0 * *", "day 0 is not in 1 to 31"),
    ("0 0 32 * *", "day 32 is not in 1 to 31"),
    ("0 0 1 13 *", "month 13 is not in 1 to 12 or jan to dec"),
    ("0 0 1 jan-foo *", "month foo is not in 1 to 12 or jan to dec"),
    ("0 0 * * 8", "weekday 8 is not in 0 to 7 or sun to sat"),
    ("0 0 * * Monday", "weekday Monday is not in 0 to 7 or sun to sat"),
    ("0 25 * * 8", "hour 25 is not in 0 to 23"),
    ("*/0 * * * *", r"minute '\*/0' cannot be read; it takes 0 to 59, as in 1,5 or 1-5 or \*/5"),
    ("0 0 * * 5#6", "weekday '5#6' cannot be read; it takes 0 to 7 or sun to sat"),
    ("1, * * * *", "minute '1,' cannot be read"),
]


class Unasked:
    """A Prefect of which nothing may be asked."""

    def ask(self, *asked: object, **more: object) -> Any:
        raise AssertionError(asked)


@pytest.mark.parametrize(("cron", "says"), WRONG)
def test_the_field_that_cannot_be_is_named_with_its_range(
    make_notebook: MakeNotebook, tmp_path: Path, cron: str, says: str
) -> None:
    prefect: Any = Unasked()
    store: Any = None
    with pytest.raises(PromotionRefused, match=f"^the schedule .* cannot be: {says}"):
        promote(
            Settings(home=tmp_path),
            prefect,
            store,
            make_notebook("n = 5"),
            versions=store,
            name="never",
            schedule=Cron(cron, "UTC"),
        )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"force": True}, 'force=True gives no reason; say why in a few words, force="why"'),
        ({"force": "  "}, "force='  ' gives no reason"),
        ({"floors": Floors(min_dsr=1.5)}, "min_dsr=1.5: give a probability from 0 to 1"),
    ],
)
def test_so_is_a_force_without_a_reason_and_a_floor_that_cannot_be(
    make_notebook: MakeNotebook, tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    prefect: Any = Unasked()
    store: Any = None
    given: dict[str, Any] = {"versions": store, "name": "never", "schedule": Cron("0 6 * * *", "UTC")}
    with pytest.raises(PromotionRefused, match=f"^{says}"):
        promote(Settings(home=tmp_path), prefect, store, make_notebook("n = 5"), **given, **options)


@pytest.mark.parametrize(
    "cron", ["30 17 * * mon-fri", "*/5 0-23/2 1,15 jan-DEC 7", "0 0 l * *", "0 0 * * fri#2", "0 0 30 2 *"]
)
def test_of_fields_that_can_be_nothing_is_said(cron: str) -> None:
    assert wrong_field(cron) == ""
