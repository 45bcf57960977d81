"""The numbers add up: a changed row is delivered, waits at one place, or is dead; and the log sums up to what happened."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from devtools.log_lines import sums
from devtools.stack import ROOT
from rowpost.operations.status import PLACES
from tests.harness.running_relay import LEASES, PAUSED, Relay, changed_config

TABLES = "\nGO\n".join(
    f"CREATE TABLE dbo.{name} (OrderId int NOT NULL CONSTRAINT PK_{name} PRIMARY KEY, Total int NOT NULL, Note int NULL)"
    for name in ("Orders", "Quiet", "Watched")
)
RELAYS = changed_config(max_delay='"1h"\nrejected = "dead_letter"\ndetach_after_rounds = 2') + (
    '\n[[relays]]\ntable = "dbo.Quiet"\n[[relays]]\ntable = "dbo.Watched"\nwatch = ["Total"]\n'
)


class Book:
    """What was changed, and where each row must be now, by what can be seen without the app."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.wanted: dict[str, dict[int, int]] = {"dbo.Orders": {}, "dbo.Quiet": {}, "dbo.Watched": {}}
        self.seen: set[str] = set()

    def insert(self, table: str, *ids: int) -> None:
        self.relay.execute(f"INSERT INTO {table} (OrderId, Total) VALUES {', '.join(f'({i}, 0)' for i in ids)}")
        self.wanted[table] |= dict.fromkeys(ids, 0)

    def update(self, table: str, order: int) -> None:
        self.wanted[table][order] += 1
        self.relay.execute(f"UPDATE {table} SET Total = {self.wanted[table][order]} WHERE OrderId = {order}")

    def expected(self, table: str) -> tuple[int, int, int]:
        """Rows of a table that are delivered, dead, and waiting."""
        known = {s.key["OrderId"]: s.row["Total"] for s in self.relay.stack.downstream.state(table)}  # type: ignore[index]
        dead = {
            int(order)
            for (order,) in self.relay.execute(
                "SELECT JSON_VALUE(RowKey, '$.OrderId') FROM rowpost.Ledger WHERE State = 'dead' AND Relay = ?", table
            )
        }
        wanted = self.wanted[table]
        delivered = {order for order, total in wanted.items() if known.get(order) == total} - dead
        return len(delivered), len(dead), len(wanted) - len(delivered) - len(dead)

    def check(self) -> None:
        for status in self.relay.get("/api/relays")["relays"]:
            assert sum(status[place] for place in PLACES) == status["waiting"], status
            _, dead, waiting = self.expected(status["relay"])
            assert (status["dead"], status["waiting"]) == (dead, waiting), status
            states = Counter(
                state for (state,) in self.relay.execute("SELECT State FROM rowpost.Ledger WHERE Relay = ?", status["relay"])
            )
            assert {name: status[name] for name in ("retrying", "exhausted", "held", "detached")} == {
                name: states[name] for name in ("retrying", "exhausted", "held", "detached")
            }
            self.seen |= {place for place in (*PLACES, "dead") if status[place]}

    def watch(self, seconds: float, step: float) -> None:
        for _ in range(round(seconds / step)):
            self.relay.advance(step)
            self.check()


def workbook_sums(log: str, graph: str) -> Counter[str]:
    """What a graph of the workbook shows, summed up by relay: its query, done by hand on the lines of a log."""
    items = json.loads((ROOT / "infra/app/workbook.json").read_text(encoding="utf-8"))["items"]
    query: str = next(item["content"]["query"] for item in items if item["name"] == graph)
    (parsed,) = re.findall(r"(?m)^\| parse Message with (.*)$", query)
    (summed,) = re.findall(r"summarize Rows = sum\((\w+)\)", query)
    parts = re.findall(r'"([^"]*)"|(\w+)(: long)?', parsed)
    pattern = "".join(re.escape(text) if text else rf"(?P<{name}>{'[0-9]+' if kind else '.*?'})" for text, name, kind in parts)
    shown: Counter[str] = Counter()
    for line in log.splitlines():
        message = line.partition("] ")[2]
        if found := re.fullmatch(pattern, message):
            shown[found["Relay"]] += int(found[summed])
    return shown


