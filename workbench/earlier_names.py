"""`EarlierNames`: what `wb` did by names of its own before it had facets; notebooks still use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from workbench.backtest import BacktestResult
    from workbench.overfitting import Honesty
    from workbench.promotion.deployments import Deployments
    from workbench.promotion.records import Deployment, FlowRun
    from workbench.report import Tearsheet
    from workbench.research import Research
    from workbench.sweep import SweepResult
    from workbench.validation import ValidationResult

__all__ = ["EarlierNames"]


class _Facets(Protocol):
    @property
    def research(self) -> Research: ...

    @property
    def deployments(self) -> Deployments: ...


class EarlierNames:
    """A base of `Workbench`, whose completion leaves these names out."""

    def honesty(self: _Facets, result: BacktestResult | ValidationResult, **options: Any) -> Honesty:
        """`research.honesty`, by its earlier name."""
        return self.research.honesty(result, **options)

    def tearsheet(self: _Facets, result: BacktestResult, **options: Any) -> Tearsheet:
        """`research.tearsheet`, by its earlier name."""
        return self.research.tearsheet(result, **options)

    def save_backtest(self: _Facets, result: BacktestResult, **options: Any) -> dict[str, int]:
        """`research.save`, by its earlier name."""
        return self.research.save(result, **options)

    def save_sweep(self: _Facets, sweep: SweepResult, **options: Any) -> dict[str, int]:
        """`research.save`, by its earlier name."""
        return self.research.save(sweep, **options)

    def save_validation(self: _Facets, validation: ValidationResult, **options: Any) -> dict[str, int]:
        """`research.save`, by its earlier name."""
        return self.research.save(validation, **options)

    def trigger(
        self: _Facets,
        deployment: Deployment | str,
        parameters: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> FlowRun:
        """`deployments.trigger`, by its earlier name."""
        return self.deployments.trigger(deployment, parameters, **options)
