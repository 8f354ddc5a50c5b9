"""How too much output is cut: what is kept, what is said of the rest, and what is not sent at all."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.headless.outputs import WITHHELD, bound, size_of


def _message(kind: str, **content: Any) -> dict[str, Any]:
    return {"header": {"msg_type": kind}, "content": content}


def test_what_fits_goes_as_it_is() -> None:
    for kind, content in (
        ("stream", {"name": "stdout", "text": "x" * 10}),
        ("display_data", {"data": {"text/plain": "x" * 10, "text/html": "x" * 60}, "metadata": {}}),
        ("error", {"ename": "E", "evalue": "x" * 10, "traceback": ["x" * 5, "y" * 5]}),
        ("comm_msg", {"comm_id": "1", "data": {"state": {"a": 1}}}),
        ("status", {"execution_state": "busy" * 100}),
    ):
        message = _message(kind, **content)
        assert bound(message, 10, 100)
        assert message["content"] == content


def test_text_keeps_one_character_more_than_may_be_so_that_its_reader_says_so() -> None:
    message = _message("stream", name="stdout", text="x" * 50)
    assert bound(message, 10, 100)
    assert message["content"]["text"] == "x" * 11


def test_a_progress_bar_is_as_long_as_what_it_shows() -> None:
    message = _message("stream", name="stdout", text="".join(f"\r{n:03}" for n in range(100)))
    bound(message, 10, 100)
    assert message["content"]["text"] == "099"


def test_plain_text_that_is_shown_is_cut_and_says_so() -> None:
    message = _message("execute_result", data={"text/plain": "x" * 50, "text/html": "y" * 50}, metadata={})
    bound(message, 10, 1_000)
    data = message["content"]["data"]
    assert data["text/plain"].startswith("x" * 10 + "\n[workbench: the rest")
    assert data["text/html"] == "y" * 50


def test_what_cannot_be_cut_is_withheld_with_its_size() -> None:
    message = _message("display_data", data={"image/png": "y" * 500}, metadata={"image/png": {"width": 1}})
    assert bound(message, 10, 100)
    assert message["content"] == {"data": {}, "metadata": {WITHHELD: 500 + len("image/png")}}


@pytest.mark.parametrize("kind", ["error", "execute_reply"])
def test_an_error_keeps_the_end_of_its_traceback(kind: str) -> None:
    message = _message(kind, evalue="v" * 50, traceback=["first", "second", "l" * 50], payload=["p" * 50])
    bound(message, 10, 100)
    content = message["content"]
    assert content["evalue"].startswith("v" * 10 + "\n[workbench")
    assert [line[:10] for line in content["traceback"]] == ["l" * 10]
    assert content["payload"] == []


def test_large_messages_of_widgets_are_not_sent() -> None:
    assert not bound(_message("comm_open", data={"a": "x" * 200_000}), 10, 100)
    assert not bound(_message("comm_msg", data={}), 10, 100, beside=200_000)


def test_the_size_of_a_value_is_that_of_its_texts() -> None:
    assert size_of({"ab": ["cde", 1, {"f": None}]}) == 2 + 3 + 8 + 1 + 8
