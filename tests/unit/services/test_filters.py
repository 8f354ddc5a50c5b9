"""What a loader is given as a filter becomes a condition of its query, or an error that names it."""

from __future__ import annotations

import inspect
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa

from tests.unit.services.classes import CLASSES
from workbench.errors import EmptyRange, QueryError
from workbench.marketdata.cache import BarCache
from workbench.runs import NO_RUN
from workbench.services.filters import as_range, matching, of_run, span
from workbench.services.service import Service
from workbench.tables.execution import orders
from workbench.tables.strategy_engine import strategy_performance

LOADERS = sorted(
    (kind.name, loader) for kind in CLASSES.values() for loader in dir(kind) if loader.startswith("load_")
)


class _Asked(Exception):
    """A loader has made its query and wants a connection."""


class _NoPool:
    def begin(self, _what: str) -> NoReturn:
        raise _Asked

    snapshot = begin


def _names(loader: Any) -> list[str]:
    """The arguments that hold names: those whose annotation says so."""
    parameters = inspect.signature(loader).parameters.values()
    return [one.name for one in parameters if one.annotation in {"Strings | None", "str | None"}]


def _service(name: str, tmp_path: Any) -> Service:
    further: list[Any] = [BarCache(tmp_path, 0)] if name == "data_ingestion" else []
    return CLASSES[name](_NoPool(), NO_RUN, *further)  # type: ignore[arg-type]


def sql(conditions: list[sa.ColumnElement[bool]]) -> str:
    return str(sa.and_(sa.true(), *conditions).compile(compile_kwargs={"literal_binds": True}))


@pytest.mark.parametrize(("service", "loader"), LOADERS)
def test_a_loader_filters_by_columns_that_its_table_has(service: str, loader: str, tmp_path: Any) -> None:
    load = getattr(_service(service, tmp_path), loader)
    with pytest.raises(_Asked):
        load()


@pytest.mark.parametrize(("service", "loader"), LOADERS)
def test_what_is_no_name_is_refused_by_the_arguments_own_name(
    service: str, loader: str, tmp_path: Any
) -> None:
    load = getattr(_service(service, tmp_path), loader)
    # Of bars, the source and the method are compared with what there is.
    for name in set(_names(load)) - ({"source", "adjust"} if loader == "load_market_data" else set()):
        for wrong in (5, ["", "IBM"], [None]):
            with pytest.raises(QueryError, match=rf"^{name}=.*: expected a name, or a list of names$"):
                load(**{name: wrong})
        for impossible in ("\ud800", ["IBM", "a\0b"]):
            with pytest.raises(QueryError, match=rf"^{name}='.*': no row has this value; text in PostgreSQL"):
                load(**{name: impossible})


def test_a_column_that_the_table_does_not_have_is_an_error_for_any_value() -> None:
    for value in ("IBM", None):
        with pytest.raises(KeyError, match="ticker"):
            matching(orders, ticker=value)


def test_each_column_takes_one_value_or_several_and_none_is_no_condition() -> None:
    conditions = matching(orders, symbol="IBM", account_id=["b", "a", "b"], side=None)
    assert sql(conditions) == (
        "execution.orders.symbol IN ('IBM') AND execution.orders.account_id IN ('b', 'a')"
    )


def test_no_names_at_all_match_no_row() -> None:
    assert sql(matching(orders, symbol=[])).endswith(" AND (1 != 1)")


def test_what_an_enum_does_not_have_is_refused_with_what_it_has() -> None:
    with pytest.raises(QueryError, match=r"^side=.bought. is none of buy, sell$"):
        matching(orders, side=["buy", "bought"])


def test_a_range_is_of_dates_for_a_column_of_dates_and_of_moments_for_one_of_timestamps() -> None:
    assert sql(span(strategy_performance.c.date, "2024-01-31", None)).endswith(".date >= '2024-01-31'")
    assert sql(span(orders.c.created_at, None, "2024-01-31 12:00")).endswith(
        ".created_at < '2024-01-31 12:00:00+00:00'"
    )
    assert as_range(None, None) == (None, None)
    with pytest.raises(EmptyRange, match=r"\[2024-01-31, 2024-01-31\) is empty"):
        span(orders.c.created_at, "2024-01-31", "2024-01-31")


def test_a_run_is_known_by_its_id_or_the_beginning_of_it() -> None:
    assert of_run(orders.c.run_id, None) == []
    assert "BETWEEN '01234567000000000000000000000000' AND '01234567ffffffffffffffffffffffff'" in sql(
        of_run(orders.c.run_id, "01234567")
    ).replace("-", "")
    with pytest.raises(QueryError, match="run_id='none' is not a run's id"):
        of_run(orders.c.run_id, "none")
