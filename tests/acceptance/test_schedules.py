"""Schedules fire by themselves, with the embedded servers."""

from __future__ import annotations

import pytest

from tests.acceptance.schedules import SchedulesFire

pytestmark = [pytest.mark.timeout(900)]


class TestEmbeddedServers(SchedulesFire):
    """PostgreSQL 18 and Valkey."""
