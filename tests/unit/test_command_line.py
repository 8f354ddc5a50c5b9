"""What is typed wrongly is told in one sentence, before anything is started."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.cli import app, main
from workbench.cli.usage import command_of
from workbench.version import __version__

Say = Callable[..., tuple[int, str, str]]


def _leaves(command: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, by the words that name it."""
    commands = getattr(command, "commands", {})
    if not commands:
        yield names, command
    for name, inner in commands.items():
        yield from _leaves(inner, *names, name)


LEAVES = dict(_leaves(command_of(app)))
REQUIRED = [
    pytest.param(names, parameter.name, id=f"{' '.join(names)} {parameter.name}")
    for names, command in LEAVES.items()
    for parameter in command.params
    if parameter.required
]
# What psql is told beside its own options is for psql.
STRICT = [names for names in LEAVES if names != ("db", "psql")]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """`workbench WORDS`, in this process: the exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["workbench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def _sentence(answer: tuple[int, str, str]) -> str:
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.startswith("error: workbench")
    assert err.count("\n") == 1
    return err


def _words(command: Any, *, without: str) -> list[str]:
    """All required words of a command but one."""
    words = []
    for parameter in command.params:
        if parameter.required and parameter.name != without:
            words += [parameter.opts[0], "x"] if parameter.opts[0].startswith("-") else ["x"]
    return words


@pytest.mark.parametrize(("names", "missing"), REQUIRED)
def test_each_required_word_that_is_missing_is_named(say: Say, names: tuple[str, ...], missing: str) -> None:
    said = _sentence(say(*names, *_words(LEAVES[names], without=missing)))
    options = [option for one in LEAVES[names].params if one.name == missing for option in one.opts]
    name = options[0] if options[0].startswith("--") else missing.upper()
    assert f"workbench {' '.join(names)} needs {name} (" in said


DEPLOYMENTS = (
    *("show", "versions", "diff", "next", "runs", "rollback", "pause", "resume", "retire"),
    *("compare", "cut-over", "drop-shadow"),
)


def test_there_are_commands_with_required_words() -> None:
    assert {str(parameter.id).rpartition(" ")[0] for parameter in REQUIRED} == {
        "init",
        "ingest",
        "run",
        "promote notebook",
        "promote ingest",
        "backfill",
        "runs show",
        "runs open",
        "runs rerun",
        "deployments parity",
        "runs of",
        "why",
        "db restore",
        *(f"deployments {word}" for word in DEPLOYMENTS),
    }


@pytest.mark.parametrize("names", STRICT, ids=" ".join)
def test_an_unknown_option_is_named(say: Say, names: tuple[str, ...]) -> None:
    words = _words(LEAVES[names], without="")
    assert f"workbench {' '.join(names)} has no option --nope" in _sentence(say(*names, *words, "--nope"))


@pytest.mark.parametrize("names", LEAVES, ids=" ".join)
def test_help_tells_every_option_and_no_default_that_is_none(say: Say, names: tuple[str, ...]) -> None:
    code, out, err = say(*names, "--help")
    assert (code, err) == (0, "")
    assert "None" not in out
    for parameter in LEAVES[names].params:
        assert (parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name) in out
    for parameter in LEAVES[names].params:
        assert parameter.help, f"{parameter.name} is not described"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runz"], "workbench has no command runz (did you mean run or runs?); it has: init, demo, lab, up"),
        (["runs"], "workbench runs needs one of its commands: list, reap, open, show"),
        (["runs", "shw"], "workbench runs has no command shw (did you mean show?)"),
        (["run", "x", "--jsn"], "workbench run has no option --jsn (did you mean --json?)"),
        (["run", "x", "y"], "workbench run cannot be run so: got unexpected extra argument"),
        (
            ["run", "x", "--timeout"],
            "workbench run cannot be run so: option '--timeout' requires an argument",
        ),
        (["runs", "list", "--latest", "x"], "invalid value for '--latest': "),
    ],
)
def test_what_was_meant_is_guessed(say: Say, words: list[str], said: str) -> None:
    assert said in _sentence(say(*words))


def test_alone_it_shows_what_there_is_to_type(say: Say) -> None:
    code, out, err = say()
    assert (code, err) == (0, "")
    assert "promote" in out


@pytest.mark.parametrize(
    "words",
    [["runs", "list"], ["status"], ["doctor"], ["up", "--detach"], ["db", "current"], ["down"]],
    ids=" ".join,
)
def test_a_home_that_cannot_be_used_is_one_sentence(
    say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "run").write_text("where a folder should be")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    code, out, err = say(*words)
    assert (code, out) == (1, "")
    (said,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert str(tmp_path) in said
    monkeypatch.setenv("WORKBENCH_HOME", "/dev/null")
    code, out, err = say(*words)
    assert (code, out, err) == (
        1,
        "",
        "error: WORKBENCH_HOME: /dev/null cannot be a folder, because it is a file; name another one\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        ("run", "a.ipynb", "--timeout", "-5"),
        ("promote", "a.ipynb", "--name", "a", "--cron", "* * * * *", "--timezone", "UTC", "--timeout", "0"),
        ("events", "tail", "--latest", "-3"),
    ],
)
def test_numbers_that_make_no_sense_are_told(say: Say, words: tuple[str, ...]) -> None:
    assert f"invalid value for '{words[-2]}'" in _sentence(say(*words))


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_told_and_nothing_else_is_done(say: Say, option: str) -> None:
    assert say(option) == (0, f"workbench {__version__}\n", "")
