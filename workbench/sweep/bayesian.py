"""`Bayesian`: variants chosen in batches by earlier results; the only module that imports Optuna."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.arguments import as_flag
from workbench.errors import SweepError
from workbench.signals.strategy import Strategy
from workbench.sweep.allowed import allowed_variants
from workbench.sweep.arguments import as_count, as_metric
from workbench.sweep.axes import Axis, Listed
from workbench.sweep.space import RandomSpace, searched_axes

__all__ = ["Bayesian", "BayesianSearch"]

_PATIENCE = 40
"""After this many proposals that `where` rejects or that were tried, the next variant is drawn at random."""
_LAST_SEED = 2**32 - 1
"""The largest seed of Optuna's sampler."""
_RANDOM_BLOCKS = 8
"""After this many blocks of random draws without a new variant, the search ends."""


@dataclass(frozen=True)
class Bayesian:
    """Variants chosen by the results of earlier ones, with Optuna's tree-structured Parzen estimator.

    The variants of a batch are chosen together, each as if those still running had given poor results
    (Optuna's "constant liar"), so that they differ and all workers are busy. A small batch uses results
    sooner, a large one keeps more workers busy. The first ten or so are drawn at random.

    The best of many guided trials is as much a product of chance as the best of many random ones, and their
    Sharpe ratios are a biased sample: check the deflated Sharpe ratio of the best one.

    Parameters
    ----------
    n : int
        Number of variants to try; all combinations if there are fewer.
    seed : int
        The same seed, batch and outcomes give the same variants.
    objective : str
        The metric to optimise.
    over : mapping of str to sequence or between(…), optional
        Values to choose from, as in `Random`.
    batch : int
        Variants chosen together.
    maximise : bool
        False if a lower metric is better.

    Examples
    --------
    >>> Bayesian(300, objective="sortino", over={"fast": between(2, 50)})    # doctest: +SKIP
    """

    n: int
    seed: int = 0
    objective: str = "sharpe_ratio"
    over: Mapping[str, Any] | None = None
    batch: int = 16
    maximise: bool = True

    def resolve(self, strategy: Strategy) -> BayesianSearch:
        """A new search for one strategy.

        Raises
        ------
        StrategyError
            A name is not a parameter, a value is not allowed for its parameter, or nothing is searched.
        SweepError
            `n` or `batch` is not a whole number of 1 or more, `seed` not one from 0 to 2**32 - 1, `objective`
            no metric of a sweep, or `over` not a mapping.
        BacktestError
            `maximise` is neither True nor False.
        """
        checked = replace(
            self,
            n=as_count(self.n, "Bayesian(n)"),
            seed=as_count(self.seed, "Bayesian(seed)", least=0, most=_LAST_SEED),
            batch=as_count(self.batch, "Bayesian(batch)"),
            objective=as_metric(self.objective),
            maximise=as_flag(self.maximise, "Bayesian(maximise)"),
        )
        return BayesianSearch(checked, strategy)


