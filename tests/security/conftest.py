"""A site on which everything runs, for the tests to send requests to."""

from __future__ import annotations

from tests.acceptance.conftest import site

__all__ = ["site"]
