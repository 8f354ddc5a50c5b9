"""A private PostgreSQL and a private Valkey for a home; the only code that starts servers."""

from __future__ import annotations

from workbench.embedded.binaries import postgres_program, psql_binary
from workbench.embedded.postgres import EmbeddedPostgres
from workbench.embedded.process import ManagedProcess
from workbench.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedValkey", "ManagedProcess", "postgres_program", "psql_binary"]
