"""A row whose values cannot be read stands in the ledger with its own reason, and its neighbours are delivered in the same look."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from infra.prepare_database import prepare
from tests.harness.running_relay import ORDERS, Relay, changed_config

# The trigger reads all columns too, and fails on the whole table. It is spared here, so that the app's own reading is seen.
TABLE = "CREATE TABLE dbo.Orders (OrderId int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, A int NULL, T nvarchar(40) NULL, {column})"
SPARED = "Q AS CASE WHEN APP_NAME() LIKE N'rowpost%' THEN {value} END"
DIVISION = TABLE.format(column=SPARED.format(value="100 / A"))
# A computed column, a value of A or T that spoils it, one that does not, and what the ledger says.
KINDS = {
    "a division": ("100 / A", "A", "0", "5", "8134"),
    "an overflow": ("CAST(A AS tinyint)", "A", "300", "5", "220"),
    "a conversion": ("CAST(T AS int)", "T", "N'xqz'", "N'12'", "245"),
    "a date": ("CAST(T AS date)", "T", "N'2024-02-31'", "N'2024-02-28'", "241"),
    "a long text": ("CAST(REPLICATE(CAST(N'x' AS nvarchar(max)), 100 / A) AS nvarchar(max))", "A", "0", "5", "8134"),
}


class HalfPairs:
    """What the app's connections receive, with each Ω made half a surrogate pair: the emulator stores none, and SQL Server does.
    Or with the connection cut there. The trigger's connections are left alone."""

    def __init__(self, port: int, cut: bool) -> None:
        self._to, self._cut = port, cut
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                spared: list[bool] = []
                threading.Thread(target=self._pump, args=(client, server, spared, False), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, spared, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, spared: list[bool], answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                if "functions-host".encode("utf-16-le") in data:
                    spared.append(True)
                if answers and not spared:
                    if self._cut and "Ω".encode("utf-16-le") in data:
                        break
                    data = data.replace("Ω".encode("utf-16-le"), b"\x3d\xd8")
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def half_pairs() -> Iterator[Callable[..., int]]:
    made: list[HalfPairs] = []

    def make(port: int, *, cut: bool = False) -> int:
        made.append(HalfPairs(port, cut))
        return made[-1].port

    yield make
    for each in made:
        each.close()


def start_behind(relay: Relay, half_pairs: Callable[..., int], *, cut: bool = False) -> None:
    """Start a relay whose way to the database is not what it should be."""
    relay.stack.start_services()
    relay.execute(ORDERS)
    prepare(relay.stack.connection, relay.stack.config)
    port = half_pairs(relay.stack.sql.port, cut=cut)
    relay.stack._extra["SqlConnectionString"] = (
        f"Server=127.0.0.1,{port};Database=rowpost;User ID=sa;Password=Rowpost!2026;Encrypt=false"
    )
    relay.stack.start_host()
    relay.advance(2)


def test_a_row_at_which_the_connection_is_lost(make_relay: Callable[..., Relay], half_pairs: Callable[..., int]) -> None:
    """That is no proof against the row. It gets into the ledger as one that is handed out again and again without an outcome."""
    relay = make_relay(start=False)
    start_behind(relay, half_pairs, cut=True)
    relay.execute("INSERT INTO dbo.Orders (OrderId, Customer) VALUES (1, N'a'), (2, N'b'), (3, N'Ω'), (4, N'c')")
    relay.advance(10)
    assert [order for order in range(1, 5) if relay.accepted(order)] == [1, 2, 4]
    relay.advance(hours=2)  # until recovery itself has tried it
    ((key, (state, reason)),) = reasons(relay).items()
    assert (key, state, reason) == ('{"OrderId":3}', "detached", "the row cannot be read: the connection is lost when it is read")
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    relay.advance(120)
    assert sorted(Counter(attempt.key["OrderId"] for attempt in relay.posts() if isinstance(attempt.key, dict)).items()) == [
        (1, 2),
        (2, 2),
        (4, 2),
    ]
    relay.advance(hours=12)
    assert [row[1] for row in relay.ledger()] == ["dead"]
    relay.execute("UPDATE dbo.Orders SET Customer = N'mended' WHERE OrderId = 3")
    assert relay.advance(10, until=lambda: relay.accepted(3) is not None)


def test_half_a_surrogate_pair_keeps_no_row_back(make_relay: Callable[..., Relay], half_pairs: Callable[..., int]) -> None:
    relay = make_relay(start=False)
    start_behind(relay, half_pairs)
    relay.insert(1, 2, 3)
    relay.execute("INSERT INTO dbo.Orders (OrderId, Customer) VALUES (4, N'secret Ωx'), (5, N'fine')")
    relay.advance(5)
    assert [order for order in range(1, 6) if relay.accepted(order)] == [1, 2, 3, 4, 5]
    assert relay.accepted(4)["Customer"] == "secret \ufffdx"  # type: ignore[index]
    assert relay.ledger() == []


def insert(relay: Relay, column: str, *values: tuple[int, str]) -> None:
    rows = ", ".join(f"({order}, {value})" for order, value in values)
    relay.execute(f"INSERT INTO dbo.Orders (OrderId, {column}) VALUES {rows}")


def reasons(relay: Relay) -> dict[str, tuple[str, str]]:
    return {key: (state, text) for key, state, text in relay.execute("SELECT RowKey, State, LastError FROM rowpost.Ledger")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_neighbours_are_delivered_at_once_and_the_row_when_it_is_mended(make_relay: Callable[..., Relay], kind: str) -> None:
    definition, column, bad, good, number = KINDS[kind]
    relay = make_relay(tables=TABLE.format(column=SPARED.format(value=definition)))
    insert(relay, column, *((order, bad if order in (4, 9) else good) for order in range(1, 13)))
    relay.advance(5)
    assert [order for order in range(1, 13) if relay.accepted(order)] == [1, 2, 3, 5, 6, 7, 8, 10, 11, 12]
    reason = f"SQL Server error {number}" if number.isdigit() else number
    assert reasons(relay) == {f'{{"OrderId":{order}}}': ("retrying", f"the row cannot be read: {reason}") for order in (4, 9)}
    relay.advance(hours=2)
    assert {state for state, _ in reasons(relay).values()} <= {"held", "detached"}
    assert "xqz" not in relay.host_log() and "2024-02-31" not in relay.host_log()
    relay.execute(f"UPDATE dbo.Orders SET {column} = {good} WHERE OrderId = 4")
    assert relay.advance(70, until=lambda: relay.accepted(4) is not None)
    relay.advance(hours=11)
    assert {key: state for key, (state, _) in reasons(relay).items()} == {'{"OrderId":9}': "dead"}
    assert "dead_letter" in [notice["kind"] for notice in relay.alerts()]


def test_the_same_in_a_chunk_of_recovery(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=DIVISION)
    insert(relay, "A", (1, "5"), (2, "5"), (3, "4"))
    relay.advance(5)
    relay.execute("UPDATE dbo.Orders SET A = 0 WHERE OrderId = 2")
    relay.advance(5)
    before = len(relay.posts())
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    relay.advance(60)
    assert sorted(post.key["OrderId"] for post in relay.posts()[before:] if isinstance(post.key, dict)) == [1, 3]
    assert set(reasons(relay)) == {'{"OrderId":2}'}
    relay.execute("UPDATE dbo.Orders SET A = 1 WHERE OrderId = 2")
    assert relay.advance(hours=2, until=lambda: relay.ledger() == [])


def test_a_detached_row_that_became_unreadable_spares_the_others(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=DIVISION)
    relay.stack.downstream.set_mode("down", path="/rows")
    insert(relay, "A", (1, "5"), (2, "0"), (3, "4"))
    relay.advance(hours=8)
    assert relay.status()["detached"] == 3
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=1, until=lambda: bool(relay.accepted(1) and relay.accepted(3)))
    relay.advance(hours=5)
    assert [row[:2] for row in relay.ledger()] == [('{"OrderId":2}', "dead")]
    relay.execute("UPDATE dbo.Orders SET A = 2 WHERE OrderId = 2")
    assert relay.advance(10, until=lambda: relay.accepted(2) is not None)
    assert relay.ledger() == []


def test_a_row_that_the_trigger_cannot_read_either_spares_the_others(make_relay: Callable[..., Relay]) -> None:
    """The trigger's own look fails for the whole table. The watchdog sees it stand still, and recovery delivers what it can."""
    relay = make_relay(tables=TABLE.format(column="Q AS 100 / A"))
    insert(relay, "A", (1, "5"), (2, "0"), (3, "4"))
    relay.advance(hours=1)
    assert [order for order in (1, 2, 3) if relay.accepted(order)] == [1, 3]
    assert {key: text for key, (_, text) in reasons(relay).items()} == {
        '{"OrderId":2}': "the row cannot be read: SQL Server error 8134"
    }
    relay.advance(hours=12)
    assert [row[1] for row in relay.ledger()] == ["dead"]


def test_a_failure_of_the_database_blames_no_row(relay: Relay) -> None:
    relay.insert(0)
    relay.advance(5)
    for fault in ({"number": 40613}, {"number": 1222}, {"number": 229}):
        relay.stack.sql.inject(pattern="rowpost: (claim|read_rows)", application="rowpost", action="error", times=9, **fault)
        relay.insert(*(order := fault["number"] * 10, order + 1))
        relay.advance(30)
        assert relay.ledger() == []
        relay.stack.sql.clear_faults()
        assert relay.advance(hours=1, until=lambda order=order: relay.accepted(order + 1) is not None)  # type: ignore[misc]


def test_an_error_of_the_whole_claim_does_not_keep_its_rows_from_being_read(relay: Relay) -> None:
    """Any error that the next statement does not meet again."""
    relay.insert(0)
    relay.advance(5)
    relay.stack.sql.inject(pattern="rowpost: claim", application="rowpost", action="drop_after", times=3)
    relay.insert(1, 2, 3)
    relay.advance(10)
    assert [order for order in (1, 2, 3) if relay.accepted(order)] == [1, 2, 3]


def test_rows_that_nobody_can_claim_get_into_the_ledger(relay: Relay) -> None:
    """The claim is cut each time. After a few hand-outs the watchdog takes the rows over, and people learn of them."""
    relay.insert(0)
    relay.advance(5)
    relay.stack.sql.inject(pattern="rowpost: (claim|read_rows)", application="rowpost", action="drop_after", times=None)
    relay.insert(1, 2, 3)
    relay.advance(hours=1)
    assert {key: text for key, (_, text) in reasons(relay).items()} == {
        f'{{"OrderId":{order}}}': "handed out several times without an outcome: the process ended, or the trigger's payload could "
        "not be matched"
        for order in (1, 2, 3)
    }
    relay.stack.sql.clear_faults()
    assert relay.advance(hours=4, until=lambda: all(relay.accepted(order) for order in (1, 2, 3)))
    relay.advance(hours=1)
    assert relay.ledger() == []


@pytest.mark.parametrize("watched", [True, False])
def test_an_unwatched_change_of_an_unreadable_row_is_no_failure(make_relay: Callable[..., Relay], watched: bool) -> None:
    config = changed_config(table='"dbo.Orders"\nwatch = ["A"]')
    relay = make_relay(config, TABLE.format(column=SPARED.format(value="100 / LEN(T)")))
    relay.execute("INSERT INTO dbo.Orders (OrderId, A, T) VALUES (1, 1, N'a'), (2, 1, N'b')")
    relay.advance(hours=1)
    relay.execute(f"UPDATE dbo.Orders SET T = N''{', A = 2' if watched else ''} WHERE OrderId = 1")
    relay.advance(5)
    assert len(relay.ledger()) == int(watched)
