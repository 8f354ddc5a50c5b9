"""How likely a result is luck: error of a Sharpe ratio, overfitting and data-snooping tests, a verdict."""

from __future__ import annotations

from workbench.overfitting.pbo import BacktestOverfitting, probability_of_overfitting
from workbench.overfitting.reality_check import RealityCheck, reality_check
from workbench.overfitting.sharpe_inference import (
    TrackRecord,
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe,
    probabilistic_sharpe_of,
    track_record,
)
from workbench.overfitting.verdict import Honesty, judge

__all__ = [
    "BacktestOverfitting",
    "Honesty",
    "RealityCheck",
    "TrackRecord",
    "deflated_sharpe",
    "expected_maximum_sharpe",
    "judge",
    "minimum_track_record_length",
    "probabilistic_sharpe",
    "probabilistic_sharpe_of",
    "probability_of_overfitting",
    "reality_check",
    "track_record",
]