def test_every_row_is_at_one_place_and_all_of_them_add_up(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(RELAYS, TABLES)
    book, host, api = Book(relay), relay.stack.host, relay.stack.downstream
    assert host is not None
    for table in book.wanted:
        book.insert(table, *range(1, 6))
    book.check()  # before the trigger has looked
    book.watch(360, 60)
    relay.execute("UPDATE dbo.Watched SET Note = 1 WHERE OrderId = 1")  # nothing that is posted
    relay.advance(5)
    book.check()
    # Rows that fail for their own sake: one is refused for good, one goes on failing.
    api.add_rule(match={"table": "dbo.Orders", "key": {"OrderId": 10}}, status=422)
    api.add_rule(match={"table": "dbo.Orders", "key": {"OrderId": 11}}, status=500)
    book.insert("dbo.Orders", 10, 11, 12)
    book.watch(400, 20)
    # An outage behind which new rows are handed back; recovery cannot be started for a while.
    host.add_durable_fault("drop_before", pattern="/orchestrators/recovery/|raiseEvent")
    api.set_mode("down", path="/rows")
    book.insert("dbo.Quiet", *range(20, 50))
    book.insert("dbo.Orders", *range(20, 50))
    book.watch(400, 10)
    book.update("dbo.Quiet", 20)
    book.check()
    book.watch(60, 10)
    host.clear_durable_faults()
    book.watch(3600, 300)
    api.set_mode("up")
    book.watch(1800, 60)
    assert [book.expected(table)[2] for table in ("dbo.Quiet", "dbo.Watched")] == [0, 0]
    # The refused row is mended and replayed.
    api.set_rules([])
    assert host.request("POST", "/api/relays/dbo.Orders/replay").json()["rows"] == 1
    book.check()
    book.watch(3900, 300)
    for table, rows in book.wanted.items():
        assert book.expected(table) == (len(rows), 0, 0)
    assert set(PLACES) - book.seen <= {"in_flight", "parked"}, book.seen
    total = sums(relay.host_log())
    for name in ("delivered", "failed"):
        assert workbook_sums(relay.host_log(), name) == Counter({table: total[table][name] for table in book.wanted})
    for table in book.wanted:
        accepted = [a for a in api.attempts() if a.path == "/rows" and a.table == table and a.status in range(200, 300)]
        assert total[table]["delivered"] == len(accepted), (table, total[table])
        assert total[table]["dead"] == total[table]["replayed"]
    assert total["dbo.Watched"]["skipped"] == 1
    assert total["dbo.Orders"]["delivered by recovery"] > 1


def test_leases_without_a_record_are_told_by_what_they_say(make_relay: Callable[..., Relay]) -> None:
    """Each with its own place: a batch in hand, one that was given back, one whose worker died, a parked row, a newer change."""
    relay = make_relay()
    relay.insert(1, 2, 3, 4, 5, 6, 7)
    relay.advance(5)
    relay.restart(**{PAUSED: "true"})
    relay.advance(2)
    relay.execute("UPDATE dbo.Orders SET Total = 2")
    assert places(relay) == {"pending": 7}
    ((version,),) = relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    relay.execute(f"DELETE FROM {LEASES}")
    for order, known, count, seconds in (
        (1, version, 1, 60),  # in hand
        (2, version, 0, 60),  # given back
        (3, version, 2, -1),  # in hand when its worker died
        (4, version, -1, 3600),  # parked
        (5, version - 1, 1, 60),  # in hand with the change before
        (6, version, 0, None),  # done with
    ):
        relay.execute(
            f"INSERT INTO {LEASES} (OrderId, _az_func_ChangeVersion, _az_func_AttemptCount, _az_func_LeaseExpirationTime) "
            "VALUES (?, ?, ?, DATEADD(second, ?, SYSDATETIME()))",
            *(order, known, count, seconds),
        )
    assert places(relay) == {"in_flight": 2, "handed_back": 1, "pending": 2, "parked": 1}


def places(relay: Relay) -> dict[str, Any]:
    status = relay.status()
    assert status["waiting"] == sum(status[place] for place in PLACES)
    return {place: status[place] for place in PLACES if status[place]}


def test_a_dead_letter_that_changes_again_waits_as_one_row(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(max_delay='"1h"\nrejected = "dead_letter"'))
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(900, until=lambda: relay.status()["dead"] == 1)
    assert relay.status()["waiting"] == 0
    relay.restart(**{PAUSED: "true"})
    relay.advance(2)
    relay.execute("UPDATE dbo.Orders SET Total = 2 WHERE OrderId = 1")
    assert (relay.status()["dead"], places(relay)) == (1, {"pending": 1})
