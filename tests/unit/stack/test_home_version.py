"""A home says which version has set it up; one of a newer version is refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.db.migrate import head
from workbench.errors import NewerHome
from workbench.stack.home_version import HomeVersion, note_version, read_version, refuse_newer
from workbench.version import __version__


def test_what_is_noted_is_read_and_accepted(tmp_path: Path) -> None:
    note_version(tmp_path, head())
    assert read_version(tmp_path) == HomeVersion(__version__, 1, head())
    refuse_newer(tmp_path, embedded=True)


@pytest.mark.parametrize(
    ("noted", "embedded", "refused"),
    [
        ({"workbench": "9.0", "layout": 1, "revision": "9999"}, True, True),
        # Another database than the one that was noted.
        ({"workbench": "9.0", "layout": 1, "revision": "9999"}, False, False),
        ({"workbench": "9.0", "layout": 2, "revision": None}, False, True),
        # A newer version without new migrations may be gone back from.
        ({"workbench": "9.0", "layout": 1, "revision": "0001"}, True, False),
    ],
)
def test_a_newer_home_is_one_that_this_version_cannot_read(
    tmp_path: Path, noted: dict[str, object], embedded: bool, refused: bool
) -> None:
    (tmp_path / "version.json").write_text(json.dumps(noted))
    if not refused:
        refuse_newer(tmp_path, embedded=embedded)
        return
    with pytest.raises(
        NewerHome, match=r"set up by workbench 9\.0.*update it: pip install.*db restore FILE"
    ) as said:
        refuse_newer(tmp_path, embedded=embedded)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"workbench": 1, "layout": "x", "revision": 1}'])
def test_without_a_readable_note_a_home_is_used(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "version.json").write_text(content)
    assert read_version(tmp_path) is None
    refuse_newer(tmp_path, embedded=True)
