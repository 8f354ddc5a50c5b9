"""A notebook's parameters: read without running anything, and nothing gets past them."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import NotebookError, ParametersRefused
from workbench.headless.annotations import type_of_annotation
from workbench.headless.parameters import NotebookParameters

MakeNotebook = Callable[..., Path]


def judge(schema: dict[str, Any]) -> Any:
    """Judged by the `jsonschema` package, which Prefect judges by; its import takes more than a second."""
    import jsonschema  # type: ignore[import-untyped]

    return jsonschema.Draft202012Validator(schema)


CELL = """\
# What to trade, and how.
import datetime

fast: int = 20  # bars of the fast average
# bars of the slow average,
# longer than fast
slow = 50
symbols = [
    "AAPL",
    "MSFT",
]  # tickers
fee: float = 1
start: datetime.date | None = "2010-01-04"
asof: datetime.datetime | None = None
side: Literal["long", "both"] = "long"
weights: dict[str, float] = {"AAPL": 0.5}
adjusted: "bool" = True  # noqa: X
account: str
"""


@pytest.fixture
def parameters(make_notebook: MakeNotebook) -> NotebookParameters:
    return NotebookParameters.from_notebook(make_notebook(CELL))


def test_the_cell_gives_names_types_defaults_and_comments(parameters: NotebookParameters) -> None:
    assert [(str(item), item.description) for item in parameters.items] == [
        ("fast: int = 20", "bars of the fast average"),
        ("slow: int = 50", "bars of the slow average, longer than fast"),
        ("symbols: list[str] = ['AAPL', 'MSFT']", "tickers"),
        ("fee: float = 1.0", ""),
        ("start: date | None = '2010-01-04'", ""),
        ("asof: datetime | None = None", ""),
        ("side: Literal['long', 'both'] = 'long'", ""),
        ("weights: dict[str, float] = {'AAPL': 0.5}", ""),
        ("adjusted: bool = True", ""),
        ("account: str", ""),
    ]


RANGES = """\
from typing import Annotated, Optional
import typing
from workbench.backtest import between
import workbench

