"""The page of services says of each table what its loader filters by and what the database keeps unique."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import sqlalchemy as sa

from tests.unit.services.classes import CLASSES, told_of_tables
from workbench.db.roles import SERVICES
from workbench.tables.types import METADATA

# How prices are adjusted is no filter; splits and dividends are told of beside the table of 23.
NO_FILTERS = {"adjust", "as_of"}
BESIDE = {"data_ingestion.corporate_actions"}


def _table(name: str) -> sa.Table:
    return METADATA.tables[name]


def test_it_tells_of_23_tables_which_are_all_that_services_have() -> None:
    assert set(CLASSES) == set(SERVICES)
    told = told_of_tables()
    assert len(told) == 23
    assert set(told) | BESIDE == {str(table) for table in METADATA.sorted_tables if table.schema in CLASSES}


@pytest.mark.parametrize("name", told_of_tables())
def test_the_filters_are_those_of_the_loader(name: str) -> None:
    service, table = name.split(".")
    loader: Any = getattr(CLASSES[service], f"load_{table}")
    parameters = set(inspect.signature(loader).parameters) - {"self"} - NO_FILTERS
    filters = told_of_tables()[name][1]
    told = set(re.sub(r"range \((\w+)\)", "start, end", filters).split(", "))
    assert told == parameters
    for column in re.findall(r"range \((\w+)\)", filters):
        assert isinstance(_table(name).c[column].type, sa.DateTime | sa.Date)


@pytest.mark.parametrize("name", told_of_tables())
def test_the_key_is_unique_in_the_database(name: str) -> None:
    table = _table(name)
    keys = {
        tuple(column.name for column in constraint.columns)
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint | sa.PrimaryKeyConstraint)
    }
    # Where a table has live rows too, the key is that of the others.
    keys |= {
        tuple(column.name for column in index.columns)
        for index in table.indexes
        if index.unique and str(index.dialect_options["postgresql"]["where"]) == "kind = 'backtest'"
    }
    told = told_of_tables()[name][0]
    assert keys - {("id",)} == (set() if told == "none" else {tuple(told.split(", "))})


def test_one_word_stands_for_a_strategys_id_in_every_loader() -> None:
    words = {
        word
        for kind in CLASSES.values()
        for name, loader in inspect.getmembers(kind, inspect.isfunction)
        if name.startswith("load_")
        for word in inspect.signature(loader).parameters
        if "strategy" in word
    }
    assert words == {"strategy_id"}
