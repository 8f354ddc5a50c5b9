"""The tearsheet in a real browser: drawn whole, in the reader's colours, on any width, without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page

from tests.acceptance.browser import open_page
from workbench.backtest import backtest
from workbench.drawing.colours import DARK, LIGHT
from workbench.overfitting import judge

WIDE, PHONE = 1_400, 420


@pytest.fixture(scope="module")
def sheet(stocks: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a backtest of real bars."""
    bars = stocks.loc[["AAPL", "IBM"], ["open", "close"]]
    close = bars["close"].unstack("symbol")
    above = close.rolling(20).mean() > close.rolling(100).mean()
    result = backtest(bars, above, ~above, short_entries=~above, short_exits=above, name="SMA 20/100")
    page = result.report(bars=bars, honesty=judge(result.returns, trials=100))
    return page.save(tmp_path_factory.mktemp("report") / "tearsheet.html")


@contextmanager
def _opened(sheet: Path, width: int) -> Iterator[Page]:
    """The page with all of its figures drawn; it fails where anything went wrong in it."""
    wrong: list[str] = []
    with open_page("about:blank", width=width) as page:
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("request", lambda asked: wrong.append(asked.url) if asked.url != sheet.as_uri() else None)
        page.goto(sheet.as_uri())
        page.wait_for_selector("html[data-drawn]", state="attached")
        yield page
        assert not wrong, "no error, and nothing asked of a network"


def _wait_for_colour(page: Page, selector: str, kind: str, colour: str) -> None:
    """Wait until the element has the colour; the browser tells the page of another scheme in its own time."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    page.wait_for_function(
        "([selector, kind, colour]) => getComputedStyle(document.querySelector(selector))[kind] === colour",
        arg=[selector, kind, f"rgb({red}, {green}, {blue})"],
    )


STRATEGY = ".chart[data-key=equity] .scatterlayer .trace:last-child .js-line"


def test_every_figure_is_drawn_and_fits_its_place(sheet: Path) -> None:
    for width in (WIDE, PHONE):
        with _opened(sheet, width) as page:
            shown = page.locator(".chart:visible")
            assert shown.count() >= 7
            for place in shown.all():
                assert place.locator(".main-svg").count() > 0, place.get_attribute("data-key")
                box = place.bounding_box()
                assert box is not None
                assert box["width"] <= width
            assert page.evaluate("document.documentElement.scrollWidth") == width, "nothing sticks out"


def test_no_button_lies_on_the_legend_of_the_prices(sheet: Path) -> None:
    for width in (340, PHONE, WIDE):
        with _opened(sheet, width) as page:
            chart = page.locator(".chart[data-key^=price]:visible")
            chart.locator(".plot").hover()
            legend, buttons = (chart.locator(one).bounding_box() for one in (".legend", ".modebar"))
            assert legend is not None
            assert buttons is not None
            assert legend["y"] >= buttons["y"] + buttons["height"], width


def test_the_readers_scheme_colours_page_and_figures(sheet: Path) -> None:
    with _opened(sheet, WIDE) as page:
        for scheme, palette in (("light", LIGHT), ("dark", DARK), ("light", LIGHT)):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            _wait_for_colour(page, "body", "backgroundColor", palette.page)
            _wait_for_colour(page, "h1", "color", palette.text)
            _wait_for_colour(page, STRATEGY, "stroke", palette.strategy)
            _wait_for_colour(page, ".chart[data-key=equity] .ytick text", "fill", palette.muted)


def test_paper_is_light_whatever_the_reader_prefers(sheet: Path) -> None:
    with _opened(sheet, WIDE) as page:
        page.emulate_media(color_scheme="dark", media="print")
        _wait_for_colour(page, "body", "backgroundColor", LIGHT.page)
        _wait_for_colour(page, STRATEGY, "stroke", LIGHT.strategy)


def test_a_symbol_is_chosen_and_its_figure_drawn(sheet: Path) -> None:
    with _opened(sheet, WIDE) as page:
        buttons = page.locator("#price .choice > .buttons button")
        assert page.locator("#price .chart:visible").count() == 1
        name = buttons.nth(1).inner_text()
        buttons.nth(1).click()
        chosen = page.locator("#price .chart:visible")
        assert chosen.get_attribute("data-key") == f"price {name}"
        assert chosen.locator(".main-svg").count() > 0
        assert buttons.nth(1).get_attribute("aria-pressed") == "true"
        page.get_by_role("button", name="Worst").click()
        assert page.locator("#trades table:visible").count() == 1


def test_the_scale_is_the_readers_choice(sheet: Path) -> None:
    with _opened(sheet, WIDE) as page:
        scale = "document.querySelector('.chart[data-key=equity] .plot')._fullLayout.yaxis.type"
        assert page.evaluate(scale) == "log"
        page.locator("#equity").get_by_role("button", name="Linear").click()
        assert page.evaluate(scale) == "linear"
        page.emulate_media(color_scheme="dark")
        _wait_for_colour(page, STRATEGY, "stroke", DARK.strategy)
        assert page.evaluate(scale) == "linear", "also in other colours"


def test_a_finger_scrolls_the_page_also_over_a_figure(sheet: Path) -> None:
    with (
        _opened(sheet, PHONE) as page,
        page.context.browser.new_context(  # type: ignore[union-attr]
            viewport={"width": PHONE, "height": 860}, has_touch=True, is_mobile=True
        ) as phone,
    ):
        touched = phone.new_page()
        touched.goto(sheet.as_uri())
        touched.wait_for_selector("html[data-drawn]", state="attached")
        touched.eval_on_selector(".chart[data-key=equity]", "it => it.scrollIntoView({behavior: 'instant'})")
        before, fingers = touched.evaluate("scrollY"), phone.new_cdp_session(touched)
        for kind, y in [("touchStart", 400), *[("touchMove", 400 - 20 * step) for step in range(1, 11)]]:
            points = [{"x": 210, "y": y}]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        touched.wait_for_function("before => scrollY > before + 100", arg=before)


def test_no_button_sends_a_figure_anywhere(sheet: Path) -> None:
    with _opened(sheet, WIDE) as page:
        offered = page.locator(".chart[data-key=equity] .modebar-btn")
        names = {button.get_attribute("data-title") for button in offered.all()}
        assert names == {"Download plot as a PNG", "Zoom", "Pan", "Reset axes"}


def test_without_scripts_the_tables_and_sentences_are_there(sheet: Path, tmp_path: Path) -> None:
    plain = tmp_path / "tearsheet-plain.html"
    html = sheet.read_text(encoding="utf-8")
    plain.write_text(re.sub("script-src [^;]+", "script-src 'none'", html), encoding="utf-8")
    with open_page(plain.as_uri(), width=WIDE) as page:
        assert page.locator(".lead").inner_text().startswith("The best of 100 variants tried")
        assert page.locator("#trades table:visible").count() == 3, "latest, best and worst"
        assert page.locator(".choice > .buttons:visible").count() == 0, "no button that does nothing"