fast: Annotated[int, between(2, 200)] = 20  # bars
slow: typing.Annotated[int | None, workbench.backtest.between(low=5, high=400, step=5)] = None
share: Annotated[float, between(0.01, 1, log=True)] = 1
windows: list[Annotated[int, between(1, 9)]] = [1, 2]
stop: Optional[Annotated[float, between(0.0, 0.5)]] = None
limits: dict[str, "Annotated[int, between(-5, 5)]"] = {"x": -5}
"""


@pytest.fixture
def ranges(make_notebook: MakeNotebook) -> NotebookParameters:
    return NotebookParameters.from_notebook(make_notebook(RANGES))


def test_a_range_is_read_from_the_words_that_strategies_use(ranges: NotebookParameters) -> None:
    exec(compile(RANGES, "cell", "exec"), {})  # the cell is ordinary Python, and runs
    assert [str(item) for item in ranges.items] == [
        "fast: int from 2 to 200 = 20",
        "slow: int from 5 to 400 | None = None",
        "share: float from 0.01 to 1 = 1.0",
        "windows: list[int from 1 to 9] = [1, 2]",
        "stop: float from 0.0 to 0.5 | None = None",
        "limits: dict[str, int from -5 to 5] = {'x': -5}",
    ]


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("fast", 1, "fast must be int from 2 to 200, got 1"),
        ("fast", 201, "fast must be int from 2 to 200, got 201"),
        ("fast", True, "fast must be int from 2 to 200, got bool True"),
        ("fast", None, "fast must be int from 2 to 200, got None"),
        ("slow", 4, r"slow must be int from 5 to 400 \| None, got 4"),
        ("share", 0.0099, "share must be float from 0.01 to 1, got 0.0099"),
        ("share", 2, "share must be float from 0.01 to 1, got 2.0"),
        ("share", float("nan"), "share must be a finite number"),
        ("windows", [1, 10], "windows item 2 must be int from 1 to 9, got 10"),
        ("stop", 0.51, "stop must be float from 0.0 to 0.5"),
        ("limits", {"y": 6}, "limits key 'y' must be int from -5 to 5, got 6"),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_python_the_command_line_and_the_schema(
    ranges: NotebookParameters, name: str, value: object, complaint: str
) -> None:
    with pytest.raises(ParametersRefused, match=complaint):
        ranges.validate({name: value})
    with pytest.raises(ParametersRefused, match=f"{name} (item . |key 'y' )?(must|is)"):
        ranges.parse([f"{name}={json.dumps(value)}" if value is not None else f"{name}=none"])
    if value == value:  # NaN is no JSON
        assert not judge(ranges.json_schema()).is_valid({name: value})


def test_the_schema_says_the_range_to_forms_and_to_people(ranges: NotebookParameters) -> None:
    shown = ranges.json_schema()["properties"]
    assert shown["fast"] | {"title": "", "position": 0} == {
        "title": "",
        "position": 0,
        "type": "integer",
        "minimum": 2,
        "maximum": 200,
        "default": 20,
        "description": "bars (2 to 200)",
    }
    assert shown["slow"]["anyOf"] == [{"type": "integer", "minimum": 5, "maximum": 400}, {"type": "null"}]
    assert shown["windows"]["description"] == "(each 1 to 9)"
    assert "0.01 to 1" in shown["share"]["description"]


def test_both_ends_of_a_range_are_allowed(ranges: NotebookParameters) -> None:
    ends: list[dict[str, Any]] = [
        {"fast": 2, "slow": 5, "share": 0.01, "windows": [1, 9], "stop": 0.0, "limits": {"a": 5}},
        {"fast": 200, "slow": 400, "share": 1.0, "windows": [], "stop": 0.5, "limits": {"a": -5}},
        {"slow": None, "stop": None},
    ]
    for values in ends:
        assert ranges.validate(values) == values
        assert judge(ranges.json_schema()).is_valid(values)


def test_reading_the_cell_runs_nothing_of_it(make_notebook: MakeNotebook, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    with pytest.raises(NotebookError, match=r"line 2: path: the default .* is an expression, not a literal"):
        NotebookParameters.from_notebook(
            make_notebook(f"fast = 1\npath = __import__('pathlib').Path({str(trap)!r}).touch()")
        )
    assert not trap.exists()


def test_a_notebook_without_such_a_cell_has_no_parameters(make_notebook: MakeNotebook) -> None:
    parameters = NotebookParameters.from_notebook(make_notebook(None, "fast = 20"))
    assert parameters.items == ()
    with pytest.raises(ParametersRefused, match=r"no parameter 'fast'.* It has no parameters"):
        parameters.validate({"fast": 1})


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("fast = 1\nfast = 2", "line 2: fast is assigned a second time"),
        ("a, b = 1, 2", "line 1: a parameters cell holds only lines like"),
        ("a = b = 1", "line 1: a parameters cell holds only"),
        ("if True:\n    a = 1", "line 1: a parameters cell holds only"),
        ("%matplotlib inline", "line 1: this is not Python"),
        ("a = 1\nb = (1, 2)", "line 2: b: a tuple is not a value a parameter can have; write a list"),
        ("a = 60 * 60", "line 1: a: the default '60 \\* 60' is an expression"),
        ("a = 1e999", "line 1: a: must be a finite number, got inf"),
        ("a: int = None", "line 1: a: must be int, got None"),
        ("a: int = '1'", "line 1: a: must be int, got str '1'"),
        ("a: tuple[int, ...] = (1,)", "line 1: a: the type tuple\\[int, ...\\] is none a parameter can have"),
        ("a: int | str = 1", "line 1: a: the type int | str is none"),
        ("a: set = {1}", "line 1: a: the type set is none"),
        ("api_key = 'x'", "line 1: api_key: this looks like a secret.* read it from the environment"),
        ("dbPassword: str | None = None", "dbPassword: this looks like a secret"),
        ("token: str", "token: this looks like a secret"),
        ("auth: str", "auth: this looks like a secret"),
        ("bearer = 'x'", "bearer: this looks like a secret"),
        ("github_pat = 'x'", "github_pat: this looks like a secret"),
        ("dsn = 'x'", "dsn: this looks like a secret"),
        ("brokerLogin: str", "brokerLogin: this looks like a secret"),
        ("a: Annotated[int, between(2, 9)] = 1", "line 1: a: must be int from 2 to 9, got 1"),
        ("a: Annotated[int, between(9, 2)] = 5", r"line 1: a: between\(9, 2\) is no range"),
        ("a: Annotated[int, between(2)] = 5", r"line 1: a: between\(2\) is no range"),
        ("a: Annotated[int, between(2, top)] = 5", r"line 1: a: between\(2, top\) is no range"),
        ("a: Annotated[int, between(False, 9)] = 5", r"a: between\(False, 9\): low: False is not a number"),
        ("a: Annotated[int, between('2', '9')] = 5", r"a: between\('2', '9'\): low: '2' is not a number"),
        ("a: Annotated[int, 'bars'] = 5", r"Annotated holds a type and one between\(low, high\)"),
        ("a: Annotated[int, Field(ge=2)] = 5", "Annotated holds a type and one between"),
        ("a: Annotated[int, between(**limits)] = 5", "Annotated holds a type and one between"),
        ("a: Annotated[str, between(2, 9)] = 'x'", r"between\(low, high\) is for one int or float"),
        ("a: Annotated[bool, between(0, 1)] = True", "is for one int or float"),
        ("a: Annotated[list[int], between(2, 9)] = []", r"list\[Annotated\[int, between\(2, 200\)\]\]"),
    ],
)
def test_a_line_that_is_no_parameter_is_refused_by_its_number(
    make_notebook: MakeNotebook, source: str, complaint: str
) -> None:
    with pytest.raises(NotebookError, match=rf"study\.ipynb, cell 1 \(its parameters\), .*{complaint}"):
        NotebookParameters.from_notebook(make_notebook(source))


def test_a_number_with_a_secrets_name_is_none(make_notebook: MakeNotebook) -> None:
    read = NotebookParameters.from_notebook(
        make_notebook("token_count = 5\nmax_tokens: int = 3\nsecretary = 'x'\nauthor = 'y'\npatience = 'z'")
    )
    assert read.names == ("token_count", "max_tokens", "secretary", "author", "patience")


def test_two_such_cells_and_the_output_of_a_run_are_refused(make_notebook: MakeNotebook) -> None:
    second = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "b = 1", "outputs": []}
    with pytest.raises(NotebookError, match=r"2 cells tagged .* \(1, 2\)"):
        NotebookParameters.from_notebook(make_notebook("a = 1", second))
    injected = second | {"metadata": {"tags": ["injected-parameters"]}}
    with pytest.raises(NotebookError, match="is the output of a run"):
        NotebookParameters.from_notebook(make_notebook("a = 1", injected))


def test_given_values_come_back_as_plain_json_and_defaults_fill_the_rest(
    parameters: NotebookParameters,
) -> None:
    given = {"fast": 10, "fee": 2, "symbols": [], "start": None, "account": "x"}
    assert parameters.validate(given) == given
    assert type(parameters.validate(given)["fee"]) is float
    assert parameters.complete(given) == {
        "fast": 10,
        "slow": 50,
        "symbols": [],
        "fee": 2.0,
        "start": None,
        "asof": None,
        "side": "long",
        "weights": {"AAPL": 0.5},
        "adjusted": True,
        "account": "x",
    }


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("fast", True, "fast must be int, got bool True"),
        ("fast", 20.0, "fast must be int, got float 20.0"),
        ("fast", "20", "fast must be int, got str '20'"),
        ("fast", 2**63, "fast is an integer beyond 64 bits"),
        ("fast", None, "fast must be int, got None"),
        ("fee", float("nan"), "fee must be a finite number, got nan"),
        ("fee", float("-inf"), "fee must be a finite number, got -inf"),
        ("fee", True, "fee must be float, got bool True"),
        ("fee", 2**53 + 1, "fee is an integer that no float holds exactly"),
        ("symbols", "AAPL", r"symbols must be list\[str\], got str 'AAPL' \(for example \[\"AAPL\"\]\)"),
        ("symbols", ("AAPL",), r"symbols must be list\[str\], got tuple"),
        ("symbols", ["AAPL", 1], "symbols item 2 must be str, got int 1"),
        ("weights", {"AAPL": "x"}, "weights key 'AAPL' must be float"),
        ("weights", {1: 0.5}, "weights must have strings as keys"),
        ("start", "20100104", 'start must be a date as "2010-01-31"'),
        (
            "asof",
            "2010-01-04",
            "asof must have a time zone, got '2010-01-04': put its offset from UTC behind",
        ),
        (
            "asof",
            datetime(2010, 1, 4),
            r'asof must have a time zone.*"2010-01-04T00:00:00\+00:00", or localise',
        ),
        ("asof", "noon", "asof must be a moment as \"2010-01-31T22:30:00\\+00:00\", got 'noon'"),
        (
            "asof",
            5,
            r"asof must be datetime \| None, got int 5 \(for example \"2010-01-31T22:30:00\+00:00\"\)",
        ),
        ("side", "short", "side must be one of 'long', 'both', got 'short'"),
        ("adjusted", 1, "adjusted must be bool, got int 1"),
        ("account", Path("x"), "account must be str, got PosixPath"),
        ("account", "a\0b", "account holds a NUL character"),
        ("account", "\ud800", "account holds half of a surrogate pair"),
    ],
)
def test_a_value_of_another_type_is_refused(
    parameters: NotebookParameters, name: str, value: object, complaint: str
) -> None:
    with pytest.raises(ParametersRefused, match=complaint) as refusal:
        parameters.validate({name: value})
    assert refusal.value.names == (name,)
    assert refusal.value.known == parameters.names


def test_one_refusal_names_every_problem_and_all_there_is(parameters: NotebookParameters) -> None:
    with pytest.raises(ParametersRefused) as refusal:
        parameters.validate({"fsat": 1, "slow": "x", "password": "hunter2"})
    message = str(refusal.value)
    assert refusal.value.names == ("fsat", "slow", "password")
    assert "there is no parameter 'fsat' (did you mean fast?)" in message
    assert "slow must be int" in message
    assert all(str(item) in message for item in parameters.items)
    assert "hunter2" not in message, "an unknown name may carry a secret"


def test_a_parameter_without_a_default_must_be_given(parameters: NotebookParameters) -> None:
    with pytest.raises(ParametersRefused, match="account has no default and must be given"):
        parameters.complete({"fast": 1})


def test_nesting_without_end_is_refused(make_notebook: MakeNotebook) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ParametersRefused, match="nested too deeply"):
        NotebookParameters.from_notebook(make_notebook("a = None")).validate({"a": endless})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("fast=20", 20),
        ("fast= -1_000 ", -1000),
        ("fee=1e-3", 0.001),
        ("symbols=AAPL, MSFT", ["AAPL", "MSFT"]),
        ('symbols=["AAPL"]', ["AAPL"]),
        ("symbols=", []),
        ('weights={"MSFT": 1}', {"MSFT": 1.0}),
        ("start=2012-02-29", "2012-02-29"),
        ("start=null", None),
        ("side=both", "both"),
        ("adjusted=False", False),
        ("account=a=b", "a=b"),
    ],
)
def test_a_command_lines_text_is_read_by_the_declared_type(
    parameters: NotebookParameters, text: str, value: object
) -> None:
    assert parameters.parse([text]) == {text.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (["fast"], "'fast' is not name=value"),
        (["fast=2.0"], "fast must be int, got '2.0'"),
        (["fee=nan"], "fee must be float, got 'nan'"),
        (["adjusted=maybe"], "adjusted must be bool, got 'maybe'"),
        (["symbols=[1"], r"symbols must be list\[str\] as JSON"),
        (["symbols=[1]"], "symbols item 1 must be str"),
        (["start=2012-02-30"], "start must be a date"),
        (["side=up"], "side must be one of"),
        (["slwo=1"], r"did you mean slow\?"),
        (["fast=1", "fast=2"], "fast is given twice"),
    ],
)
def test_a_command_lines_text_that_is_no_value_is_refused(
    parameters: NotebookParameters, texts: list[str], complaint: str
) -> None:
    with pytest.raises(ParametersRefused, match=complaint):
        parameters.parse(texts)


def test_the_schema_is_json_schema_and_draws_the_same_line(parameters: NotebookParameters) -> None:
    schema = parameters.json_schema()
    judge(schema).check_schema(schema)
    assert schema["required"] == ["account"]
    assert schema["properties"]["fast"] == {
        "title": "fast",
        "position": 0,
        "type": "integer",
        "default": 20,
        "description": "bars of the fast average",
    }
    assert judge(schema).is_valid(parameters.complete({"account": "x"}))
    for wrong in (
        {"fsat": 1},
        {"fast": "1"},
        {"fast": True},
        {"symbols": "AAPL"},
        {"side": "up"},
        {"start": 1},
    ):
        assert not judge(schema).is_valid({"account": "x", **wrong}), wrong
        with pytest.raises(ParametersRefused):
            parameters.validate(wrong)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(value=JSON_VALUES | st.text(alphabet="\"'\\\n\r{}$#;()`/.", max_size=20))
def test_whatever_is_accepted_reaches_the_notebook_as_that_value_and_as_nothing_else(value: object) -> None:
    """The oracle is Python: the source that papermill makes of a value is one assignment of that value."""
    from papermill.translators import PythonTranslator

    anything = type_of_annotation(ast.parse("Any", mode="eval").body)
    try:
        accepted = anything.check(value)
    except ValueError:
        return
    source = PythonTranslator.codify({"name": accepted})
    (statement,) = ast.parse(source).body
    assert isinstance(statement, ast.Assign)
    assert ast.literal_eval(statement.value) == accepted
    assert json.loads(json.dumps(accepted)) == accepted


@given(name=st.text(max_size=30).filter(lambda name: name != "fast"))
def test_no_name_but_a_declared_one_is_ever_accepted(name: str) -> None:
    cell = {"cell_type": "code", "source": "fast = 1", "metadata": {"tags": ["parameters"]}}
    parameters = NotebookParameters.from_document({"cells": [cell], "metadata": {}}, "study.ipynb")
    with pytest.raises(ParametersRefused):
        parameters.validate({name: 1})
    assert parameters.validate({"fast": 1}) == {"fast": 1}


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-27T17:30:00-05:00",
        "2026-11-27 22:30Z",
        "2026-11-27T22:30:00.000+00:00",
        datetime(2026, 11, 27, 17, 30, tzinfo=ZoneInfo("America/New_York")),
    ],
)
def test_a_moment_is_kept_in_utc(parameters: NotebookParameters, value: object) -> None:
    assert parameters.validate({"asof": value}) == {"asof": "2026-11-27T22:30:00+00:00"}
    assert parameters.parse(["asof=2026-11-27T17:30:00-05:00"]) == {"asof": "2026-11-27T22:30:00+00:00"}
    schema = parameters.json_schema()["properties"]["asof"]
    assert schema["anyOf"] == [{"type": "string", "format": "date-time"}, {"type": "null"}]


SLOT = datetime(2026, 11, 27, 17, 30, tzinfo=ZoneInfo("America/New_York"))


@pytest.mark.parametrize(
    ("declared", "values", "slot"),
    [
        ("slot: datetime | None = None", {}, "2026-11-27T22:30:00+00:00"),
        ("slot: str | None = None", {"slot": None}, "2026-11-27T22:30:00+00:00"),
        ("slot = None", {}, "2026-11-27T22:30:00+00:00"),
        # A value wins, a given one and a default; and what cannot hold a moment is left alone.
        ("slot: datetime | None = None", {"slot": "2026-11-20T00:00:00+00:00"}, "2026-11-20T00:00:00+00:00"),
        ("slot: str | None = 'upper'", {}, "upper"),
        ("slot: int | None = None", {}, None),
        ("slot: str = ''", {}, ""),
    ],
)
def test_a_run_for_a_slot_gives_it_to_the_parameter(
    make_notebook: MakeNotebook, declared: str, values: dict[str, Any], slot: str | None
) -> None:
    parameters = NotebookParameters.from_notebook(make_notebook(declared))
    assert parameters.with_slot(parameters.complete(values), SLOT) == {"slot": slot}


def test_without_a_parameter_slot_nothing_is_given(parameters: NotebookParameters) -> None:
    assert parameters.with_slot({"account": "x"}, SLOT) == {"account": "x"}
