"""The threats of docs/security.md that need the whole app: odd names, row values on their way out, endpoints without a key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from devtools.stack import ROOT
from emulators.launch import FunctionsHost
from tests.harness.running_relay import CONFIG, Relay, changed_config

NASTY = "'; DROP TABLE dbo.Orders; --\r\nX-Injected: yes"


MAIL = """
[notifications.email]
connection = "%EMAIL_CONNECTION_STRING%"
sender = "%EMAIL_SENDER%"
recipients = ["ops@example.com"]
"""


def check_headers(relay: Relay) -> None:
    """Nothing of a row, nor anything that a row could have added."""
    for attempt in relay.posts():
        assert "X-Injected" not in attempt.headers
        assert not any("DROP TABLE" in text or "yes" in text for text in attempt.headers.values())
        assert re.fullmatch("[0-9a-f]{32}", attempt.headers["Idempotency-Key"])
        assert attempt.headers["Rowpost-Version"].isdigit()


def test_row_values_and_what_the_api_answers_reach_neither_headers_nor_logs_nor_people(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG + MAIL)
    relay.reject(1, status=500, body=f"the row was {NASTY}")
    relay.execute(
        "INSERT INTO dbo.Orders (OrderId, Customer, Secret) VALUES (1, LEFT(?, 40), N'top secret'), (2, LEFT(?, 40), NULL)",
        NASTY,
        NASTY,
    )
    relay.advance(hours=14)
    row = relay.accepted(2)
    assert row is not None and row["Customer"] == NASTY[:40]
    check_headers(relay)
    letters = relay.get("/api/relays/dbo.Orders/rows")
    assert len(letters["rows"]) == 1 and {"alarm", "dead_letter"} <= {body["kind"] for body in relay.alerts()}
    mails = relay.stack.email.messages()
    assert len(mails) >= 2
    people = str(relay.alerts()) + str(mails) + json.dumps(letters) + json.dumps(relay.status())
    said = people + relay.host_log() + str(relay.execute("SELECT * FROM rowpost.Ledger"))
    for secret in ("DROP TABLE", "top secret", "local-key"):
        assert secret not in said


def test_a_key_of_any_text_is_delivered_under_headers_that_it_has_no_part_in(make_relay: Callable[..., Relay]) -> None:
    """At once, after built-in attempts, and by recovery, which has it from the ledger."""
    relay = make_relay(tables="CREATE TABLE dbo.Orders (Code nvarchar(80) NOT NULL PRIMARY KEY, Total int NULL)")
    at_once, later = NASTY, f"\"quoted\" 'and' {NASTY}\r\n\r\n{{}}"
    relay.stack.downstream.add_rule(match={"key": {"Code": later}}, status=503)
    relay.execute("INSERT INTO dbo.Orders VALUES (?, 1), (?, 2)", at_once, later)
    relay.advance(hours=2)
    assert relay.ledger() and len(relay.posts()) > 8, "recovery posts it by now"
    relay.accept_all()
    relay.advance(hours=2)
    for code, total in ((at_once, 1), (later, 2)):
        state = relay.stack.downstream.find("dbo.Orders", {"Code": code})
        assert state is not None and state.row == {"Code": code, "Total": total}
    relay.execute("DELETE FROM dbo.Orders")
    relay.advance(30)
    found = [relay.stack.downstream.find("dbo.Orders", {"Code": code}) for code in (at_once, later)]
    assert [state is not None and state.operation for state in found] == ["delete", "delete"]
    check_headers(relay)
    assert relay.ledger() == [] and "DROP TABLE" not in relay.host_log()


def test_the_host_log_tells_that_tls_is_off_and_nothing_of_the_address(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(settings={"ALERT_WEBHOOK_URL": "http://somebody:hidden@hooks.invalid/hidden?code=hidden"})
    relay.advance(900)
    lines = [line for line in relay.host_log().splitlines() if "not encrypted" in line]
    assert len(lines) == 1 and " warning " in lines[0] and "notifications.webhooks[0].url: http is not encrypted" in lines[0]
    assert "hidden" not in relay.host_log()


@pytest.mark.parametrize("column", ["Odd ] name", "it's", 'quo"ted', "back\\slash", "SELECT", "'; DROP TABLE dbo.Orders; --"])
def test_a_column_of_any_name_is_quoted(make_relay: Callable[..., Relay], column: str) -> None:
    """In the table as in ``send`` and ``watch``; so is a lease table's name."""
    quoted = "[" + column.replace("]", "]]") + "]"
    names = json.dumps([column])
    options = f'send = {names}\nwatch = {names}\nleases_table = "Leases; DROP TABLE dbo.Orders --"\n'
    tables = f"CREATE TABLE dbo.Orders (OrderId int NOT NULL PRIMARY KEY, {quoted} int NULL, Other int NULL)"
    relay = make_relay(CONFIG + options, tables)
    relay.execute(f"INSERT INTO dbo.Orders (OrderId, {quoted}) VALUES (1, 5)")
    relay.advance(5)
    assert relay.accepted(1) == {"OrderId": 1, column: 5}
    relay.advance(600)  # the watchdog moves the base of the masks
    relay.execute("UPDATE dbo.Orders SET Other = 1")
    relay.advance(5)
    assert len(relay.posts(1)) == 1, "nobody watches it"
    relay.reject(1, status=503)
    relay.execute(f"UPDATE dbo.Orders SET {quoted} = 6")
    relay.advance(hours=1)
    relay.accept_all()
    relay.advance(hours=2)
    assert relay.accepted(1) == {"OrderId": 1, column: 6} and relay.ledger() == []


