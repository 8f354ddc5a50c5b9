"""A Workbench that found no server leaves nothing behind that would look for one again."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from workbench import Workbench
from workbench.backtest import trials
from workbench.backtest.trials import TrialJournal
from workbench.errors import ServerUnreachable
from workbench.settings import Settings


def test_once_it_is_closed_it_counts_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = TrialJournal()
    monkeypatch.setattr(trials, "JOURNAL", journal)
    settings = Settings(
        home=tmp_path / "home",
        database_url=SecretStr("postgresql://a:b@127.0.0.1:1/x"),
        redis_url=SecretStr("redis://127.0.0.1:1"),
    )
    with Workbench(settings) as wb:
        with pytest.raises(ServerUnreachable):
            wb.sql("SELECT 1")
        assert len(journal._listeners) == 1
    assert journal._listeners == []
