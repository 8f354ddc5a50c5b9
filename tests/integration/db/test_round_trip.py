"""Every kind of column: a value comes back exactly as it was given, or is refused with nothing written."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers import ServerPark
from workbench.db import frames
from workbench.db.pool import ServiceConnectionPool
from workbench.db.roles import admin_url
from workbench.errors import FrameRefused
from workbench.tables.execution import ORDER_SIDE, ORDER_STATUS, ORDER_TYPE
from workbench.tables.types import JSON, METADATA, PRICE, QUANTITY, TIMESTAMP

# One nullable column of each type that our tables have (the first test proves that it is all of them).
KINDS = sa.Table(
    "kinds",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("price", PRICE),
    sa.Column("quantity", QUANTITY),
    sa.Column("ratio", sa.Double),
    sa.Column("number", sa.Integer),
    sa.Column("big", sa.BigInteger),
    sa.Column("flag", sa.Boolean),
    sa.Column("text", sa.Text),
    sa.Column("json", JSON),
    sa.Column("moment", TIMESTAMP),
    sa.Column("day", sa.Date),
    sa.Column("uuid", sa.Uuid),
    sa.Column("bytes", sa.LargeBinary),
    sa.Column("side", ORDER_SIDE),
    sa.Column("kind", ORDER_TYPE),
    sa.Column("status", ORDER_STATUS),
    schema="public",
)

examples = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(scope="module", params=["postgresql-18", "postgresql-15"])
def pool(request: pytest.FixtureRequest, servers: ServerPark) -> Iterator[ServiceConnectionPool]:
    """A pool of the administrator's, on a database that has the table `kinds`; `stored` empties it."""
    server = servers.postgres(request.param)
    name = server.clone()
    made = ServiceConnectionPool("tests", lambda: admin_url(server.url, name))
    with made.engine.begin() as connection:
        # The clone has the enum types already.
        connection.execute(sa.schema.CreateTable(KINDS))
    yield made
    made.close()
    server.drop(name)


def stored(pool: ServiceConnectionPool, column: str, values: pd.Series[Any]) -> list[Any] | None:
    """The values after a write and a load; None where they were refused, and then nothing is stored."""
    frame = pd.DataFrame({"id": range(len(values)), column: values})
    with pool.begin() as connection:
        connection.execute(KINDS.delete())
    try:
        with pool.begin() as connection:
            frames.write(connection, KINDS, frame, key=("id",))
    except FrameRefused as error:
        refused: FrameRefused | None = error
    else:
        refused = None
    assert refused is None or (refused.column == column and refused.rows), refused
    with pool.begin() as connection:
        found = frames.read(connection, sa.select(KINDS.c.id, KINDS.c[column]).order_by(KINDS.c.id))
    assert len(found) == (len(frame) if refused is None else 0)
    return found[column].tolist() if refused is None else None


def assert_exact_or_refused(
    pool: ServiceConnectionPool, column: str, values: pd.Series[Any], same: Callable[[Any, Any], bool]
) -> None:
    found = stored(pool, column, values)
    for before, after in zip(values.astype(object), found or [], strict=found is not None):
        if pd.api.types.is_scalar(before) and pd.isna(before):
            assert pd.isna(after)
        else:
            assert same(before, after), (before, after)


def same_number(before: Any, after: float) -> bool:
    """A float is itself; an int or a Decimal is the float64 that prints as it, or that it exactly is."""
    if isinstance(before, float):
        return before == after
    return Decimal(str(before)) in {Decimal(after), Decimal(repr(after))}


def test_these_are_all_the_types_that_our_tables_have() -> None:
    ours = {
        repr(column.type)
        for table in METADATA.sorted_tables
        for column in table.columns
        if not column.info.get("server_made")
    }
    assert {repr(column.type) for column in KINDS.columns} == ours


numbers = st.one_of(
    st.none(),
    st.floats(),
    st.floats(min_value=0.01, max_value=1e6).map(lambda number: round(number, 4)),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.decimals(min_value=-(10**13), max_value=10**13, places=8),
    st.integers(),
    st.integers(min_value=2**53 - 2, max_value=2**53 + 2),
    st.integers(min_value=10**400, max_value=10**401),
)