class BayesianSearch:
    """A running search: `ask` proposes variants, `tell` takes their results.

    Attributes
    ----------
    size : int
        Maximum number of variants.
    batch : int
        Variants to ask for at once.
    names : tuple of str
        The searched parameters.
    objective : str
        The metric that `tell` takes.
    """

    def __init__(self, wanted: Bayesian, strategy: Strategy) -> None:
        import optuna

        self.size = wanted.n
        self.batch = wanted.batch
        self.objective = wanted.objective
        self._wanted = wanted
        self._strategy = strategy
        self._axes = searched_axes(strategy, wanted.over)
        self.names = tuple(axis.name for axis in self._axes)
        self._distributions = {axis.name: _distribution(axis) for axis in self._axes}
        self._trials: dict[tuple[Any, ...], Any] = {}
        self._random = RandomSpace(wanted.n, wanted.seed, self._axes, dict(strategy.parameters))
        self._next_block = 0
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            with warnings.catch_warnings():
                # Optuna 4 marks the constant liar as experimental.
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                sampler = optuna.samplers.TPESampler(seed=wanted.seed, constant_liar=True)
            self._study = optuna.create_study(
                sampler=sampler, direction="maximize" if wanted.maximise else "minimize"
            )
        finally:
            optuna.logging.set_verbosity(verbosity)

    def ask(self, n: int) -> list[dict[str, Any]]:
        """Up to `n` new variants, each with every parameter of the strategy.

        Fewer when `size` is reached or there are no more; an empty list means that the search is over.
        """
        proposed: list[dict[str, Any]] = []
        while len(proposed) < min(n, self.size) and len(self._trials) < self.size:
            variant = self._propose()
            if variant is None:
                break
            proposed.append(variant)
        return proposed

    def tell(self, variants: Sequence[Mapping[str, Any]], outcomes: Sequence[float]) -> None:
        """Report the outcomes of variants from `ask`; NaN or infinite ranks below every finite outcome.

        Raises
        ------
        SweepError
            A variant did not come from `ask`, or its outcome was already reported.
        """
        from optuna.trial import TrialState

        for variant, outcome in zip(variants, outcomes, strict=True):
            trial = self._trials.get(self._key(variant))
            if trial is None:
                raise SweepError(
                    f"{self._strategy.name}: {dict(variant)} is not waiting for an outcome; "
                    "call tell() once for each variant from ask()."
                )
            self._trials[self._key(variant)] = None
            if math.isfinite(outcome):
                self._study.tell(trial, float(outcome))
            else:
                # Pruned trials rank below all completed ones, and so steer the search away.
                self._study.tell(trial, state=TrialState.PRUNED)

    def spec(self) -> dict[str, Any]:
        """Everything that determines the variants apart from their outcomes, as JSON types."""
        return {
            "kind": "bayesian",
            "n": self.size,
            "seed": self._wanted.seed,
            "objective": self.objective,
            "maximise": self._wanted.maximise,
            "batch": self.batch,
            "over": {axis.name: axis.spec() for axis in self._axes},
        }

    def _propose(self) -> dict[str, Any] | None:
        """One new allowed variant: the sampler's, else a random one; None if there is none."""
        from optuna.trial import TrialState

        for _ in range(_PATIENCE):
            trial = self._study.ask(self._distributions)
            variant = self._variant({axis.name: _value(axis, trial.params[axis.name]) for axis in self._axes})
            if self._key(variant) in self._trials:
                # FAIL, not PRUNED: the sampler ignores it, and the variant's earlier trial keeps its rank.
                self._study.tell(trial, state=TrialState.FAIL)
            elif not self._strategy.allows(variant):
                self._study.tell(trial, state=TrialState.PRUNED)
            else:
                self._trials[self._key(variant)] = trial
                return variant
        return self._draw()

    def _draw(self) -> dict[str, Any] | None:
        for _ in range(_RANDOM_BLOCKS):
            block = self._random.block(self._next_block)
            allowed = np.flatnonzero(allowed_variants(self._strategy, block)).tolist()
            for position in allowed:
                variant = {name: values[position].item() for name, values in block.items()}
                if self._key(variant) not in self._trials:
                    self._study.enqueue_trial(
                        {axis.name: _proposed(axis, variant[axis.name]) for axis in self._axes}
                    )
                    self._trials[self._key(variant)] = self._study.ask(self._distributions)
                    return variant
            self._next_block += 1
        return None

    def _variant(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._strategy.defaults, **searched}

    def _key(self, variant: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(variant[name] for name in self.names)


def _distribution(axis: Axis) -> Any:
    """Optuna's distribution: ordered numbers go by position, so that neighbours stay neighbours."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(axis, Listed):
        if axis.values.dtype.kind in "if" and np.all(np.diff(axis.values) > 0):
            return IntDistribution(0, axis.count - 1)
        return CategoricalDistribution(axis.values.tolist())
    if axis.count is None:
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    if axis.log:
        return IntDistribution(int(axis.low), int(axis.high), log=True)
    return IntDistribution(0, axis.count - 1)


def _value(axis: Axis, proposed: Any) -> Any:
    """The parameter's value for Optuna's proposal."""
    if _by_position(axis):
        return axis.at(np.array([proposed])).item()
    return proposed


def _proposed(axis: Axis, value: Any) -> Any:
    """Optuna's proposal for a parameter's value."""
    if not _by_position(axis):
        return value
    if isinstance(axis, Listed):
        return int(np.searchsorted(axis.values, value))
    return round((value - axis.low) / axis.step) if axis.step else value


def _by_position(axis: Axis) -> bool:
    if isinstance(axis, Listed):
        return axis.values.dtype.kind in "if" and bool(np.all(np.diff(axis.values) > 0))
    return axis.count is not None and not axis.log
