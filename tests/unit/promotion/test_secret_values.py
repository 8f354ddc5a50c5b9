"""What is kept with a version, and shown to everyone, holds no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from workbench.errors import PromotionRefused
from workbench.home.secrets import Secrets
from workbench.promotion.secret_values import refuse_secrets
from workbench.settings import Settings

CANARY = "kx7-canary-9f3e1c"
URL = f"postgresql://me:{CANARY}@db.example.com/trading"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home",
        database_url=SecretStr(URL),
        polygon_api_key=SecretStr("polygon-" + CANARY),
        prefect_api_auth_string=SecretStr("admin:prefect-" + CANARY),
    )


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({"note": f"use {CANARY} for it"}, "note"),
        ({"parameters": {"fast": 3, "key": "polygon-" + CANARY}}, "parameters.key"),
        ({"parameters": {"deep": [{"a": ["x", f"prefect-{CANARY}"]}]}}, r"parameters.deep\[0\].a\[1\]"),
        ({"reason": URL}, "reason"),
        ({"parameters": {"url": "https://someone:else's@example.com"}}, "parameters.url"),
        ({"schedule": {"cron": CANARY}}, "schedule.cron"),
    ],
)
def test_a_secret_is_refused_by_its_place_and_not_repeated(
    settings: Settings, told: dict[str, Any], place: str
) -> None:
    with pytest.raises(PromotionRefused, match=f"^{place} holds ") as refused:
        refuse_secrets(settings, **told)
    assert CANARY not in str(refused.value)
    assert "else's" not in str(refused.value)


def test_so_is_a_password_of_the_homes_servers(tmp_path: Path) -> None:
    password = Secrets(tmp_path).get("workbench_runs")
    with pytest.raises(PromotionRefused, match="note holds the password workbench_runs of this home's"):
        refuse_secrets(Settings(home=tmp_path), note=f"it is {password!s}")


def test_what_only_looks_like_one_is_let_pass(settings: Settings) -> None:
    refuse_secrets(
        settings,
        parameters={"url": "https://example.com/a:b@c", "n": 3, "none": None, "redis": "redis://host:6379/0"},
        note="as researched: 10:30@NYSE",
        reason=None,
    )
