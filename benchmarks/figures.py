"""Figures that compare with peers: told where every peer took part, and otherwise said to be untold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["Figures", "families"]


class Figures:
    """The figures of one run, and those that cannot be told because a peer is missing.

    A ratio to the quickest peer says nothing while the quickest may be the one that is not installed.

    Attributes
    ----------
    told : dict of str to float
        The figures, by name.
    untold : dict of str to tuple of str
        By the name of a figure that is not told: which candidates are missing.
    """

    def __init__(self) -> None:
        self.told: dict[str, float] = {}
        self.untold: dict[str, tuple[str, ...]] = {}

    def against_best(
        self, figure: str, ours: str, peers: Sequence[str], seconds: Mapping[str, float]
    ) -> float | None:
        """Tell the quickest peer's time over ours; None where one of them is not in `seconds`.

        Parameters
        ----------
        figure : str
            Its name.
        ours, peers : str, sequence of str
            Who is compared; all of them have to be there.
        seconds : mapping of str to float
            What each candidate that took part needed.
        """
        if self.need(figure, [ours, *peers], seconds):
            self.told[figure] = min(seconds[peer] for peer in peers) / seconds[ours]
        return self.told.get(figure)

    def need(self, figure: str, names: Sequence[str], there: Mapping[str, object]) -> bool:
        """Whether all of `names` took part; if not, `figure` is noted as untold."""
        absent = tuple(name for name in names if name not in there)
        if absent:
            self.untold[figure] = absent
        return not absent


def families(names: Sequence[str]) -> str:
    """The peers that these candidates are ways of: "ADBC, ConnectorX"."""
    return ", ".join(dict.fromkeys(name.partition(",")[0].partition(" (")[0] for name in names))
