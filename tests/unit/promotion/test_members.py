"""The members of a grid: their names, their values, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.errors import ParametersRefused, PromotionRefused
from workbench.headless.parameters import NotebookParameters
from workbench.promotion.members import check_each, members_of, parse_each

CELL = {
    "cell_type": "code",
    "source": 'symbols: list[str] = ["IBM"]\nfast: int = 10\nsource: str = "file"',
    "metadata": {"tags": ["parameters"]},
}
DECLARED = NotebookParameters.from_document({"cells": [CELL]}, "study.ipynb")


def test_without_a_grid_there_is_one_member_without_a_name() -> None:
    assert check_each(DECLARED, None) is None
    assert check_each(DECLARED, {}) is None
    assert members_of(None) == [("", {})]


def test_a_single_value_stands_for_a_list_of_one() -> None:
    grid = check_each(DECLARED, {"symbols": ["AAPL", ["MSFT", "IBM"]]})
    assert members_of(grid) == [
        ("AAPL", {"symbols": ["AAPL"]}),
        ('["MSFT", "IBM"]', {"symbols": ["MSFT", "IBM"]}),
    ]


def test_several_parameters_make_their_product() -> None:
    grid = parse_each(DECLARED, ["symbols=AAPL, MSFT", "fast=5,10"])
    assert grid == {"symbols": [["AAPL"], ["MSFT"]], "fast": [5, 10]}
    assert [name for name, _ in members_of(check_each(DECLARED, grid))] == [
        "symbols=AAPL, fast=5",
        "symbols=AAPL, fast=10",
        "symbols=MSFT, fast=5",
        "symbols=MSFT, fast=10",
    ]


@pytest.mark.parametrize(
    ("each", "refusal", "said"),
    [
        ({"symbol": ["AAPL"]}, ParametersRefused, "did you mean symbols"),
        ({"fast": ["many"]}, ParametersRefused, "fast must be"),
        ({"symbols": "AAPL"}, PromotionRefused, "give a list of the values"),
        ({"symbols": []}, PromotionRefused, "give a list of the values"),
        ({"fast": [5, 10, 5]}, PromotionRefused, "the member '5' comes twice"),
        ({"source": [""]}, PromotionRefused, "cannot name a member"),
        ({"fast": list(range(40)), "symbols": list(map(str, range(40)))}, PromotionRefused, "1,600 members"),
    ],
)
def test_what_cannot_be_is_refused(each: Any, refusal: type[Exception], said: str) -> None:
    with pytest.raises(refusal, match=said):
        check_each(DECLARED, each)


@pytest.mark.parametrize("text", ["symbols", "colour=red", "fast=5,many"])
def test_a_text_that_gives_none_is_refused(text: str) -> None:
    with pytest.raises(ParametersRefused):
        parse_each(DECLARED, [text])
