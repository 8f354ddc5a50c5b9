"""A project's name, and its short form for servers that several projects use."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import SettingsError
from workbench.project.create import create_project
from workbench.project.name import project_key, project_name


def test_the_name_is_the_one_in_workbench_toml(tmp_path: Path) -> None:
    (tmp_path / "workbench.toml").write_text('[project]\nname = " my-fund "\n')
    assert project_name(tmp_path) == "my-fund"


@pytest.mark.parametrize("text", ["", "[project]\n", '[project]\nname = ""\n'])
def test_without_a_name_it_is_the_folders(tmp_path: Path, text: str) -> None:
    (tmp_path / "workbench.toml").write_text(text)
    assert project_name(tmp_path) == tmp_path.name


def test_a_new_project_is_called_like_its_folder(tmp_path: Path) -> None:
    assert project_name(create_project(tmp_path / 'a "b" fund')) == 'a "b" fund'


@pytest.mark.parametrize("text", ["[project\n", "[project]\nname = 3\n", "project = 1\n"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "workbench.toml").write_text(text)
    with pytest.raises(SettingsError, match=str(tmp_path / "workbench.toml")):
        project_name(tmp_path)


@pytest.mark.parametrize(
    ("name", "key"), [("my-fund", "my_fund"), ("alpha", "alpha"), ("q3-2026", "q3_2026")]
)
def test_words_joined_by_dashes_stay_readable(name: str, key: str) -> None:
    assert project_key(name) == key


NAMES = [
    *("my-fund", "my_fund", "My-Fund", "my fund", "my--fund", "-my-fund", "my-fund-", "myfund", "my.fund"),
    *("system", "prefect", "x", "x-prefect", "Xprefect", "東京", "大阪", "ünder", "under", "", "a" * 47),
    *("a" * 48, "a" * 200, "a" * 199 + "b", "project", "-", "_"),
]


def test_different_names_have_different_databases() -> None:
    databases = {f"trading_{project_key(name)}" for name in NAMES}
    both = databases | {f"{database}_prefect" for database in databases} | {"trading_system", "prefect"}
    assert len(databases) == len(NAMES)
    assert len(both) == 2 * len(NAMES) + 2


@pytest.mark.parametrize("name", NAMES)
def test_postgresql_takes_the_databases_name_as_it_is(name: str) -> None:
    longest = f"trading_{project_key(name)}_prefect"
    assert len(longest.encode()) <= 63
    assert longest.replace("_", "a").isalnum()
    assert longest == longest.lower()
    assert longest.isascii()
