"""The pictures of a sweep: what is drawn, which cell is the best, what is left empty; values by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import SweepError
from workbench.sweep.pictures import heatmap, parallel_coordinates

NAN = math.nan


@pytest.fixture
def frame() -> pd.DataFrame:
    """Four cells of fast × slow and two kinds; (20, 50) was never tried, (20, 100) is not defined."""
    rows = [
        (10, 50, "simple", 1.0, 0.10),
        (10, 50, "exponential", 2.0, 0.30),
        (10, 100, "simple", -1.0, -0.20),
        (10, 100, "exponential", -0.5, 0.00),
        (20, 100, "simple", NAN, NAN),
        (5, 50, "simple", 0.25, 0.05),
    ]
    return pd.DataFrame(rows, columns=["fast", "slow", "kind", "sharpe_ratio", "total_return"])


def subtitle(figure: Any) -> str:
    return str(figure.layout.title.subtitle.text)


class TestHeatmap:
    def test_puts_each_value_where_its_parameters_meet(self, frame: pd.DataFrame) -> None:
        cells = heatmap(frame, "fast", "slow").data[0]
        assert list(cells.x) == ["5", "10", "20"]
        assert list(cells.y) == ["50", "100"]
        np.testing.assert_allclose(cells.z, [[0.25, 1.5, NAN], [NAN, -0.75, NAN]])

    @pytest.mark.parametrize(("aggregate", "value"), [("median", 1.5), ("mean", 1.5), ("min", 1), ("max", 2)])
    def test_says_what_stands_for_several_variants(
        self, frame: pd.DataFrame, aggregate: str, value: float
    ) -> None:
        figure = heatmap(frame, "fast", "slow", aggregate=aggregate)
        assert figure.data[0].z[0][1] == value
        assert f"{aggregate} of up to 2 variants per cell" in subtitle(figure)
        assert f"{aggregate} of %{{customdata" in figure.data[0].hovertemplate

    def test_says_nothing_of_it_where_each_cell_is_one_variant(self, frame: pd.DataFrame) -> None:
        simple = frame[frame["kind"] == "simple"]
        assert "variants per cell" not in subtitle(heatmap(simple, "fast", "slow"))

    def test_marks_the_best_cell(self, frame: pd.DataFrame) -> None:
        figure = heatmap(frame, "fast", "slow")
        assert (list(figure.data[2].x), list(figure.data[2].y)) == (["10"], ["50"])
        assert "best <b>1.50</b> at fast 10, slow 50" in subtitle(figure)
        lowest = heatmap(frame, "fast", "slow", "total_return", lowest=True)
        assert (list(lowest.data[2].x), list(lowest.data[2].y)) == (["10"], ["100"])
        assert "best <b>−10.0%</b>" in subtitle(lowest)

    def test_crosses_out_what_is_not_defined_and_leaves_empty_what_was_not_tried(
        self, frame: pd.DataFrame
    ) -> None:
        crosses = heatmap(frame, "fast", "slow").data[1]
        assert (list(crosses.x), list(crosses.y)) == (["20"], ["100"])

    def test_centres_what_has_a_sign_at_zero(self, frame: pd.DataFrame) -> None:
        cells = heatmap(frame, "fast", "slow").data[0]
        assert cells.zmin == -cells.zmax < 0
        assert heatmap(frame.assign(exposure=0.5), "fast", "slow", "exposure").data[0].zmin is None

    @pytest.mark.parametrize(
        ("sign", "best", "worst"), [(1.0, "#1553b6", "#a3a9b0"), (-1.0, "#a3a9b0", "#b3261e")]
    )
    def test_colours_what_has_one_sign_from_the_lowest_to_the_highest(
        self, frame: pd.DataFrame, sign: float, best: str, worst: str
    ) -> None:
        """0.70 to 0.74 are five shades, where a scale about zero has one; losses are red."""
        close = frame.assign(sharpe_ratio=[sign * value for value in (0.70, 0.71, 0.72, 0.73, NAN, 0.74)])
        for scale in (heatmap(close, "fast", "slow").data[0], parallel_coordinates(close).data[0].line):
            assert [colour for _, colour in scale.colorscale][:: len(scale.colorscale) - 1] == [worst, best]
        assert heatmap(close, "fast", "slow").data[0].zmin is None
        assert parallel_coordinates(close).data[0].line.cmin is None

    def test_can_show_each_cells_surroundings(self) -> None:
        # A single spike amid zeros is gone, a plateau stays.
        values = np.zeros((5, 7))
        values[1, 1] = 9.0
        values[:, 4:] = 2.0
        y, x = np.mgrid[:5, :7]
        frame = pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "sharpe_ratio": values.ravel()})
        figure = heatmap(frame, "x", "y", neighbours=1)
        assert figure.data[0].z[1][1] == 0.0
        assert figure.data[0].z[2][5] == 2.0
        assert "median of 3 × 3 cells" in subtitle(figure)

    def test_cuts_many_numbers_into_bins(self) -> None:
        generator = np.random.default_rng(1)
        frame = pd.DataFrame(
            {
                "window": generator.integers(1, 80, 3000),
                "threshold": 10 ** generator.uniform(-4, 0, 3000),
                "sharpe_ratio": generator.normal(size=3000),
            }
        )
        figure = heatmap(frame, "window", "threshold")
        cells = figure.data[0]
        assert (len(cells.x), len(cells.y)) == (30, 30)
        assert np.sum(cells.customdata) == 3000
        assert len(figure.layout.xaxis.tickvals) <= 12
        # Four powers of ten in 30 bins: the eighth begins at 10^(-4 + 4·7/30) = 0.00086, nearly.
        assert float(cells.y[7].split("\u2009")[0]) == pytest.approx(10 ** (-4 + 4 * 7 / 30), rel=0.05)

    def test_takes_text_and_flags(self, frame: pd.DataFrame) -> None:
        figure = heatmap(frame.assign(strict=frame["fast"] > 5), "kind", "strict")
        assert list(figure.data[0].x) == ["exponential", "simple"]
        assert list(figure.data[0].y) == ["False", "True"]

    def test_lies_on_the_page_without_a_paper_of_its_own(self, frame: pd.DataFrame) -> None:
        for figure in (heatmap(frame, "fast", "slow"), parallel_coordinates(frame)):
            assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("fast", "fast"), "'fast' is given twice"),
            (("fast", "quick"), "no column 'quick'; it has fast, slow"),
            (("fast", "slow", "nothing"), "No variant has a value of nothing"),
        ],
    )
    def test_says_what_it_cannot_draw(
        self, frame: pd.DataFrame, arguments: tuple[str, ...], says: str
    ) -> None:
        with pytest.raises(SweepError, match=says):
            heatmap(frame.assign(nothing=NAN), *arguments)
        with pytest.raises(SweepError, match="must be one of median, mean"):
            heatmap(frame, "fast", "slow", aggregate="sum")


class TestParallelCoordinates:
    def test_draws_a_line_a_variant_with_the_best_on_top(self, frame: pd.DataFrame) -> None:
        figure = parallel_coordinates(frame)
        lines = figure.data[0]
        assert [axis.label for axis in lines.dimensions] == ["fast", "slow", "kind", "sharpe_ratio"]
        assert list(lines.line.color) == [-1.0, -0.5, 0.25, 1.0, 2.0]
        assert list(lines.dimensions[0]["values"]) == [10, 10, 5, 10, 10]
        assert list(lines.dimensions[2].ticktext) == ["exponential", "simple"]
        assert list(lines.dimensions[2]["values"]) == [1, 0, 1, 1, 0]
        assert "5 of 6 variants" in subtitle(figure)
        assert "1 have no sharpe_ratio" in subtitle(figure)

    def test_names_its_ticks_dark_on_white_whatever_lies_behind_them(self, frame: pd.DataFrame) -> None:
        """Lines lie behind them; the many shadows are as good as a patch, which Plotly does not have here."""
        font = parallel_coordinates(frame).data[0].tickfont
        assert font.color == "#24292f"
        assert (font.size, font.weight) == (12, 600)
        assert font.shadow.count("0 0 3px #ffffff") == 8

    def test_keeps_the_best(self, frame: pd.DataFrame) -> None:
        figure = parallel_coordinates(frame, top=2)
        assert list(figure.data[0].line.color) == [1.0, 2.0]
        assert "the best 2 of 6 variants" in subtitle(figure)
        lowest = parallel_coordinates(frame, "total_return", top=2, lowest=True)
        assert list(lowest.data[0].line.color) == [0.0, -0.2]

    def test_thins_many_lines_and_keeps_the_best_of_them(self) -> None:
        frame = pd.DataFrame({"window": np.arange(50_000), "sharpe_ratio": np.arange(50_000) / 1000})
        lines = parallel_coordinates(frame).data[0].line.color
        assert len(lines) == 2000
        assert list(lines[-500:]) == [value / 1000 for value in range(49_500, 50_000)]
        assert lines[0] == 0.0

    def test_puts_numbers_of_many_magnitudes_on_a_logarithmic_axis(self) -> None:
        frame = pd.DataFrame({"threshold": [0.001, 0.1, 1.0], "sharpe_ratio": [1.0, 2.0, 3.0]})
        axis = parallel_coordinates(frame).data[0].dimensions[0]
        assert axis.label == "threshold (log)"
        np.testing.assert_allclose(axis["values"], [-3, -1, 0], atol=1e-12)
        assert (axis.ticktext[0], axis.ticktext[-1]) == ("0.001", "1")

    def test_says_what_it_cannot_draw(self, frame: pd.DataFrame) -> None:
        with pytest.raises(SweepError, match="no column 'quick'"):
            parallel_coordinates(frame, parameters=["quick"])
        with pytest.raises(SweepError, match="No parameter has several values"):
            parallel_coordinates(frame[frame["fast"] == 5])
        with pytest.raises(SweepError, match="No variant has a value of sharpe_ratio"):
            parallel_coordinates(frame.assign(sharpe_ratio=NAN))
        with pytest.raises(SweepError, match="no variants to draw"):
            heatmap(frame[:0], "fast", "slow")
