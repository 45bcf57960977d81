"""The consumer that the simulation judges by: it keeps the greatest sequence of each row, and clears up after a resync."""

from __future__ import annotations

from typing import Any

from devtools.sim.consumer import Consumer

ROW = '{"Id":1}'


def change(number: int, sequence: str, note: str | None) -> dict[str, Any]:
    row = None if note is None else {"Id": number, "Note": note}
    return {"type": "rowpost.row.upserted", "sequence": sequence, "data": {"key": {"Id": number}, "row": row}}


def known(*events: dict[str, Any]) -> dict[str, Any]:
    consumer = Consumer()
    for event in events:
        consumer.take(event)
    return consumer.rows


def test_an_older_state_changes_nothing() -> None:
    assert known(change(1, "0002", "new"), change(1, "0001", "old"))[ROW]["Note"] == "new"


def test_a_later_epoch_is_newer_than_any_version_before() -> None:
    assert known(change(1, f"{99:020d}", "before"), change(1, f"{1:010d}.{2:020d}", "restored"))[ROW]["Note"] == "restored"


def test_a_deletion_is_a_state() -> None:
    assert known(change(1, "0001", "there"), change(1, "0002", None)) == {ROW: None}


def test_a_resync_that_is_completed_removes_what_it_did_not_bring() -> None:
    begun = {"type": "rowpost.resync.begun", "sequence": "0005", "data": {"resync": "a"}}
    completed = {"type": "rowpost.resync.completed", "sequence": "0005", "data": {"resync": "a"}}
    rows = known(change(1, "0001", "gone"), change(2, "0002", "there"), begun, change(2, "0006", "there"), completed)
    assert rows == {ROW: None, '{"Id":2}': {"Id": 2, "Note": "there"}}
