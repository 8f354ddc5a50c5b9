"""`%sql` and `%%sql` in a real IPython shell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tests.conftest import Connection
from tests.integration.conftest import MakeBars
from workbench import Settings, Workbench
from workbench.errors import PermissionRefused, QueryError

BARS = "data_ingestion.market_data"


@pytest.fixture(scope="module")
def bare_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteractiveShell]:
    """IPython without a history file, as a kernel runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        quiet = Config()
        quiet.HistoryManager.enabled = False
        shell = InteractiveShell.instance(config=quiet)
        yield shell
        InteractiveShell.clear_instance()


@pytest.fixture
def shell(bare_shell: InteractiveShell, wb: Workbench, make_bars: MakeBars) -> Iterator[InteractiveShell]:
    """A notebook that has loaded the extension and has a `wb` with three bars of two symbols each."""
    bare_shell.reset()
    for symbol in ("AAPL", "IBM"):
        wb.data_ingestion.write_market_data(make_bars(symbol, days=3), source="file")
    bare_shell.user_ns["wb"] = wb
    bare_shell.run_line_magic("load_ext", "workbench")
    yield bare_shell
    bare_shell.run_line_magic("unload_ext", "workbench")


@pytest.fixture
def run(shell: InteractiveShell) -> Callable[[str], Any]:
    """`run(cell)`: what the cell shows; its error is raised."""

    def one(cell: str) -> Any:
        done = shell.run_cell(cell)
        done.raise_error()
        return done.result

    return one


Run = Callable[[str], Any]


def test_a_statement_shows_a_typed_frame(run: Run) -> None:
    for cell in (
        f"%sql SELECT symbol, timestamp, close FROM {BARS} ORDER BY 1, 2",
        f"%%sql\nSELECT symbol, timestamp, close\nFROM {BARS}\nORDER BY 1, 2;\n",
        f"%%sql SELECT symbol, timestamp, close\nFROM {BARS} ORDER BY 1, 2",
        f"%%sql SELECT\nsymbol, timestamp, close FROM {BARS} ORDER BY 1, 2",
    ):
        frame = run(cell)
        assert [str(dtype) for dtype in frame.dtypes] == ["str", "datetime64[us, UTC]", "float64"]
        assert frame["close"].tolist() == [10.0, 11.0, 12.0] * 2


@pytest.mark.parametrize(
    "cell",
    [
        f"%%sql bars\nSELECT * FROM {BARS}",
        f"%%sql bars <<\nSELECT * FROM {BARS}",
        f"%%sql bars << SELECT *\nFROM {BARS}",
        f"%%sql\nbars << SELECT * FROM {BARS}",
        f"%sql bars << SELECT * FROM {BARS}",
        f"bars = %sql SELECT * FROM {BARS}",
    ],
)
def test_a_frame_goes_into_a_variable_instead(run: Run, shell: InteractiveShell, cell: str) -> None:
    assert run(cell) is None
    assert len(shell.user_ns["bars"]) == 6


def test_parameters_are_the_notebook_s_variables(run: Run) -> None:
    run("symbol, symbols, first = 'IBM', ['IBM', 'AAPL'], '2024-01-02'")
    assert run(f"%sql SELECT DISTINCT symbol FROM {BARS} WHERE symbol = :symbol").iloc[0, 0] == "IBM"
    found = run(f"%%sql\nSELECT * FROM {BARS} WHERE symbol = ANY(:symbols) AND timestamp >= :first")
    assert len(found) == 4
    run("def of(symbol):\n    return get_ipython().run_line_magic('sql', 'SELECT :symbol AS x')\n")
    assert run("of('a local one')").loc[0, "x"] == "a local one"


def test_a_variable_is_never_part_of_the_statement(run: Run) -> None:
    run("symbol = \"x' OR '1'='1\"")
    assert run(f"%sql SELECT * FROM {BARS} WHERE symbol = :symbol").empty
    # IPython would put variables into a line; here it does not.
    for text in ("{symbol}", "$symbol", "${symbol}"):
        assert run(f"%sql SELECT '{text}' AS x").loc[0, "x"] == text
        assert run(f"%%sql\nSELECT '{text}' AS x").loc[0, "x"] == text


def test_options_stand_before_the_statement(run: Run) -> None:
    with pytest.raises(QueryError, match="more than 5 rows"):
        run(f"%%sql --max-rows 5\nSELECT * FROM {BARS}")
    assert len(run(f"%sql --max-rows=6 --timeout 5 SELECT * FROM {BARS}")) == 6
    with pytest.raises(QueryError, match="returns more than 300 bytes"):
        run(f"%%sql --max-bytes 300\nSELECT timestamp, open, close FROM {BARS}, generate_series(1, 10)")
    run(f"%%sql --timeout 5.5 bars\nSELECT * FROM {BARS} -- --timeout 0")
    with pytest.raises(QueryError, match="--timeout soon: expected a number"):
        run("%sql --timeout soon SELECT 1")
    with pytest.raises(Exception, match=r"longer than its 0\.1 s"):
        run("%sql --timeout 0.1 SELECT pg_sleep(60)")


