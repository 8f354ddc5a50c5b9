"""A place with everything up, at whose doors the tests knock."""

from __future__ import annotations

from tests.acceptance.conftest import site

__all__ = ["site"]
