"""Search spaces: `Grid`, every combination of listed values, and `Random`, random draws from ranges.

`Bayesian`, which chooses by earlier results, is in its own module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from workbench.errors import StrategyError, SweepError
from workbench.signals.parameter import Parameter
from workbench.signals.strategy import Strategy
from workbench.sweep.allowed import Chosen, allowed_variants, choose
from workbench.sweep.arguments import as_count, as_values
from workbench.sweep.axes import Axis, constant, make_axes, range_of

__all__ = ["Grid", "GridSpace", "Random", "RandomSpace", "Space", "searched_axes"]

Arrays = dict[str, npt.NDArray[Any]]

_MOST_CHECKED = 2**31
"""With more combinations than this, a grid with a `where` is refused."""
_DRAWN = 4_096
"""Draws per block; each block has its own seed. A chunk draws at most two blocks more than it needs."""
_BARREN = 64
"""Stop after this many blocks in a row without a new variant."""


class Space(Protocol):
    """Numbered variants of one strategy: `Grid` or `Random` resolved for it. Can be pickled."""

    @property
    def size(self) -> int:
        """Number of variants."""

    @property
    def names(self) -> tuple[str, ...]:
        """The searched parameters."""

    def variants(self, start: int, stop: int) -> Arrays:
        """Variants `start` to `stop` (exclusive): one array per parameter of the strategy."""

    def spec(self) -> dict[str, Any]:
        """Everything that determines the variants, as JSON types."""


@dataclass(frozen=True)
class Grid:
    """Every combination of the listed values; the last parameter changes fastest.

    Parameters
    ----------
    values : mapping of str to sequence or between(…)
        Values to try, by parameter: a list, a `range`, an array, a single value, or a range with a step.
        Parameters that are not named keep their defaults; a value that is listed twice is tried once.

    Examples
    --------
    >>> Grid({"fast": range(5, 50), "slow": between(20, 200, step=10)})      # doctest: +SKIP
    """

    values: Mapping[str, Any]

    def resolve(self, strategy: Strategy) -> GridSpace:
        """The grid for one strategy, without the combinations that its `where` rejects.

        Memory: one bit per combination if the strategy has a `where`, else next to nothing.

        Raises
        ------
        StrategyError
            A name is not a parameter, a value is not allowed for its parameter, or `where` allows nothing.
        SweepError
            The values are no mapping, or there are too many combinations to number, or to check with `where`.
        """
        axes = make_axes(strategy, as_values(self.values, "grid"))
        for axis in axes:
            if axis.count is None:
                raise StrategyError(
                    f"{strategy.name}: a grid needs the values of {axis.name}; "
                    "list them, or give between(…) a step."
                )
        space = GridSpace("grid", axes, dict(strategy.parameters))
        total = space.total
        if total >= (2**62 if strategy.where is None else _MOST_CHECKED):
            raise SweepError(
                f"{strategy.name}: the grid has {total:,} combinations; list fewer values, "
                "or draw some of them with Random(n)."
            )
        if strategy.where is None:
            return space
        chosen = choose(
            total, lambda start, stop: allowed_variants(strategy, space.combinations(np.arange(start, stop)))
        )
        if chosen.size == 0:
            raise StrategyError(f"{strategy.name}: its `where` allows none of the {total:,} combinations.")
        return space if chosen.size == total else GridSpace("grid", axes, space.parameters, chosen)


@dataclass(frozen=True, eq=False)
class GridSpace:
    """A grid of one strategy; see `Space`.

    Attributes
    ----------
    kind : str
    axes : tuple of Axis
    parameters : mapping of str to Parameter
        All parameters of the strategy.
    chosen : Chosen, optional
        The allowed combinations; None if all are.
    """

    kind: str
    axes: tuple[Axis, ...]
    parameters: Mapping[str, Parameter]
    chosen: Chosen | None = None

    @property
    def total(self) -> int:
        """Number of combinations before `where`."""
        return math.prod(axis.count or 1 for axis in self.axes)

    @property
    def size(self) -> int:
        """Number of variants."""
        return self.total if self.chosen is None else self.chosen.size

    @property
    def names(self) -> tuple[str, ...]:
        """The searched parameters."""
        return tuple(axis.name for axis in self.axes)

    def variants(self, start: int, stop: int) -> Arrays:
        """Variants `start` to `stop` (exclusive).

        Returns
        -------
        dict of str to ndarray, shape (stop - start,)
            Every parameter of the strategy, in its order: bool, int64, float64 or text.
        """
        stop = min(stop, self.size)
        return self.combinations(
            np.arange(start, stop) if self.chosen is None else self.chosen.numbers(start, stop)
        )

    def combinations(self, numbers: npt.NDArray[np.int64]) -> Arrays:
        """The combinations with these numbers, before `where`: the digits of a mixed-radix number."""
        found = {}
        rest = numbers
        for axis in reversed(self.axes):
            rest, digit = np.divmod(rest, axis.count or 1)
            found[axis.name] = axis.at(digit)
        return _complete(found, self.parameters, len(numbers))

    def spec(self) -> dict[str, Any]:
        """Everything that determines the variants, as JSON types."""
        return {"kind": self.kind, "over": {axis.name: axis.spec() for axis in self.axes}}


@dataclass(frozen=True)
class Random:
    """Combinations drawn at random, none of them twice.

    The same seed gives the same variants in the same order; a larger `n` starts with the same ones, unless
    it covers all combinations.

    Parameters
    ----------
    n : int
        Number of variants; all combinations if there are fewer.
    seed : int
    over : mapping of str to sequence or between(…), optional
        Values to draw from. Default: each parameter's range or choices; those that have neither keep their
        defaults.

    Examples
    --------
    >>> Random(2_000, seed=7)                                                # doctest: +SKIP
    >>> Random(500, over={"threshold": between(0.001, 0.1, log=True)})       # doctest: +SKIP
    """

    n: int
    seed: int = 0
    over: Mapping[str, Any] | None = None

    def resolve(self, strategy: Strategy) -> GridSpace | RandomSpace:
        """The draws for one strategy, without those that its `where` rejects.

        Memory: eight bytes per variant if there is a `where` or if draws can repeat. If `n` is at least the
        number of combinations, the result is the full grid.

        Raises
        ------
        StrategyError
            A name is not a parameter, a value is not allowed for its parameter, there is nothing to search,
            or `where` allows nothing.
        SweepError
            `n` is not a whole number of 1 or more, `seed` not one of 0 or more, or `over` not a mapping.
        """
        n, seed = as_count(self.n, "Random(n)"), as_count(self.seed, "Random(seed)", least=0)
        axes = searched_axes(strategy, self.over)
        parameters = dict(strategy.parameters)
        counts = [axis.count for axis in axes]
        total = None if None in counts else math.prod(count or 1 for count in counts)
        if total is not None and n >= total:
            full = Grid({axis.name: axis.at(np.arange(axis.count or 1)) for axis in axes}).resolve(strategy)
            return GridSpace("random", axes, parameters, full.chosen)
        space = RandomSpace(n, seed, axes, parameters)
        if strategy.where is None and total is None:
            return space
        draws = _new_and_allowed(space, strategy, total)
        if not len(draws):
            raise StrategyError(
                f"{strategy.name}: its `where` allowed none of {_BARREN * _DRAWN:,} combinations drawn at "
                "random; search a range in which it allows some."
            )
        return RandomSpace(len(draws), seed, axes, parameters, draws)


@dataclass(frozen=True, eq=False)
class RandomSpace:
    """Draws for one strategy; see `Space`.

    Draws are numbered and made in blocks, each from its own seed, so that a chunk can redo the draws it
    needs independently of other chunks.

    Attributes
    ----------
    size : int
        Number of variants.
    seed : int
    axes : tuple of Axis
    parameters : mapping of str to Parameter
    draws : ndarray of int64, shape (size,), optional
        Numbers of the draws used, ascending; None for the first `size`.
    """

    size: int
    seed: int
    axes: tuple[Axis, ...]
    parameters: Mapping[str, Parameter]
    draws: npt.NDArray[np.int64] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The searched parameters."""
        return tuple(axis.name for axis in self.axes)

    def variants(self, start: int, stop: int) -> Arrays:
        """Variants `start` to `stop` (exclusive); see `GridSpace.variants`."""
        stop = min(stop, self.size)
        draws = np.arange(start, stop) if self.draws is None else self.draws[start:stop]
        blocks = draws // _DRAWN
        drawn = [
            [places[draws[blocks == block] % _DRAWN] for places in self.places(int(block))]
            for block in np.unique(blocks)
        ]
        found = {
            axis.name: axis.at(np.concatenate(parts))
            for axis, *parts in zip(self.axes, *drawn, strict=True)
            if parts
        }
        if not found:
            found = {axis.name: axis.at(axis.place(np.empty(0))) for axis in self.axes}
        return _complete(found, self.parameters, len(draws))

    def block(self, block: int) -> Arrays:
        """All variants of one block of draws, before `where`."""
        found = {
            axis.name: axis.at(places) for axis, places in zip(self.axes, self.places(block), strict=True)
        }
        return _complete(found, self.parameters, _DRAWN)

    def places(self, block: int) -> list[npt.NDArray[Any]]:
        """Positions of one block's draws on each axis."""
        generator = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(block,)))
        uniform = generator.random((len(self.axes), _DRAWN))
        return [axis.place(drawn) for axis, drawn in zip(self.axes, uniform, strict=True)]

    def spec(self) -> dict[str, Any]:
        """Everything that determines the variants, as JSON types."""
        over = {axis.name: axis.spec() for axis in self.axes}
        return {"kind": "random", "n": self.size, "seed": self.seed, "over": over}