@pytest.mark.parametrize("column", ["price", "quantity", "ratio"])
class TestNumbers:
    @examples
    @given(values=st.lists(st.floats(), max_size=5))
    def test_of_a_float_column(self, pool: ServiceConnectionPool, column: str, values: list[float]) -> None:
        assert_exact_or_refused(pool, column, pd.Series(values, dtype="float64"), same_number)

    @examples
    @given(values=st.lists(numbers, min_size=1, max_size=3))
    def test_of_any_type(self, pool: ServiceConnectionPool, column: str, values: list[Any]) -> None:
        assert_exact_or_refused(pool, column, pd.Series(values, dtype="object"), same_number)

    @examples
    @given(ticks=st.lists(st.integers(min_value=1, max_value=10**13), min_size=1, max_size=20))
    def test_with_up_to_eight_decimals_are_never_refused(
        self, pool: ServiceConnectionPool, column: str, ticks: list[int]
    ) -> None:
        for scale in (1, 100, 10_000, 100_000_000):
            values = [tick / scale for tick in ticks if tick / scale < 1e12]
            assert stored(pool, column, pd.Series(values, dtype="float64")) == values

    @pytest.mark.parametrize(
        "value",
        [math.inf, -math.inf, Decimal("NaN"), "1.5", True, 1j, 10**400],
        ids=lambda value: str(value)[:5],
    )
    def test_that_are_none_are_refused(self, pool: ServiceConnectionPool, column: str, value: Any) -> None:
        assert stored(pool, column, pd.Series([1.0, value], dtype="object")) is None

    @pytest.mark.parametrize("dtype", ["float32", "Float64", "int64", "Int64", "double[pyarrow]"])
    def test_of_other_dtypes_are_taken(self, pool: ServiceConnectionPool, column: str, dtype: str) -> None:
        assert stored(pool, column, pd.Series([1, 2], dtype=dtype)) == [1.0, 2.0]


def test_a_price_with_a_ninth_decimal_is_refused_and_not_rounded(pool: ServiceConnectionPool) -> None:
    assert stored(pool, "price", pd.Series([1.000000001])) is None
    assert stored(pool, "price", pd.Series([0.1 + 0.2])) is None
    assert stored(pool, "ratio", pd.Series([0.1 + 0.2])) == [0.30000000000000004]


def test_a_price_has_room_for_twelve_digits_and_a_quantity_for_sixteen(pool: ServiceConnectionPool) -> None:
    assert stored(pool, "price", pd.Series([999_999_999_999.0])) == [999_999_999_999.0]
    assert stored(pool, "price", pd.Series([1e12])) is None
    assert stored(pool, "quantity", pd.Series([9_999_999_999_999_998.0])) == [9_999_999_999_999_998.0]
    assert stored(pool, "quantity", pd.Series([1e16])) is None


@pytest.mark.parametrize(("column", "bits"), [("number", 32), ("big", 64)])
class TestWholeNumbers:
    @examples
    @given(data=st.data())
    def test_any(self, pool: ServiceConnectionPool, column: str, bits: int, data: st.DataObject) -> None:
        edge = 2 ** (bits - 1)
        whole = st.one_of(
            st.integers(min_value=-edge - 2, max_value=-edge + 2),
            st.integers(min_value=edge - 2, max_value=edge + 2),
            st.integers(min_value=-edge, max_value=edge - 1),
            st.floats(),
            st.none(),
        )
        values = data.draw(st.lists(whole, max_size=2))
        assert_exact_or_refused(
            pool, column, pd.Series(values, dtype="object"), lambda before, after: bool(before == after)
        )

    def test_at_the_bounds(self, pool: ServiceConnectionPool, column: str, bits: int) -> None:
        edge = 2 ** (bits - 1)
        assert stored(pool, column, pd.Series([-edge, edge - 1])) == [-edge, edge - 1]
        assert stored(pool, column, pd.Series([edge], dtype="object")) is None
        assert stored(pool, column, pd.Series([-edge - 1], dtype="object")) is None

    @pytest.mark.parametrize("value", [1.5, True, "1", math.inf])
    def test_that_are_none_are_refused(
        self, pool: ServiceConnectionPool, column: str, bits: int, value: Any
    ) -> None:
        assert stored(pool, column, pd.Series([value], dtype="object")) is None


HARD_TEXTS = [
    "",
    " ",
    "tab\there",
    "line\nbreak\rreturn\r\n",
    "back\\slash \\N \\. \\t",
    "\\N",
    "\\.",
    "quote ' and \" and `",
    "🚀 é ﷺ 漢字 \u202e \ufeff",
    "BRK.B",
    "O'Neil\"",
    "../x",
    "=1+1",
    "NULL",
    "null",
    "nan",
    "%s %(x)s :x {x}",
    "\x01\x08\x0b\x0c\x1f\x7f",
    "'; DROP TABLE kinds; --",
]


