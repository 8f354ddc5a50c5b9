"""`workbench.toml`: what is in it is read; what cannot be meant is refused by section, key and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.errors import SettingsError
from workbench.paths import PACKAGE, shipped
from workbench.project.file import ProjectFile, named_variables, project_file
from workbench.project.keys import KEYS
from workbench.settings import Settings

Read = Callable[[str], ProjectFile]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """A `workbench.toml` of that text, read from the folder of the project."""
    monkeypatch.chdir(tmp_path)

    def of(text: str) -> ProjectFile:
        (tmp_path / "workbench.toml").write_bytes(text.encode())
        found = project_file()
        assert found is not None
        return found

    return of


def test_every_key_is_read_and_folders_are_relative_to_the_file(read: Read, tmp_path: Path) -> None:
    file = read(
        '[project]\nname = "fund"\nhome = "state/home"\noutputs = "../out"\n'
        '[servers]\ndatabase = "FUND_DATABASE_URL"\n[pools]\nsize = 2\n[cache]\nsize = 0\n'
    )
    assert {str(key): value for key, value in file.values.items()} == {
        "[project] name": "fund",
        "[project] home": str(tmp_path / "state" / "home"),
        "[project] outputs": str(tmp_path.parent / "out"),
        "[servers] database": "FUND_DATABASE_URL",
        "[pools] size": 2,
        "[cache] size": 0,
    }
    assert named_variables() == {"FUND_DATABASE_URL"}


def test_an_empty_file_sets_nothing(read: Read) -> None:
    assert read("").values == {}
    assert read("\ufeff[project]\r\n").values == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[defaults]\n\nsorce = "yahoo"', r"\[defaults\] sorce \(line 3\): .* \(did you mean source\?\)"),
        ('[default]\nsource = "yahoo"', r"\[default\] \(line 1\): .* \(did you mean \[defaults\]\?\)"),
        ("[defaults.deeper]\nx = 1", r"\[defaults\] deeper: there is no such key"),
        ('[project]\ncurrency = "USD"', r"\[project\] currency \(line 2\): .*mean \[defaults\] currency\?"),
        (
            'source = "yahoo"',
            r": source \(line 1\): it stands outside of any section; put it below \[defaults\]",
        ),
        ('pools = "many"', r": pools \(line 1\): it is a section: write \[pools\]"),
        (
            "nonsense = 1",
            r": nonsense \(line 1\): there is no such key; keys stand in sections: \[project\],",
        ),
        ('[pools]\nsize = "many"', r"\[pools\] size \(line 2\): expected a whole number \(got 'many'\)"),
        ("[pools]\nsize = true", r"\[pools\] size \(line 2\): expected a whole number \(got True\)"),
        (
            "[defaults]\ncalendar = 24",
            r"\[defaults\] calendar \(line 2\): expected text in quotes \(got 24\)",
        ),
        ('[project]\nhome = ""', r"\[project\] home \(line 2\): expected a folder.*remove the line"),
        ("[cache]\nsize = 1.5", r'\[cache\] size \(line 2\): expected a number of bytes, such as "4GB"'),
        ("[defaults\n", r"is not TOML: .*line 1"),
        ("[pools]\nsize = 1\nsize = 2\n", r"is not TOML: cannot overwrite a value \(at .*\)"),
        ('defaults.sorce = "x"', r"\[defaults\] sorce: there is no such key \(did you mean source\?\)"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(
    read: Read, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        read(text)
    assert str(caught.value).startswith(str(tmp_path / "workbench.toml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ['"postgresql://u:Canary7@db"', '"admin:Canary7"', "7", '["Canary7"]'])
def test_a_url_or_password_in_the_file_is_refused_and_not_shown(read: Read, value: str) -> None:
    with pytest.raises(
        SettingsError, match=r"\[servers\] database \(line 2\): .*no URL or password"
    ) as caught:
        read(f"[servers]\ndatabase = {value}")
    assert "Canary7" not in str(caught.value)


def test_a_file_that_is_no_text_is_named(read: Read, tmp_path: Path) -> None:
    (tmp_path / "workbench.toml").write_bytes(b'[project]\nname = "\xff"')
    with pytest.raises(SettingsError, match=r"workbench\.toml is not UTF-8"):
        project_file()


def test_every_key_sets_a_setting_that_there_is() -> None:
    assert {key.setting for key in KEYS if key.setting} <= set(Settings.model_fields)
    assert [str(key) for key in KEYS if not key.setting] == ["[project] name"]


@pytest.mark.parametrize("path", [shipped("template") / "workbench.toml", PACKAGE.parent / "workbench.toml"])
def test_the_files_that_there_are_list_every_key_with_its_default(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    lines = path.read_text().splitlines()
    keys = [line.removeprefix("# ") for line in lines if line.startswith(("# [", "[")) or " = " in line]
    file = read("\n".join(keys))
    assert set(file.values) == set(KEYS)
    for key in KEYS:
        if key.kind == "variable":
            monkeypatch.setenv(
                str(file.values[key]), {"redis": "redis://h"}.get(key.name, "postgresql://u@h")
            )
    uncommented = Settings.load()
    (tmp_path / "workbench.toml").write_text(path.read_text())
    as_it_is = Settings.load()
    assert {origin.kind for origin in as_it_is.origins.values()} == {"default"}
    for key in KEYS:
        default = getattr(as_it_is, key.setting or "home")
        if default is not None and key.setting:
            assert getattr(uncommented, key.setting) == default
    assert uncommented.runs_folder == as_it_is.runs_folder
