"""`tearsheet`: a backtest's full report, as one self-contained interactive page and as an image."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.display.pages import content_policy
from workbench.drawing.blocks import Beside, Block, Chart, Choice, Section
from workbench.drawing.colours import DARK, LIGHT, dark_of_light, style_variables
from workbench.drawing.wording import TimeFormat, dates, listed
from workbench.errors import BacktestError
from workbench.report.activity import costs_section, exposure_section
from workbench.report.backtest_rules import rules_section
from workbench.report.headline import figures_section, headline
from workbench.report.luck import luck_blocks, luck_sentence
from workbench.report.performance import (
    drawdown_section,
    equity_section,
    rolling_section,
)
from workbench.report.prices import price_section
from workbench.report.returns import returns_section
from workbench.report.surface import surface_section
from workbench.report.trading import trades_section
from workbench.version import __version__

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from workbench.fills.record import BacktestRecord
    from workbench.overfitting import Honesty
    from workbench.report.surface import SweptSurface

__all__ = ["Tearsheet", "tearsheet"]

_PAGE = Path(__file__).parent / "page"


@dataclass(frozen=True, eq=False, repr=False)
class Tearsheet:
    """A backtest's report.

    Attributes
    ----------
    title : str
    result : BacktestRecord
        The reported backtest.
    verdict : str
        One sentence: how likely the result is luck.
    opening : sequence of Block
        Blocks above the sections: the verdict and the headline figures.
    sections : sequence of Section
        In the page's order.
    """

    title: str
    result: BacktestRecord
    verdict: str
    opening: Sequence[Block]
    sections: Sequence[Section]

    @property
    def figures(self) -> dict[str, Figure]:
        """The page's figures by name, in order: "equity", "rolling", "price AAPL", …; in light colours."""
        return {chart.key: chart.figure for section in self.sections for chart in _charts(section.blocks)}

    @cached_property
    def html(self) -> str:
        """The page as HTML: includes style, scripts and figures, and loads nothing from a network."""
        return _render(self)

    def save(self, path: str | Path) -> Path:
        """Write the page.

        Parameters
        ----------
        path : str or Path
            Path of the HTML file, ending in .html or .htm; an existing file is replaced.

        Returns
        -------
        Path
            The file's path.

        Raises
        ------
        BacktestError
            The name does not end in .html or .htm, or the file cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() not in {".html", ".htm"}:
            raise BacktestError(
                f"A tearsheet is saved as an HTML page, but {target.name!r} does not end in .html; use "
                f"{target.stem or 'tearsheet'}.html, which a browser can print to PDF; .png() makes an image."
            )
        try:
            target.write_text(self.html, encoding="utf-8", errors="replace")
        except OSError as error:
            raise BacktestError(
                f"The tearsheet {target} cannot be written: {error.strerror}; use a path in an existing "
                "folder."
            ) from error
        return target

    def png(self) -> bytes:
        """A PNG image for messages, 1200 × 900 pixels: `workbench.report.message.message_png`."""
        from workbench.report.message import message_png

        return message_png(self.result, title=self.title, verdict=self.verdict)

    def __repr__(self) -> str:
        return f"<Tearsheet {self.title!r}: {', '.join(section.title for section in self.sections)}>"

    def _repr_html_(self) -> str:
        # The page itself would add plotly's five megabytes to the notebook at every display.
        picture = base64.b64encode(self.png()).decode("ascii")
        return (
            f'<div style="max-width:820px"><img alt="{escape(self.title)}: {escape(self.verdict)}" '
            f'style="width:100%;border-radius:8px" src="data:image/png;base64,{picture}">'
            '<p style="opacity:.75;margin:.4em 0">The interactive page: '
            "<code>.save(&quot;tearsheet.html&quot;)</code></p></div>"
        )


def tearsheet(
    result: BacktestRecord,
    *,
    bars: pd.DataFrame | None = None,
    honesty: Honesty | None = None,
    sweep: SweptSurface | None = None,
    title: str | None = None,
    currency: str | None = None,
) -> Tearsheet:
    """Build a backtest's report.

    Parameters
    ----------
    result : BacktestRecord
        The backtest.
    bars : DataFrame, optional
        The backtest's bars, indexed (symbol, timestamp): adds a plot of its trades on the price.
    honesty : Honesty, optional
        How likely the result is luck, given the number of variants tried; without it the page states that
        this is unknown.
    sweep : SweepResult, optional
        The sweep that its parameters come from: adds a plot of the objective over the parameters.
    title : str, optional
        Default: the result's name.
    currency : str, optional
        The code shown behind amounts, such as "EUR"; nothing is converted. Default: amounts without one.

    Returns
    -------
    Tearsheet

    Raises
    ------
    BacktestError
        The bars are not those of the backtest.
    SweepDiffers
        The sweep has another strategy, other symbols or other rules than the backtest.
    """
    if sweep is not None:
        sweep.require_same(result)
    code = currency or ""
    time_format = TimeFormat(pd.DatetimeIndex(result.equity.index))
    sections = [equity_section(result, time_format), figures_section(result, code), returns_section(result)]
    sections += [drawdown_section(result, time_format), rolling_section(result, time_format)]
    if bars is not None:
        sections.append(price_section(result, bars, time_format))
    sections += [
        trades_section(result, time_format, code),
        exposure_section(result, time_format),
        costs_section(result, code),
    ]
    if sweep is not None:
        sections.append(surface_section(result, sweep))
    sections.append(rules_section(result, time_format, code))
    return Tearsheet(
        title=title or result.name,
        result=result,
        verdict=luck_sentence(honesty),
        opening=[*luck_blocks(honesty), headline(result)],
        sections=sections,
    )


def _charts(blocks: Sequence[Any]) -> Iterator[Chart]:
    for block in blocks:
        if isinstance(block, Chart):
            yield block
        elif isinstance(block, Choice):
            for inner in block.options.values():
                yield from _charts(inner)
        elif isinstance(block, Beside):
            for inner in block.groups:
                yield from _charts(inner)


def _render(sheet: Tearsheet) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(_PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["figure_json"] = _figure_json
    # In HTML a script ends at the first "</script", even inside a string.
    plotly_js = get_plotlyjs().replace("</script", "<\\/script")
    own_js = (_PAGE / "tearsheet.js").read_text(encoding="utf-8")
    scripts = [plotly_js, f"const DARK_OF_LIGHT = {json.dumps(dark_of_light())};\n{own_js}"]
    return environment.get_template("tearsheet.html.j2").render(
        title=sheet.title,
        symbols=listed(sheet.result.symbols),
        dates=dates(sheet.result),
        opening=sheet.opening,
        sections=sheet.sections,
        footer=f"Made by workbench {__version__}. Simulated past results do not predict future ones.",
        light=style_variables(LIGHT),
        dark=style_variables(DARK),
        css=(_PAGE / "tearsheet.css").read_text(encoding="utf-8"),
        policy=content_policy(scripts),
        scripts=scripts,
    )


def _figure_json(figure: Figure) -> Any:
    """JSON that is safe inside a <script>: no text in it can end the script."""
    from markupsafe import Markup

    return Markup(str(figure.to_json()).replace("<", "\\u003c"))  # noqa: S704 - it contains no "<"
