"""The tearsheet's colours, for light and dark pages."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["DARK", "LIGHT", "Palette", "dark_of_light", "style_variables"]


@dataclass(frozen=True)
class Palette:
    """One scheme's colours by their meaning; CSS colours, no two of a palette equal.

    Figures are made with `LIGHT`; the page's script replaces each colour by `DARK`'s if the reader prefers
    dark pages. Gain and loss also differ in lightness, for those who cannot distinguish green from red.
    """

    page: str
    panel: str
    text: str
    muted: str
    line: str
    strategy: str
    strategy_soft: str
    strategy_fill: str
    benchmark: str
    short: str
    gain: str
    gain_fill: str
    loss: str
    loss_fill: str
    neutral: str


LIGHT = Palette(
    page="#ffffff",
    panel="#f6f7f9",
    text="#1b2129",
    muted="#5d6774",
    line="#dfe3e8",
    strategy="#1d5fc4",
    strategy_soft="#9dbdec",
    strategy_fill="rgba(29, 95, 196, 0.16)",
    benchmark="#8a8176",
    short="#8a3fb0",
    gain="#0f7b5c",
    gain_fill="rgba(15, 123, 92, 0.30)",
    loss="#c23b22",
    loss_fill="rgba(194, 59, 34, 0.18)",
    neutral="#f2f1ee",
)
DARK = Palette(
    page="#11151a",
    panel="#191f26",
    text="#e4e8ed",
    muted="#98a2ae",
    line="#2b323b",
    strategy="#6ea8ff",
    strategy_soft="#4a74b4",
    strategy_fill="rgba(110, 168, 255, 0.20)",
    benchmark="#a89d8e",
    short="#cf8df0",
    gain="#45c296",
    gain_fill="rgba(69, 194, 150, 0.34)",
    loss="#f2765c",
    loss_fill="rgba(242, 118, 92, 0.24)",
    neutral="#20262d",
)


def dark_of_light() -> dict[str, str]:
    """Maps each colour of `LIGHT` to that of `DARK`."""
    return dict(zip(asdict(LIGHT).values(), asdict(DARK).values(), strict=True))


def style_variables(palette: Palette) -> str:
    """The palette as CSS custom properties: ``--text: #1b2129; …``."""
    return " ".join(f"--{name.replace('_', '-')}: {value};" for name, value in asdict(palette).items())
