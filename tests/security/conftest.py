"""A place with everything up, at whose doors the tests knock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import Site, end_site, make_site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = make_site()
    try:
        done = made.run("up", "--detach")
        assert done.returncode == 0, done.stderr
        yield made
    finally:
        end_site(made)
