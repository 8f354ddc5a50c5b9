"""The column types and the metadata that the tables share."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

__all__ = ["JSON", "METADATA", "MONEY", "PRICE", "QUANTITY", "TIMESTAMP", "created_at", "identity", "run_id"]

METADATA = sa.MetaData()

PRICE = sa.Numeric(20, 8)
"""Twelve digits before the point, eight after it."""
QUANTITY = sa.Numeric(24, 8)
"""Sixteen digits before the point, eight after it: shares, contracts, coins."""
MONEY = sa.Numeric(24, 8)
"""Sixteen digits before the point, eight after it: what positions are worth and bring in."""
TIMESTAMP = sa.TIMESTAMP(timezone=True)
JSON = postgresql.JSONB()


def identity() -> sa.Column[int]:
    """The row's own number, given by the server."""
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def created_at() -> sa.Column[Any]:
    """When the row's transaction began."""
    return sa.Column("created_at", TIMESTAMP, nullable=False, server_default=sa.func.now())


def run_id() -> sa.Column[Any]:
    """The run that wrote the row last; NULL for a row written outside any run."""
    return sa.Column("run_id", sa.Uuid, sa.ForeignKey("workbench.runs.run_id"))