@pytest.mark.parametrize("statement", [f"DELETE FROM {BARS}", f"UPDATE {BARS} SET close = 1", "SET ROLE x"])
def test_writes_are_refused_with_what_writes(run: Run, statement: str) -> None:
    for cell in (f"%sql {statement}", f"%%sql\n{statement}"):
        with pytest.raises(PermissionRefused, match=r"%%sql only read; to write, use wb\."):
            run(cell)
    assert len(run(f"%sql SELECT * FROM {BARS}")) == 6


def test_an_error_shows_as_one_sentence_and_the_place_without_a_traceback(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_cell(f"%%sql\nSELECT clsoe\nFROM {BARS}")
    shown = capsys.readouterr().out.rstrip("\n")
    said, empty, line, caret = shown.splitlines()
    assert said == 'QueryError: column "clsoe" does not exist; did you mean close?'
    assert (empty, line, caret) == ("", "line 1: SELECT clsoe", "               ^")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%sql SELECT :nothing", ":nothing, which is not a variable of the notebook"),
        ("timeout = 3\n%sql SELECT :timeout", "cannot be called :timeout"),
        ("%sql SELECT 1; SELECT 2", "several statements"),
        ("%sql name <<", None),
    ],
)
def test_what_cannot_be_run_is_said(run: Run, shell: InteractiveShell, cell: str, said: str | None) -> None:
    if said is None:
        # No statement: the tables, in a variable.
        run(cell)
        assert "market_data" in set(shell.user_ns["name"]["table"])
        return
    with pytest.raises(QueryError, match=said):
        run(cell)


def test_alone_it_lists_the_tables_with_about_how_many_rows(run: Run, admin: Connection) -> None:
    admin.execute("ANALYZE")
    listed = run("%sql").set_index(["schema", "table"])
    assert listed.loc[("data_ingestion", "market_data"), "rows_about"] == 6
    assert listed.loc[("data_ingestion", "ingestion_status"), "rows_about"] == 2
    assert listed.loc[("strategy_engine", "strategies"), "rows_about"] == 0
    assert not [schema for schema, _ in listed.index if schema.startswith("pg_")]
    # A partition is part of its table, and Alembic's own table is nobody's to read.
    partitions = [table for _, table in listed.index if table.startswith("market_data_")]
    assert partitions == ["market_data_history"]  # a table of its own


def test_without_a_workbench_in_the_notebook_it_makes_one(
    run: Run, shell: InteractiveShell, database_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    del shell.user_ns["wb"]
    monkeypatch.setattr(Settings, "load", classmethod(lambda cls: database_settings))
    assert len(run(f"%sql SELECT * FROM {BARS}")) == 6
    assert "wb" not in shell.user_ns
    run("from workbench import Settings, Workbench\nmine = Workbench(Settings.load())")
    assert len(run(f"%sql SELECT * FROM {BARS}")) == 6
    assert "readonly" in shell.user_ns["mine"].session._pools
    run("mine.close()")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%sql SELECT * FROM data_ing", "data_ingestion.market_data"),
        (f"%sql SELECT * FROM {BARS} WHERE sym", "symbol"),
        ("bars = %sql SELECT * FROM strategy_engine.strategy_s", "strategy_engine.strategy_signals"),
        (f"%%sql\nSELECT *\nFROM {BARS}\nWHERE clo", "close"),
        (f"%%sql\nSELECT {BARS}.clo", f"{BARS}.close"),
    ],
)
def test_tab_completes_tables_and_columns(shell: InteractiveShell, typed: str, offered: str) -> None:
    assert offered in _completions(shell, typed)


@pytest.mark.parametrize("typed", ["data_ing", "x = 5 % sql\ndata_ing", "symbol = 1\nsym"])
def test_tab_elsewhere_offers_no_tables(shell: InteractiveShell, typed: str) -> None:
    assert not [name for name in _completions(shell, typed) if "." in name]


def _completions(shell: InteractiveShell, typed: str) -> list[str]:
    with provisionalcompleter():
        found = list(shell.Completer.completions(typed, len(typed)))
    return [one.text for one in found]


def test_unloaded_it_is_gone(bare_shell: InteractiveShell) -> None:
    bare_shell.run_line_magic("load_ext", "workbench")
    bare_shell.run_line_magic("unload_ext", "workbench")
    assert bare_shell.find_line_magic("sql") is None
    assert bare_shell.find_cell_magic("sql") is None


def test_the_frame_shows_as_a_table(run: Run) -> None:
    frame = run(f"%sql SELECT symbol, close FROM {BARS} LIMIT 1")
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == ["symbol", "close"]
