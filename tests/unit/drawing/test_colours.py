"""Both schemes can be read: every figure's colour has a twin, and texts stand out from their ground."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from workbench.drawing.colours import DARK, LIGHT, Palette, dark_of_light, style_variables


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    dark, light = sorted([_luminance(one), _luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_and_lines_stand_out(palette: Palette) -> None:
    for text in (palette.text, palette.muted, palette.gain, palette.loss):
        assert _contrast(text, palette.page) >= 4.5, "WCAG 2.2, 1.4.3: text"
    for line in (palette.strategy, palette.benchmark, palette.short):
        assert _contrast(line, palette.page) >= 3.0, "WCAG 2.2, 1.4.11: graphics"


def test_each_colour_of_a_figure_has_one_dark_twin() -> None:
    twins = dark_of_light()
    assert len(twins) == len(asdict(LIGHT)), "two colours alike could not be told apart"
    assert twins[LIGHT.strategy] == DARK.strategy
    assert "--loss-fill: rgba(194, 59, 34, 0.18);" in style_variables(LIGHT)
