"""Parts of a sweep: written whole, checked when asked, and no row is read twice where parts overlap."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import SweepError
from workbench.sweep import store as module
from workbench.sweep.store import METRICS, PartStore, PartWriter, Rows, gaps


def rows(start: int, stop: int, errors: dict[int, str] | None = None) -> Rows:
    """Every figure is the row's number, and so is the parameter."""
    numbers = np.arange(start, stop)
    return Rows(
        start,
        {"n": numbers, "kind": np.array(["a", "b"] * len(numbers))[: len(numbers)], "on": numbers % 2 == 0},
        np.repeat(numbers[:, np.newaxis].astype(float), len(METRICS), axis=1),
        errors or {},
    )


def numbers_in(store: PartStore) -> list[int]:
    return [number for _, table in store.tables() for number in table["n"].to_pylist()]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = PartStore(tmp_path / "sweep")
    part = store.write(rows(10, 14, {2: "ValueError: no"}))
    table = store.read(part)
    assert table["n"].to_pylist() == [10, 11, 12, 13]
    assert table["kind"].to_pylist() == ["a", "b", "a", "b"]
    assert table["on"].to_pylist() == [True, False, True, False]
    assert table["kurtosis"].to_pylist() == [10.0, 11.0, 12.0, 13.0]
    assert table["error"].to_pylist() == [None, None, "ValueError: no", None]
    assert store.parts(check=True) == [part]
    assert store.read(part, ["cagr"]).column_names == ["cagr"]


@pytest.mark.parametrize(
    "spans",
    [
        [(0, 5), (5, 9)],
        [(5, 9), (0, 5), (3, 7)],
        [(0, 9), (0, 4), (2, 5), (8, 9)],
        [(0, 3), (0, 6), (5, 9), (2, 8)],
    ],
)
def test_parts_that_overlap_give_each_row_once(tmp_path: Path, spans: list[tuple[int, int]]) -> None:
    store = PartStore(tmp_path)
    for start, stop in spans:
        store.write(rows(start, stop))
    assert numbers_in(store) == list(range(9))
    assert list(gaps(store.parts(), 0, 9)) == []


def test_gaps_are_what_no_part_holds(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    for start, stop in [(2, 4), (7, 9), (20, 25)]:
        store.write(rows(start, stop))
    parts = store.parts()
    assert list(gaps(parts, 0, 12)) == [(0, 2), (4, 7), (9, 12)]
    assert list(gaps(parts, 3, 8)) == [(4, 7)]
    assert list(gaps(parts, 9, 20)) == [(9, 20)]
    assert list(gaps([], 0, 3)) == [(0, 3)]


@pytest.mark.parametrize("where", [0.2, 0.4, 0.6, 0.9])
def test_a_damaged_part_is_removed_when_it_is_checked(tmp_path: Path, where: float) -> None:
    store = PartStore(tmp_path)
    store.write(rows(0, 50))
    path = store.write(rows(50, 100, {3: "KeyError: 'x'"})).path
    content = bytearray(path.read_bytes())
    content[int(len(content) * where)] ^= 0xFF
    path.write_bytes(content)
    (part,) = store.parts(check=True)
    assert (part.start, part.stop) == (0, 50)
    assert not path.exists()


def test_a_part_of_another_length_than_its_name_says_is_no_part(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    part = store.write(rows(0, 4))
    part.path.rename(tmp_path / "000000000000-000000000005.arrow")
    assert store.parts(check=True) == []


def test_a_part_that_goes_while_it_is_read_is_told(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    part = store.write(rows(0, 4))
    part.path.unlink()
    with pytest.raises(SweepError, match="cannot be read"):
        store.read(part)


def test_neighbours_are_put_together_before_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART_SECONDS", 1e9)
    monkeypatch.setattr(module, "_PART_ROWS", 10)
    store = PartStore(tmp_path)
    with PartWriter(store) as writer:
        for start in (8, 0, 4, 12, 20):
            writer.add(rows(start, start + 4, {1: f"E: {start}"}))
            if start == 4:
                # 12 rows wait: they are written, as one part.
                assert [(part.start, part.stop) for part in store.parts()] == [(0, 12)]
    assert [(part.start, part.stop) for part in store.parts()] == [(0, 12), (12, 16), (20, 24)]
    (_, table), *_ = store.tables()
    errors = table["error"].to_pylist()
    assert [place for place, error in enumerate(errors) if error] == [1, 5, 9]


def test_what_waits_is_written_when_the_sweep_is_interrupted(tmp_path: Path) -> None:
    store = PartStore(tmp_path)

    def interrupted() -> None:
        with PartWriter(store) as writer:
            writer.add(rows(0, 4))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert numbers_in(store) == [0, 1, 2, 3]


def test_what_a_killed_process_left_behind_is_removed_when_it_is_old(tmp_path: Path) -> None:
    old, young = tmp_path / "1.tmp", tmp_path / "2.tmp"
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 7_200,) * 2)
    PartStore(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["2.tmp"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SweepError, match="cannot be written"):
        PartStore(tmp_path / "file" / "sweep")