class TestTexts:
    @examples
    @given(values=st.lists(st.one_of(st.none(), st.text(), st.sampled_from(HARD_TEXTS)), max_size=10))
    def test_any(self, pool: ServiceConnectionPool, values: list[str | None]) -> None:
        assert_exact_or_refused(
            pool, "text", pd.Series(values, dtype="object"), lambda before, after: bool(before == after)
        )

    def test_hard_ones_are_kept(self, pool: ServiceConnectionPool) -> None:
        assert stored(pool, "text", pd.Series(HARD_TEXTS)) == HARD_TEXTS

    @pytest.mark.parametrize("value", ["a\x00b", "\ud800", 1, b"bytes", ["list"], date(2024, 1, 1)])
    def test_that_are_none_are_refused(self, pool: ServiceConnectionPool, value: Any) -> None:
        assert stored(pool, "text", pd.Series(["good", value], dtype="object")) is None


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(HARD_TEXTS)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=5), inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(st.integers(), inner, max_size=1),
    ),
    max_leaves=8,
)


class TestJson:
    @examples
    @given(value=st.dictionaries(st.text(), json_values, max_size=3))
    def test_any(self, pool: ServiceConnectionPool, value: dict[str, Any]) -> None:
        assert_exact_or_refused(
            pool, "json", pd.Series([value], dtype="object"), lambda before, after: bool(before == after)
        )

    @pytest.mark.parametrize(
        "value",
        [{}, [], {"text": "\\u0000 is six characters"}, {"a": [1, 2.5, None]}, {"1e16": 1e16, "big": 10**30}],
    )
    def test_that_fits_is_kept(self, pool: ServiceConnectionPool, value: Any) -> None:
        assert stored(pool, "json", pd.Series([value], dtype="object")) == [value]

    @pytest.mark.parametrize(
        "value",
        [
            {"a": math.nan},
            {"a": (1, 2)},
            {1: "a"},
            {"a": {1, 2}},
            {"a": "\x00"},
            {"a": "\ud800"},
            {"a": datetime.now(UTC)},
        ],
    )
    def test_that_would_change_is_refused(self, pool: ServiceConnectionPool, value: Any) -> None:
        assert stored(pool, "json", pd.Series([value], dtype="object")) is None


