"""The picture for messages is drawn in a process that has no display, no home and no backend to choose."""

from __future__ import annotations

import os
import subprocess
import sys


def test_it_needs_no_display_no_font_and_no_home() -> None:
    script = (
        "import numpy as np, pandas as pd\n"
        "from workbench.backtest import backtest\n"
        "index = pd.MultiIndex.from_product([['X'], pd.date_range('2020', periods=50, tz='UTC')],"
        " names=['symbol', 'timestamp'])\n"
        "bars = pd.DataFrame({'open': np.arange(1.0, 51.0), 'close': np.arange(1.0, 51.0)}, index=index)\n"
        "png = backtest(bars, bars['close'] > 0, bars['close'] < 0).report().png()\n"
        "import sys\n"
        "assert png.startswith(b'\\x89PNG')\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in {"DISPLAY", "HOME", "MPLBACKEND"}
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"MPLBACKEND": "TkAgg", "HOME": "/nonexistent"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "False", "pyplot would choose a backend for the whole process"
