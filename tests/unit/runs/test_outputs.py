"""What a run leaves is put below a URL whole or not at all, and fetched from there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import OutputsUnreachable, RunError, SettingsError
from workbench.runs import outputs as module
from workbench.runs.outputs import Outputs, fetch
from workbench.settings import Settings


@pytest.fixture
def left(tmp_path: Path) -> list[Path]:
    """What a run has left in its home."""
    folder = tmp_path / "home" / "runs" / "one"
    folder.mkdir(parents=True)
    paths = [folder / "my study.ipynb", folder / "my study.html"]
    for path in paths:
        path.write_text(path.suffix)
    return paths


def test_below_a_share_a_run_has_a_folder_and_the_record_its_paths(tmp_path: Path, left: list[Path]) -> None:
    share = tmp_path / "shared runs"
    share.mkdir()
    share_of = Outputs(f"{share.as_uri()}/")
    share_of.check()
    assert list(share.iterdir()) == []
    places = share_of.put("one", left)
    assert places == [str(share / "one" / path.name) for path in left]
    assert [Path(place).read_text() for place in places] == [".ipynb", ".html"]
    assert [path.name for path in sorted((share / "one").iterdir())] == ["my study.html", "my study.ipynb"]
    # Again, as by a second attempt to put them there.
    left[0].write_text("again")
    assert share_of.put("one", left) == places
    assert Path(places[0]).read_text() == "again"
    assert fetch(places[0], tmp_path / "elsewhere") == Path(places[0])


def test_below_another_protocol_the_record_has_urls_which_are_fetched_once(
    tmp_path: Path, left: list[Path]
) -> None:
    far = Outputs("memory://bucket/runs")
    far.check()
    places = far.put("one", left)
    assert places == [f"memory://bucket/runs/one/{path.name}" for path in left]
    folder = tmp_path / "another home" / "runs" / "one"
    fetched = fetch(places[0], folder)
    assert (fetched, fetched.read_text()) == (folder / left[0].name, ".ipynb")
    far.put("one", [left[1]])
    assert fetch(places[0], folder) == fetched
    assert [path.name for path in folder.iterdir()] == [left[0].name]
    with pytest.raises(RunError, match=r"there is no memory://bucket/runs/one/gone.html any more"):
        fetch("memory://bucket/runs/one/gone.html", folder)


def test_a_share_that_is_not_mounted_is_not_made(tmp_path: Path, left: list[Path]) -> None:
    away = Outputs((tmp_path / "away").as_uri())
    for tried in (away.check, lambda: away.put("one", left)):
        with pytest.raises(OutputsUnreachable, match=r"below file:///.*/away.*is the share mounted\?"):
            tried()
    assert not (tmp_path / "away").exists()


FULL = """
import resource, signal, sys
from pathlib import Path
from workbench.errors import OutputsUnreachable
from workbench.runs.outputs import Outputs
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    Outputs(sys.argv[1]).put("one", [Path(sys.argv[2])])
except OutputsUnreachable as error:
    print(error)
"""


def test_of_a_file_that_does_not_fit_nothing_is_there(tmp_path: Path, left: list[Path]) -> None:
    share = tmp_path / "share"
    share.mkdir()
    left[0].write_bytes(os.urandom(300_000))
    command = [sys.executable, "-c", FULL, share.as_uri(), str(left[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "File too large" in done.stdout
    assert [path for path in share.rglob("*") if path.is_file()] == []


def test_a_share_that_hangs_does_not_hang_the_run(left: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(OutputsUnreachable, match="no answer within"):
            Outputs(f"ftp://127.0.0.1:{port}/runs").put("one", left)
        monkeypatch.setattr(module, "_CHECK_SECONDS", 0.5)
        with pytest.raises(OutputsUnreachable, match="no answer within"):
            Outputs(f"ftp://127.0.0.1:{port}/runs").check()


def test_what_was_kept_on_another_machine_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="on another machine and kept its outputs there"):
        fetch("/home/other/.workbench/runs/one/study.html", tmp_path)


@pytest.mark.parametrize("value", ["file:///shared/runs", "file://localhost/shared/runs", "ftp://host/runs"])
def test_a_url_is_taken_and_runs_work_in_the_home(tmp_path: Path, value: str) -> None:
    settings = Settings.load(home=tmp_path, outputs=value)
    assert (settings.outputs_url, settings.runs_folder) == (value, tmp_path / "runs")


def test_a_folder_stays_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_OUTPUTS", str(tmp_path / "out"))
    settings = Settings.load(home=tmp_path)
    assert (settings.outputs_url, settings.runs_folder) == (None, tmp_path / "out")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("ftp://me:hush@host/runs", "contains a login or parameters"),
        ("s3://hush@bucket/runs", "contains a login or parameters"),
        ("s3://bucket/runs?secret=hush", "contains a login or parameters"),
        ("gopher://host/runs", "outputs cannot be put below gopher://"),
        ("memory://bucket", "outputs cannot be put below memory://"),
        ("simplecache::file:///shared", "cannot be put below"),
        ("file://shared/runs", "expected three slashes"),
        ("ftp:///runs", "expected ftp://, and then a bucket or a host"),
        ("oss://bucket/runs", "needs the package ossfs, which is not installed here: pip install ossfs"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("WORKBENCH_OUTPUTS", value)
    with pytest.raises(SettingsError, match=r"^WORKBENCH_OUTPUTS: ") as refusal:
        Settings.load(home=tmp_path)
    assert said in str(refusal.value)
    assert "hush" not in str(refusal.value)