zones = st.one_of(
    st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]).map(ZoneInfo),
    st.integers(min_value=-1439, max_value=1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


class TestMoments:
    @examples
    @given(values=st.lists(st.one_of(st.none(), st.datetimes(timezones=zones)), max_size=5))
    def test_of_any_zone(self, pool: ServiceConnectionPool, values: list[datetime | None]) -> None:
        assert_exact_or_refused(
            pool,
            "moment",
            pd.Series(values, dtype="object"),
            lambda before, after: bool(before.astimezone(UTC) == after),
        )

    @examples
    @given(
        nanoseconds=st.lists(st.integers(min_value=-(2**62), max_value=2**62), min_size=1, max_size=5),
        unit=st.sampled_from(["s", "ms", "us", "ns"]),
    )
    def test_of_any_resolution(self, pool: ServiceConnectionPool, nanoseconds: list[int], unit: str) -> None:
        moments = pd.Series(pd.to_datetime(nanoseconds, utc=True).floor("us").as_unit(unit))  # type: ignore[arg-type]
        assert stored(pool, "moment", moments) == moments.tolist()

    def test_finer_than_a_microsecond_are_refused(self, pool: ServiceConnectionPool) -> None:
        assert stored(pool, "moment", pd.Series([pd.Timestamp(1, tz="UTC")])) is None

    @pytest.mark.parametrize(
        "value",
        [pd.Timestamp("2024-01-01"), datetime(2024, 1, 1), "2024-01-01T00:00Z", date(2024, 1, 1), 0],
    )
    def test_without_a_zone_or_of_another_type_are_refused(
        self, pool: ServiceConnectionPool, value: Any
    ) -> None:
        assert stored(pool, "moment", pd.Series([value], dtype="object")) is None

    def test_of_early_years_keep_their_century(self, pool: ServiceConnectionPool) -> None:
        early = [datetime(year, 1, 2, tzinfo=UTC) for year in (1, 24, 99, 999, 9999)]
        assert stored(pool, "moment", pd.Series(early, dtype="object")) == early


class TestDays:
    @examples
    @given(values=st.lists(st.one_of(st.none(), st.dates(), st.datetimes()), max_size=5))
    def test_any(self, pool: ServiceConnectionPool, values: list[date | None]) -> None:
        assert_exact_or_refused(
            pool,
            "day",
            pd.Series(values, dtype="object"),
            lambda before, after: bool(pd.Timestamp(before).as_unit("us") == after),
        )

    def test_of_early_years_keep_their_century(self, pool: ServiceConnectionPool) -> None:
        for early in ([date(1, 1, 1), date(24, 5, 6)], [pd.Timestamp(datetime(24, 5, 6))]):
            found = stored(pool, "day", pd.Series(early, dtype="object"))
            assert found == [pd.Timestamp(day.year, day.month, day.day) for day in early]

    def test_a_moment_within_a_day_is_refused(self, pool: ServiceConnectionPool) -> None:
        assert stored(pool, "day", pd.Series([pd.Timestamp("2024-01-01 12:00")])) is None
        assert (
            stored(pool, "day", pd.Series([pd.Timestamp("2024-01-01").as_unit("ns") + pd.Timedelta(1)]))
            is None
        )


@examples
@given(values=st.lists(st.one_of(st.none(), st.uuids()), max_size=5))
def test_uuids_come_back_as_text(pool: ServiceConnectionPool, values: list[uuid.UUID | None]) -> None:
    for series in (values, [None if value is None else str(value) for value in values]):
        assert_exact_or_refused(
            pool, "uuid", pd.Series(series, dtype="object"), lambda before, after: str(before) == after
        )


@pytest.mark.parametrize("value", ["no uuid", 7, ""])
def test_what_is_no_uuid_is_refused(pool: ServiceConnectionPool, value: Any) -> None:
    assert stored(pool, "uuid", pd.Series([value], dtype="object")) is None


@examples
@given(values=st.lists(st.one_of(st.none(), st.binary(), st.binary().map(bytearray)), max_size=5))
def test_bytes_come_back_as_bytes(pool: ServiceConnectionPool, values: list[bytes | None]) -> None:
    assert_exact_or_refused(
        pool,
        "bytes",
        pd.Series(values, dtype="object"),
        lambda before, after: isinstance(after, bytes) and before == after,
    )


def test_every_byte_is_kept(pool: ServiceConnectionPool) -> None:
    for value in (b"", bytes(range(256)), b"\\x41", b"\\N", b"%PDF-1.7\r\n\x00"):
        assert stored(pool, "bytes", pd.Series([value], dtype="object")) == [value]


@pytest.mark.parametrize("value", ["text", 7, [1, 2], memoryview(b"a")], ids=type)
def test_what_are_no_bytes_is_refused(pool: ServiceConnectionPool, value: Any) -> None:
    assert stored(pool, "bytes", pd.Series([value], dtype="object")) is None


@pytest.mark.parametrize(
    ("column", "choices"),
    [
        ("side", ORDER_SIDE.enums),
        ("kind", ORDER_TYPE.enums),
        ("status", ORDER_STATUS.enums),
    ],
)
class TestChoices:
    def test_each_is_kept(self, pool: ServiceConnectionPool, column: str, choices: list[str]) -> None:
        for values in (pd.Series(choices), pd.Series(choices, dtype="category")):
            assert stored(pool, column, values) == choices

    @pytest.mark.parametrize("value", ["", "BUY", "Market", " filled", "hold", 1, True, ["buy"]], ids=repr)
    def test_others_are_refused(
        self, pool: ServiceConnectionPool, column: str, choices: list[str], value: Any
    ) -> None:
        assert stored(pool, column, pd.Series([choices[0], value], dtype="object")) is None


def test_flags_are_true_false_or_missing(pool: ServiceConnectionPool) -> None:
    assert stored(pool, "flag", pd.Series([True, False])) == [True, False]
    assert stored(pool, "flag", pd.Series([np.True_, None], dtype="object")) == [True, pd.NA]
    for value in (1, 0, "t", "true", 1.0):
        assert stored(pool, "flag", pd.Series([value], dtype="object")) is None


@pytest.mark.parametrize("column", [column.name for column in KINDS.columns if column.nullable])
@pytest.mark.parametrize("missing", [None, math.nan, np.float32("nan"), pd.NaT, pd.NA], ids=repr)
def test_every_way_of_saying_missing_is_null(pool: ServiceConnectionPool, column: str, missing: Any) -> None:
    found = stored(pool, column, pd.Series([missing, missing], dtype="object"))
    assert found is not None
    assert pd.isna(pd.Series(found)).all()
