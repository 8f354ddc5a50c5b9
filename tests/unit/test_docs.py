"""The documentation names nothing that is not there: links, commands, targets, settings, methods."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import shlex
import textwrap
import typing
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import Settings, Workbench
from workbench.events import DataSyncEventBus
from workbench.promotion.runs import Runs
from workbench.runs.trials import TrialStore
from workbench.services.analytics import AnalyticsService
from workbench.services.data_ingestion import DataIngestionService
from workbench.services.execution import ExecutionService
from workbench.services.logging import LoggingService
from workbench.services.notification import NotificationService
from workbench.services.risk_management import RiskManagementService
from workbench.services.strategy_engine import StrategyEngineService

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ALL_PAGES = [*PAGES, ROOT / "CHANGELOG.md"]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]

FENCE = re.compile(r"^ *```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
# What `Workbench` names in its annotations and imports only when it is used.
_LOADED_WHEN_USED = {
    kind.__name__: kind
    for kind in (
        AnalyticsService,
        DataIngestionService,
        DataSyncEventBus,
        ExecutionService,
        LoggingService,
        NotificationService,
        RiskManagementService,
        Runs,
        Settings,
        StrategyEngineService,
        TrialStore,
    )
}
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


@functools.cache
def command_line() -> typing.Any:
    """The command `workbench` as Typer builds it."""
    with warnings.catch_warnings():
        # The Typer that Prefect 3.4.14 allows imports what newer Clicks call deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        import typer

        from workbench.cli import app

        return typer.main.get_command(app)


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, *languages: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [textwrap.dedent(f["body"]) for f in FENCE.finditer(text) if f["language"] in languages]


def typed(page: Path, program: str) -> Iterator[list[str]]:
    """What the page says to type after `program`: in shell blocks and in code spans, without comments."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *SPAN.findall(prose(page))]:
        for part in re.split(r"\s+#\s|;|&&", line)[:1]:
            words = part.strip().removeprefix(".venv/bin/")
            if words.partition(" ")[0] == program and "=" not in words.partition(" ")[0]:
                yield shlex.split(words)[1:]


def leaves(command: typing.Any, path: str = "workbench") -> Iterator[str]:
    """Every command that does something, by its whole name."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from leaves(inner, f"{path} {name}")
    else:
        yield path


def refusal(words: list[str]) -> str | None:
    """What is wrong with a `workbench …` command line; None where nothing is."""
    command = command_line()
    words = list(words)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if command.name == "promote" and words[0] not in command.commands:
            # A notebook needs no word of its own.
            words.insert(0, "notebook")
        if words[0] not in command.commands:
            return f"there is no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    if command.name == "promote" and words:
        command = command.commands["notebook"]
    known = {option for parameter in command.params for option in getattr(parameter, "opts", [])}
    known |= {option for parameter in command.params for option in getattr(parameter, "secondary_opts", [])}
    known |= {"--help", "-h"}
    if command.context_settings.get("ignore_unknown_options"):
        return None
    unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]
    return f"{command.name} has no option {unknown[0]}" if unknown else None


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in LINK.finditer(page.read_text(encoding="utf-8")):
        target, _, anchor = link["target"].partition("#")
        if target.startswith(("http://", "https://")):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = HEADING.findall(there.read_text(encoding="utf-8"))
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.name)
def test_every_command_named_exists(page: Path) -> None:
    refused = {" ".join(words): refusal(words) for words in typed(page, "workbench")}
    assert {line: why for line, why in refused.items() if why} == {}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_make_target_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for words in typed(page, "make") for word in words if "=" not in word}
    assert named <= targets


def test_the_readme_lists_every_command_and_no_other() -> None:
    section = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Commands\n")[2].partition("\n## ")[0]
    )
    rows = re.findall(r"^\| `(workbench [^`]+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(leaves(command_line()))


def test_the_options_in_the_table_of_commands_are_those_of_their_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, what in re.findall(r"^\| `workbench ([^`]+)` \| (.+) \|$", text, re.MULTILINE):
        for option in re.findall(r"`(--[a-z-]+)`", what):
            assert refusal([*name.split(), option]) is None


def test_every_setting_is_documented_and_no_other() -> None:
    variables = {
        str(field.validation_alias or f"WORKBENCH_{name.upper()}")
        for name, field in Settings.model_fields.items()
    }
    text = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)) == variables


def test_every_name_in_the_tree_of_the_repository_exists() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Where things lie\n")[2]
    names = re.findall(r"^(\S+/) ", section.partition("```text")[2].partition("```")[0], re.MULTILINE)
    # The home is made at the first start.
    assert [name for name in names if name != ".workbench/" and not (ROOT / name).is_dir()] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_python_snippets_compile_and_call_what_there_is(page: Path) -> None:
    for snippet in blocks(page, "python"):
        compile(snippet, page.name, "exec")
        for node in ast.walk(ast.parse(snippet)):
            if isinstance(node, ast.Call):
                check_call(node)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_methods_named_in_prose_exist(page: Path) -> None:
    for span in SPAN.findall(prose(page)):
        name = re.match(r"wb((?:\.\w+)+)", span)
        # `wb.<service>.load_<table>` stands for many.
        if name and "<" not in span:
            member(name[1].strip(".").split("."))


def check_call(call: ast.Call) -> None:
    """A call of a method of `wb` names a method, and parameters, that there are."""
    path: list[str] = []
    node: ast.expr = call.func
    while isinstance(node, ast.Attribute):
        path.insert(0, node.attr)
        node = node.value
    if not (isinstance(node, ast.Name) and node.id == "wb" and path):
        return
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        member(path)
        return
    named = {keyword.arg: None for keyword in call.keywords if keyword.arg is not None}
    inspect.signature(member(path)).bind(None, *call.args, **named)


def member(path: list[str]) -> typing.Any:
    """What `wb.<path>` is, found by the declared types; AttributeError where there is no such thing."""
    owner: typing.Any = Workbench
    for name in path:
        found = inspect.getattr_static(owner, name)
        if isinstance(found, functools.cached_property | property):
            function = found.func if isinstance(found, functools.cached_property) else found.fget
            owner = typing.get_type_hints(function, localns=_LOADED_WHEN_USED)["return"]
        else:
            owner = found
    return owner
