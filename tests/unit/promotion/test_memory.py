"""Memory limits as people write them."""

from __future__ import annotations

import pytest

from workbench.errors import NotebookError
from workbench.headless.memory import memory_in_words, memory_limit_bytes


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (None, None),
        ("4GB", 4_000_000_000),
        ("4 gb", 4_000_000_000),
        ("1.5GB", 1_500_000_000),
        ("512MB", 512_000_000),
        ("512MiB", 536_870_912),
        ("2GiB", 2_147_483_648),
        (123_456_789, 123_456_789),
        ("123456789", 123_456_789),
    ],
)
def test_what_is_understood(given: str | int | None, size: int | None) -> None:
    assert memory_limit_bytes(given) == size


@pytest.mark.parametrize("given", ["much", "4 GB or so", "-1GB", "", "4PB", "1e9", True, 4.5])
def test_what_is_not(given: str | int) -> None:
    with pytest.raises(NotebookError, match="memory_limit="):
        memory_limit_bytes(given)


def test_less_than_a_kernel_needs_is_refused() -> None:
    with pytest.raises(NotebookError, match="a kernel needs about 100 MB"):
        memory_limit_bytes("99MB")


def test_in_words() -> None:
    assert memory_in_words(4_210_000_000) == "4.21 GB"
    assert memory_in_words(512_300_000) == "512 MB"