@pytest.mark.parametrize("name", ["dbo.Orders; DROP TABLE x", "dbo.[Orders]", "dbo.Orders'", "a.b.c"])
def test_a_table_name_that_is_more_than_a_name_is_refused(make_relay: Callable[..., Relay], name: str) -> None:
    config = changed_config(table=json.dumps(name))
    if ";" in name:  # a legal name of a table that does not exist: it is quoted, and told to be missing
        relay = make_relay(config, start=False)
        relay.stack.start_services()
        relay.execute("CREATE TABLE dbo.x (Id int NOT NULL PRIMARY KEY)")
        relay.stack.start_host()
        relay.advance(5)
        assert "no such table" in relay.host_log()
        assert relay.execute("SELECT OBJECT_ID(N'dbo.x', N'U')")[0][0] is not None
    else:
        with pytest.raises(Exception, match=r"relays\[0\]\.table"):
            make_relay(config)


MANAGEMENT = ("GET", "/runtime/webhooks/durabletask/instances")


def operations(relay: Relay) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """A request for each operation of the API, and what a caller of it must be allowed to do, by the name of its function."""
    places = {"relay": "dbo.Orders", "key": "1", "incident": "1"}
    requests, access = {}, {}
    for route, methods in relay.get("/api/openapi")["paths"].items():
        for method, operation in methods.items():
            requests[operation["operationId"]] = (method.upper(), f"/api{route.format_map(places)}")
            access[operation["operationId"]] = operation["x-access"]
    return requests, access


def test_every_endpoint_asks_for_a_key_and_each_caller_has_its_own(relay: Relay) -> None:
    """On Azure keys are always asked for; here the host asks for them when it is told to."""
    requests, access = operations(relay)
    guarded = FunctionsHost(ROOT, relay.directory, relay.time.spec, relay.stack.settings, name="guarded", enable_auth=True).start()
    try:
        for method, path in (*requests.values(), MANAGEMENT):
            assert guarded.request(method, path).status_code == 401, path
            assert guarded.request(method, path, headers={"x-functions-key": "wrong"}).status_code == 401, path
        keys = json.loads((guarded.data / "keys.json").read_text())
        assert guarded.request("GET", "/api/relays", headers={"x-functions-key": keys["host"]}).status_code == 200
        assert keys["functions"].keys() - requests.keys() == {"get_console"}, (
            "the pages hold no data: they ask for the key themselves"
        )
        pages = guarded.request("GET", "/api/console")
        assert pages.status_code == 200 and "dbo.Orders" not in pages.text
        page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        groups = {
            name: re.findall("`(.+?)`", row) for name, row in re.findall(r"^\| `([\w-]+)` \| [^|`]+ \| (`.+`) \|$", page, re.M)
        }
        assert set().union(*groups.values()) == requests.keys()
        for level in ("read", "operate", "administer"):
            assert set(groups.get(level, ())) == {name for name, found in access.items() if found == level}
        for caller, functions in groups.items():
            for function in functions:
                put = {"headers": {"x-functions-key": keys["master"]}, "json": {"value": f"key of {caller}"}}
                assert guarded.request("PUT", f"/admin/functions/{function}/keys/{caller}", **put).status_code == 201
        for caller, functions in groups.items():
            given = {"x-functions-key": f"key of {caller}"}
            opened = [name for name, asked in requests.items() if guarded.request(*asked, headers=given).status_code != 401]
            assert opened == [name for name in requests if name in functions], caller
            assert guarded.request(*MANAGEMENT, headers=given).status_code == 401
    finally:
        guarded.stop()
