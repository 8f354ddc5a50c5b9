"""Returns that others have published with their figures, and returns for property tests; no test."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from hypothesis import strategies as st

# The series of empyrical's own test suite (quantopian/empyrical, tests/test_stats.py).
MIXED = pd.Series([math.nan, 0.01, 0.10, -0.04, 0.02, 0.03, 0.02, 0.01, -0.10])
NEGATIVE = pd.Series([0.0, -0.06, -0.07, -0.01, -0.09, -0.02, -0.06, -0.08, -0.05])
POSITIVE = pd.Series([0.01, 0.02, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01])
FLAT = pd.Series([0.01] * 9)

# Monthly returns of a portfolio and of its benchmark: C. R. Bacon, "Practical Portfolio Performance
# Measurement and Attribution", 2nd edition, 2008, p. 65 f.; `portfolio_bacon` of the R package
# PerformanceAnalytics, whose vignette PA-Bacon lists the book's figures.
_TWO_YEARS = [
    [0.3, 2.6, 1.1, -1.0, 1.5, 2.5, 1.6, 6.7, -1.4, 4.0, -0.5, 8.1],
    [4.0, -3.7, -6.1, 1.7, -4.9, -2.2, 7.0, 5.8, -6.5, 2.4, -0.5, -0.9],
]
_BENCHMARK = [
    [0.2, 2.5, 1.8, -1.1, 1.4, 1.8, 1.4, 6.5, -1.5, 4.2, -0.6, 8.3],
    [3.9, -3.8, -6.2, 1.5, -4.8, 2.1, 6.0, 5.6, -6.7, 1.9, -0.3, 0.0],
]
BACON = pd.Series(np.ravel(_TWO_YEARS) / 100)
BACON_BENCHMARK = pd.Series(np.ravel(_BENCHMARK) / 100)

RETURNS = st.lists(st.integers(-500_000, 1_000_000), min_size=1, max_size=60).map(
    lambda ppm: pd.Series(ppm) / 1e6
)
