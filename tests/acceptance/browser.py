"""A real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import HttpCredentials, Page, sync_playwright

__all__ = ["open_page", "signed_in"]

CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def open_page(
    address: str, *, width: int = 1400, height: int = 900, login: str | None = None
) -> Iterator[Page]:
    """The page at an address, in a headless browser; skips where there is none.

    `login` is the `user:password` that a person types where the browser asks for it.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"no browser is here: {CHROMIUM} is missing (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        user, _, password = (login or "").partition(":")
        typed: HttpCredentials | None = {"username": user, "password": password} if login else None
        page = browser.new_page(viewport={"width": width, "height": height}, http_credentials=typed)
        page.goto(address)
        yield page
        browser.close()


@contextmanager
def signed_in(address: str, sign_in: str, *, height: int = 900) -> Iterator[Page]:
    """Prefect's pages at an address, after the sign-in for which the browser asks."""
    with open_page(f"{address}/", height=height, login=sign_in) as page:
        page.wait_for_url("**/dashboard**", timeout=30_000)
        page.get_by_text("Event Feed").first.wait_for(timeout=30_000)
        if "/v2/" not in page.url:  # the older pages ask, once in each browser, for an e-mail address
            page.get_by_role("button", name="Skip").click()
        yield page
