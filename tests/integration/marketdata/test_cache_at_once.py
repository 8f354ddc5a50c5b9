"""The cache of bars on disk while several processes write and read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from workbench.marketdata.cache import BarCache

# Written out: where tests run side by side, a child cannot import the module that it is to run.
WRITER = """
import sys
from pathlib import Path

import numpy as np
import numpy as np
from workbench.marketdata.cache import BarCache
from workbench.marketdata.cache_files import CachedSeries
from workbench.marketdata.series import Assembled, SeriesBars, assemble

folder, tag = Path(sys.argv[1]), sys.argv[2]
times = np.arange(2_000, dtype=np.int64) * 60_000_000
values = np.arange(5.0)[:, None] + float(ord(tag)) * np.arange(2_000)
series = CachedSeries(SeriesBars("AAPL", times, values), tag, int(times[-1]), None, None)
cache = BarCache(folder, 1 << 30)
for _ in range(200):
    cache.put("yahoo", series)
"""


def test_processes_that_write_and_read_at_once_see_whole_files_only(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), tag]) for tag in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        found = BarCache(tmp_path, 1 << 30).get("yahoo", "AAPL")
        if found is not None:
            seen.add(found.tag)
            times = np.arange(2_000) * 60_000_000
            assert (found.last, found.start, found.end) == (times[-1], None, None)
            np.testing.assert_array_equal(found.bars.times, times)
            for row, values in enumerate(found.bars.values):
                np.testing.assert_array_equal(values, row + float(ord(found.tag)) * np.arange(2_000))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen
    assert not list(tmp_path.glob("*/.*.part"))
