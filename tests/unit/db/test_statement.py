"""A statement is taken apart as PostgreSQL's lexer would: parameters are found, look-alikes are not."""

from __future__ import annotations

import pytest

from workbench.db.query_errors import declared_columns, only_reads
from workbench.db.statement import parse
from workbench.errors import QueryError
from workbench.workbench import Workbench


@pytest.mark.parametrize(
    ("text", "sent", "names"),
    [
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1", ("a", "b")),
        ("SELECT :a::text", "SELECT $1::text", ("a",)),
        ("SELECT x>:a AND y=:b", "SELECT x>$1 AND y=$2", ("a", "b")),
        ("SELECT (:größe)", "SELECT ($1)", ("größe",)),
        ("SELECT ':a', '12:30', 'it''s :a', \"x:y\"", None, ()),
        ("SELECT E'\\':a', e'\\\\', :b", "SELECT E'\\':a', e'\\\\', $1", ("b",)),
        ("SELECT 'ends in a backslash \\', :a", "SELECT 'ends in a backslash \\', $1", ("a",)),
        ("SELECT $$ :a $$, $x$ :b $$ :c $x$, :d", "SELECT $$ :a $$, $x$ :b $$ :c $x$, $1", ("d",)),
        ("SELECT 1 -- :a\n, :b", "SELECT 1 -- :a\n, $1", ("b",)),
        ("SELECT /* :a /* :b */ :c */ :d", "SELECT /* :a /* :b */ :c */ $1", ("d",)),
        ("SELECT a[1:n], b[i:n], now()::date, f(x := 1)", None, ()),
        ("SELECT j->>'a:b', j @> '{\"a\": 1}' , '%s %(x)s'", None, ()),
        ("SELECT 'never closed :a", None, ()),
        ("SELECT 1; -- :a", "SELECT 1", ()),
        ("SELECT ';' ;; ", "SELECT ';' ", ()),
    ],
)
def test_parameters_are_found_and_what_only_looks_like_one_is_not(
    text: str, sent: str | None, names: tuple[str, ...]
) -> None:
    statement = parse(text)
    assert (statement.sent, statement.names) == (text if sent is None else sent, names)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("SELECT 1", "select"),
        ("-- a\n/* b */ ((Select 1))", "select"),
        ("with x AS (SELECT 1) TABLE x", "with"),
    ],
)
def test_the_first_word_is_what_a_statement_does(text: str, first: str) -> None:
    assert parse(text).first_word == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no statement"),
        (" -- nothing\n /* at all */ ; ", "there is no statement"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("SELECT 1; 2", "several statements"),
        ("SELECT 1; /* x */ DELETE FROM t", "several statements"),
        ("COMMIT; INSERT INTO t VALUES (1)", "several statements"),
        ("SELECT $1", "write :name"),
        ("SELECT 'a\x00b'", "NUL"),
    ],
)
def test_what_is_not_one_statement_is_refused(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        parse(text)


def test_a_place_in_what_was_sent_is_found_in_what_was_written() -> None:
    statement = parse("SELECT 1\nFROM t\nWHERE a = :symbol\n\tAND b = :start AND oops = 1")
    place = statement.position(statement.sent.index("oops"))
    assert statement.text[place:].startswith("oops")
    line, caret = statement.marked(place).splitlines()
    assert line == "line 4: \tAND b = :start AND oops = 1"
    assert line[: caret.index("^")].expandtabs() == line[: line.index("oops")].expandtabs()
    assert statement.position(statement.sent.index("$1")) == statement.text.index(":symbol")


def test_a_refused_write_names_the_method_that_writes() -> None:
    for text, method in (
        ("INSERT INTO data_ingestion.market_data VALUES (1)", "wb.data_ingestion.write_market_data(frame)"),
        (
            'update only strategy_engine."strategies" set name = 1',
            "wb.strategy_engine.write_strategies(frame)",
        ),
        ("DELETE FROM system_logs", "wb.logging.write_system_logs(frame)"),
        ("DROP TABLE x", "wb.<service>.write_<table>(frame)"),
    ):
        said = str(only_reads(parse(text)))
        assert said.endswith(f"wb.sql and %%sql only read; to write, use {method}")


def test_the_methods_that_a_refusal_names_exist() -> None:
    wb = Workbench()
    for table in ("data_ingestion.market_data", "strategy_engine.strategies", "logging.system_logs"):
        assert table in declared_columns()
        schema, _, name = table.partition(".")
        assert callable(getattr(getattr(wb, schema), f"write_{name}"))
