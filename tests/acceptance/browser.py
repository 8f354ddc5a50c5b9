"""A real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

__all__ = ["open_page"]

CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def open_page(address: str, *, width: int = 1400, height: int = 900) -> Iterator[Page]:
    """The page at an address, in a headless browser; skips where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser is here: {CHROMIUM} is missing (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(address)
        yield page
        browser.close()
