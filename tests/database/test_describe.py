"""Which columns of a table are sent, watched, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig
from rowpost.database.describe import Found, check_sent, watched_columns
from tests.harness.rows import column


def found(name: str, kind: str = "int", **facts: Any) -> Found:
    known = {
        "place": None,
        "computed": 0,
        "masked": 0,
        "encrypted": 0,
        "hidden": 0,
        "generated": 0,
        "column_set": 0,
        "formula": None,
    }
    return Found(column(name, kind), **(known | facts))


KEY = found("Id", place=1)
RELAY = RelayConfig(table="dbo.T", target="api", send=["Id"])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([found("Phone", "nvarchar", masked=1)], ["masks", "Phone", "UNMASK", "`send`"]),
        ([found("Ssn", "nvarchar", encrypted=1)], ["Ssn", "Always Encrypted", "`send`"]),
        ([found("Everything", "xml", column_set=1)], ["column set Everything", "`send`"]),
        ([found("Embedding", "vector")], ["vector", "Embedding", "`send`"]),
        ([found("What", "newtype")], ["newtype", "What"]),
        ([found("K", "sql_variant", place=2)], ["sql_variant", "K"]),
    ],
)
def test_what_a_plain_select_does_not_give_is_refused_by_name(columns: list[Found], said: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        check_sent(RELAY, [KEY, *columns], [KEY, *columns])
    assert all(word in str(error.value) for word in said)
    if not any(c.place for c in columns):
        check_sent(RELAY, [KEY, *columns], [KEY])  # left out


def test_a_column_computed_from_a_masked_one_is_masked() -> None:
    masked = found("Code", masked=1)
    for computed in (found("Twice", computed=1, formula="([Code]*(2))"), found("Who knows", computed=1)):
        with pytest.raises(ConfigError, match=computed.column.name):
            check_sent(RELAY, [KEY, masked, computed], [KEY, computed])
    check_sent(RELAY, [KEY, masked], [KEY, found("Other", computed=1, formula="([Id]*(2))")])


@pytest.mark.parametrize("kind", ["json", "xml", "varbinary", "timestamp", "uniqueidentifier", "sql_variant", "image"])
def test_other_types_are_relayed(kind: str) -> None:
    check_sent(RELAY, [KEY, found("V", kind)], [KEY, found("V", kind)])


def watched(columns: list[Found], send: list[str] | None = None, watch: list[str] | None = None, tracks: bool = True) -> Any:
    config = RelayConfig(table="dbo.T", target="api", send=send, watch=watch)
    sent = [c for c in columns if c.place or send is None or c.is_in(send)]
    return watched_columns(config, columns, sent, tracks)


COLUMNS = [KEY, found("A"), found("B"), found("C", computed=1, formula="([B])"), found("R", "timestamp"), found("G", generated=1)]


def test_by_default_the_columns_that_are_sent_are_watched() -> None:
    assert watched(COLUMNS) == (None, [])
    assert watched(COLUMNS, ["id", "a", "b"]) == (("A", "B"), [])
    assert watched(COLUMNS, ["Id"]) == ((), []), "no update of another column says anything"


@pytest.mark.parametrize("unseen", ["C", "R", "G"])
def test_a_column_that_changes_without_a_word_makes_each_update_count(unseen: str) -> None:
    assert watched(COLUMNS, ["Id", "A", unseen]) == (None, [])


def test_what_is_said_explicitly_wins() -> None:
    assert watched(COLUMNS, ["Id", "A"], ["b"]) == (("B",), [])
    assert watched(COLUMNS, ["Id", "A"], ["*"]) == (None, [])
    assert watched(COLUMNS, ["Id", "A"], ["*"], tracks=False) == (None, [])
    with pytest.raises(ConfigError, match="the computed column C"):
        watched(COLUMNS, None, ["C"])
    with pytest.raises(ConfigError, match="does not track which columns change"):
        watched(COLUMNS, None, ["A"], tracks=False)


def test_without_the_tracking_of_columns_each_update_counts_and_that_is_said() -> None:
    watch, (warning,) = watched(COLUMNS, ["Id", "A"], tracks=False)
    assert watch is None and "relays.send of dbo.T" in warning and "TRACK_COLUMNS_UPDATED" in warning