def searched_axes(strategy: Strategy, over: Mapping[str, Any] | None) -> tuple[Axis, ...]:
    """The axes of `over`, or of every parameter that has a range or choices, or is a bool.

    Raises
    ------
    StrategyError
        There is nothing to search.
    SweepError
        `over` is no mapping.
    """
    if over is None:
        ranges = {name: range_of(parameter) for name, parameter in strategy.parameters.items()}
        over = {name: values for name, values in ranges.items() if values is not None}
    if not as_values(over, "over"):
        raise StrategyError(
            f"{strategy.name} has no parameter with a range; pass over={{name: between(low, high)}} "
            "or give its parameters ranges, as in Annotated[int, between(2, 200)]."
        )
    return make_axes(strategy, over)


def _complete(found: Arrays, parameters: Mapping[str, Parameter], n: int) -> Arrays:
    return {
        name: found[name] if name in found else constant(parameter, n)
        for name, parameter in parameters.items()
    }


def _new_and_allowed(space: RandomSpace, strategy: Strategy, total: int | None) -> npt.NDArray[np.int64]:
    """The numbers of the first `space.size` draws that `where` allows and that repeat no earlier draw."""
    kept: list[npt.NDArray[np.int64]] = []
    found, barren, block = 0, 0, 0
    seen: set[int] = set()
    while found < space.size and barren < _BARREN:
        fine = np.flatnonzero(allowed_variants(strategy, space.block(block)))
        # Draws of real numbers, or from more than 2**63 combinations, practically never repeat.
        if total is not None and total < 2**63:
            codes = np.zeros(_DRAWN, dtype=np.int64)
            for axis, places in zip(space.axes, space.places(block), strict=True):
                codes = codes * (axis.count or 1) + places
            new = []
            for position, code in zip(fine.tolist(), codes[fine].tolist(), strict=True):
                if code not in seen:
                    seen.add(code)
                    new.append(position)
            fine = np.array(new, dtype=np.int64)
        kept.append(block * _DRAWN + fine)
        found += len(fine)
        barren = 0 if len(fine) else barren + 1
        block += 1
    return np.concatenate(kept)[: space.size].astype(np.int64)
