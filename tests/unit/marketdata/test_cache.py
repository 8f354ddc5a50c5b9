"""The cache of bars on disk: whole and true or not there at all, bounded, safe to delete."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.marketdata.cache import BarCache
from workbench.marketdata.cache_files import CachedSeries, write_series
from workbench.marketdata.series import Assembled, SeriesBars, assemble

ROOMY = 1 << 30


def _series(symbol: str = "AAPL", *, rows: int = 100, tag: str = "a", value: float = 1.0) -> CachedSeries:
    times = np.arange(rows, dtype=np.int64) * 60_000_000
    values = np.arange(5.0)[:, None] + value * np.arange(rows)
    return CachedSeries(SeriesBars(symbol, times, values), tag, int(times[-1]), None, None)


def _file(cache: BarCache) -> Path:
    (path,) = cache.folder.glob("*/*.arrow")
    return path


def _same(one: CachedSeries, other: CachedSeries) -> bool:
    return (
        (one.tag, one.last, one.start, one.end) == (other.tag, other.last, other.start, other.end)
        and np.array_equal(one.bars.times, other.bars.times)
        and np.array_equal(one.bars.values, other.bars.values)
    )


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "O'Neil\"", "../x", "=1+1", "🚀", "a" * 300, "con"])
def test_any_symbol_comes_back_as_it_was_put(tmp_path: Path, symbol: str) -> None:
    kept = _series(symbol)
    BarCache(tmp_path / "cache", ROOMY).put("yahoo", kept)
    found = BarCache(tmp_path / "cache", ROOMY).get("yahoo", symbol)
    assert found is not None
    assert _same(found, kept)
    assert BarCache(tmp_path / "cache", ROOMY).get("polygon", symbol) is None
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_what_is_covered_comes_back_too(tmp_path: Path) -> None:
    cache = BarCache(tmp_path, ROOMY)
    bars = _series().bars
    cache.put("yahoo", CachedSeries(bars, "a", 7, -5, 9))
    found = BarCache(tmp_path, ROOMY).get("yahoo", "AAPL")
    assert found is not None
    assert (found.last, found.start, found.end) == (7, -5, 9)


def test_a_new_state_replaces_the_old_one_also_where_that_is_mapped(tmp_path: Path) -> None:
    cache, other = BarCache(tmp_path, ROOMY), BarCache(tmp_path, ROOMY)
    cache.put("yahoo", _series(tag="a"))
    before = other.get("yahoo", "AAPL")
    cache.put("yahoo", _series(tag="b", value=2.0))
    after = other.get("yahoo", "AAPL")
    assert before is not None
    assert after is not None
    assert (before.tag, after.tag) == ("a", "b")
    # Bars that someone holds stay what they were.
    assert _same(before, _series(tag="a"))


@pytest.mark.parametrize("where", [0, 8, 300, 900, -700, -300, -5])
def test_a_flipped_bit_anywhere_is_noticed_or_harmless(tmp_path: Path, where: int) -> None:
    kept = _series()
    BarCache(tmp_path, ROOMY).put("yahoo", kept)
    path = _file(BarCache(tmp_path, ROOMY))
    data = bytearray(path.read_bytes())
    data[where] ^= 0x10
    path.write_bytes(bytes(data))
    found = BarCache(tmp_path, ROOMY).get("yahoo", "AAPL")
    assert found is None or _same(found, kept)
    assert found is not None or not path.exists()


def test_every_flipped_bit_of_the_bars_is_noticed(tmp_path: Path) -> None:
    kept = _series()
    BarCache(tmp_path, ROOMY).put("yahoo", kept)
    path = _file(BarCache(tmp_path, ROOMY))
    data = bytearray(path.read_bytes())
    start = bytes(data).index(kept.bars.values.tobytes())
    data[start + kept.bars.values.nbytes // 2] ^= 1
    path.write_bytes(bytes(data))
    assert BarCache(tmp_path, ROOMY).get("yahoo", "AAPL") is None


@pytest.mark.parametrize("size", [0, 1, 500, 3000])
def test_a_file_cut_short_is_none_and_is_removed(tmp_path: Path, size: int) -> None:
    cache = BarCache(tmp_path, ROOMY)
    cache.put("yahoo", _series())
    path = _file(cache)
    os.truncate(path, size)
    assert BarCache(tmp_path, ROOMY).get("yahoo", "AAPL") is None
    assert not path.exists()


def test_a_file_of_another_series_in_its_place_is_none(tmp_path: Path) -> None:
    cache = BarCache(tmp_path, ROOMY)
    cache.put("yahoo", _series("IBM"))
    other = _file(cache)
    cache.put("yahoo", _series("AAPL"))
    (mine,) = set(cache.folder.glob("*/*.arrow")) - {other}
    os.replace(other, mine)
    assert BarCache(tmp_path, ROOMY).get("yahoo", "AAPL") is None


def test_deleting_everything_under_it_leaves_bars_that_are_held_as_they_are(tmp_path: Path) -> None:
    cache = BarCache(tmp_path / "cache", ROOMY)
    cache.put("yahoo", _series())
    held = cache.get("yahoo", "AAPL")
    cache.clear()
    assert held is not None
    assert _same(held, _series())
    assert cache.get("yahoo", "AAPL") is None
    cache.put("yahoo", _series())
    assert cache.get("yahoo", "AAPL") is not None


def test_more_series_are_mapped_than_files_may_be_open(tmp_path: Path) -> None:
    """Three hundred series by a process that may open thirty files more than it has."""
    cache = BarCache(tmp_path, ROOMY)
    for number in range(300):
        cache.put("yahoo", _series(f"S{number}", rows=10))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 30, hard))
    try:
        found = [cache.get("yahoo", f"S{number}") for number in range(300)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert all(one is not None and len(one.bars) == 10 for one in found)
    assert len(cache._mapped) == 300


def test_the_limit_holds_and_the_longest_unused_go_first(tmp_path: Path) -> None:
    one = 100 * 48
    cache = BarCache(tmp_path, 20 * one)
    for number in range(60):
        cache.put("yahoo", _series(f"S{number}"))
        stamp = time.time() - 10_000 + number
        for path in cache.folder.glob("*/*.arrow"):
            if path.stat().st_mtime > time.time() - 1000:
                os.utime(path, (stamp, stamp))
    cache.put("yahoo", _series("last"))
    total = sum(path.stat().st_size for path in cache.folder.glob("*/*.arrow"))
    # What was written since it was last counted may come on top: an eighth.
    assert total <= 20 * one * 9 / 8 + 2 * one
    assert cache.get("yahoo", "S0") is None
    assert cache.get("yahoo", "last") is not None


def test_a_series_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    cache = BarCache(tmp_path, 1000)
    cache.put("yahoo", _series())
    assert cache.get("yahoo", "AAPL") is None


def test_without_a_limit_nothing_is_written(tmp_path: Path) -> None:
    cache = BarCache(tmp_path / "cache", 0)
    cache.put("yahoo", _series())
    assert cache.get("yahoo", "AAPL") is None
    assert not (tmp_path / "cache").exists()


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache = BarCache(tmp_path / "cache", ROOMY)
    cache.put("yahoo", _series())
    assert cache.get("yahoo", "AAPL") is None


def test_a_full_disk_is_no_error_and_leaves_nothing_half_written() -> None:
    """/dev/full answers every write with "no space left": it stands for the disk."""
    with pytest.raises(OSError, match="space"):
        write_series(Path("/dev/full"), "yahoo", _series(rows=100_000))


def _whole() -> Assembled:
    """Two symbols with moments of their own."""
    return assemble(
        [
            SeriesBars("B", np.array([1, 2, 4]) * 60, np.arange(15.0).reshape(5, 3)),
            SeriesBars("A", np.array([2, 3]) * 60, np.arange(10.0).reshape(5, 2)),
        ]
    )


def test_what_was_put_together_comes_back_as_it_was(tmp_path: Path) -> None:
    BarCache(tmp_path, ROOMY).put_assembled("question", _whole())
    found = BarCache(tmp_path, ROOMY).get_assembled("question")
    assert found is not None
    pd.testing.assert_frame_equal(found.frame(), _whole().frame())
    assert found.frame(["close"])["close"].tolist() == [6, 7, 9, 10, 11]
    assert BarCache(tmp_path, ROOMY).get_assembled("another question") is None


def test_who_writes_to_a_mapped_frame_changes_neither_the_file_nor_other_frames(tmp_path: Path) -> None:
    cache = BarCache(tmp_path, ROOMY)
    cache.put_assembled("question", _whole())
    first, second = cache.get_assembled("question"), cache.get_assembled("question")
    assert first is not None
    assert second is not None
    frame = first.frame()
    frame.iloc[:, :] = -1.0
    pd.testing.assert_frame_equal(second.frame(), _whole().frame())
    third = BarCache(tmp_path, ROOMY).get_assembled("question")
    assert third is not None
    pd.testing.assert_frame_equal(third.frame(), _whole().frame())


@pytest.mark.parametrize("spoil", ["flip", "cut", "move"])
def test_a_damaged_assembly_is_none_and_is_removed(tmp_path: Path, spoil: str) -> None:
    cache = BarCache(tmp_path, ROOMY)
    cache.put_assembled("question", _whole())
    path = _file(cache)
    if spoil == "flip":
        data = bytearray(path.read_bytes())
        data[bytes(data).index(_whole().block.tobytes()) + 3] ^= 1
        path.write_bytes(bytes(data))
    elif spoil == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        cache.put_assembled("another", _whole())
        (other,) = set(cache.folder.glob("*/*.arrow")) - {path}
        os.replace(other, path)
    assert BarCache(tmp_path, ROOMY).get_assembled("question") is None
    assert not path.exists()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30, unique=True), max_size=6))
def test_series_with_any_moments_are_assembled_as_pandas_would(drawn: list[list[int]]) -> None:
    """Against `pd.concat` and a sort."""
    for step in (1, 60_000_000):
        series = [
            SeriesBars(
                f"S{number}",
                np.sort(np.array(times)) * step,
                np.random.default_rng(1).random((5, len(times))),
            )
            for number, times in enumerate(drawn)
        ]
        frames = [
            pd.DataFrame(
                one.values.T,
                columns=["open", "high", "low", "close", "volume"],
                index=pd.MultiIndex.from_product(
                    [[one.symbol], pd.DatetimeIndex(one.times.view("M8[us]")).tz_localize("UTC")],
                    names=["symbol", "timestamp"],
                ),
            )
            for one in series
        ]
        found = assemble(series[::-1]).frame()
        if frames:
            pd.testing.assert_frame_equal(found, pd.concat(frames).sort_index(), check_index_type=False)
        else:
            assert found.empty
