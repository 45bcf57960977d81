"""Every kind of failure, with secrets and rows that are easy to find: no log, notice, history or answer tells of them.

The rule of docs/security.md: values of rows go to the target and nowhere else. Keys of rows are also in the ledger and the leases
of the database, and in the answer that lists dead letters. Secrets are nowhere.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from emulators.process import EmulatorError
from infra.prepare_database import prepare
from tests.harness.certificates import issue
from tests.harness.http_server import Asked, Given, HttpServer
from tests.harness.identity_endpoint import HEADER, IdentityEndpoint
from tests.harness.raw_server import RawServer, reset
from tests.harness.running_relay import INSTANCES, Relay

LOGIN = "CREATE LOGIN app WITH PASSWORD = N'sql-pass-Qk71'; CREATE USER app FOR LOGIN app; ALTER ROLE rowpost_app ADD MEMBER app"
SERVERS, CLIENT = issue("Servers", authority=True), issue("client")
LOCKED_KEY = CLIENT.locked_key_pem(b"key-pass-Kp66")
SECRETS = {
    "password of the database": "sql-pass-Qk71",
    "user in the target's address": "api-user-Zt82",
    "password in the target's address": "api-pass-Lm93",
    "code in the target's address": "api-code-Vw54",
    "header of the target": "api-header-Hd15",
    "code in the webhook's address": "hook-code-Wb26",
    "path of the webhook's address": "hook-path-Wp37",
    "key of the mail service": "cm93cG9zdC1lbXVsYXRvcg==",
    "code of a caller of the API": "caller-code-Fk48",
    "a setting that is wrong": "wrong-setting-Ws59",
    "password of the target": "basic-pass-Bp61",
    "secret of the client": "client-secret-Cs63",
    "token of the login": "login-token-Lt64",
    "secret of signatures": "signing-secret-Ss65-signing-secret",
    "password of the client's key": "key-pass-Kp66",
    "key of the client": LOCKED_KEY.splitlines()[2],
    "token of the identity": "identity-token-It67",
    "header of the identity": HEADER,
}
VALUES = {
    "text": "row-customer-Cu61",
    "text that is not sent": "row-hidden-Hi72",
    "text that cannot be converted": "row-convert-Co83",
    "number": "98765.4321",
    "what the target said": "said-by-target-Sa94",
}
KEYS = {"poison": "key-poison-Po16", "unreadable": "key-unread-Un27", "good": "key-good-Go38", "hostile": "key-hostile-Ho49"}

TABLES = """
CREATE TABLE dbo.Orders (
    Code nvarchar(60) NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Customer nvarchar(60) NULL, Total decimal(20, 4) NULL,
    Hidden nvarchar(60) NULL, T nvarchar(40) NULL, Q AS CASE WHEN APP_NAME() LIKE N'rowpost%' THEN CAST(T AS int) END
)
GO
CREATE TABLE dbo.Items (Code nvarchar(60) NOT NULL CONSTRAINT PK_Items PRIMARY KEY, Customer nvarchar(60) NULL)
"""
CONFIG = """
[[targets]]
name = "api"
url = "%DOWNSTREAM_URL%"
timeout = "1s"
batch_budget = "10s"
[targets.headers]
X-Api-Key = "%DOWNSTREAM_API_KEY%"
X-Second = "%SECOND_KEY%"
[[targets]]
name = "hostile"
url = "%HOSTILE_URL%"
timeout = "1s"
[targets.signature]
secrets = ["%SIGNING_SECRET%"]
[[targets]]
name = "basic"
url = "%BASIC_URL%"
timeout = "1s"
[targets.basic]
user = "rowpost"
password = "%PASSWORD%"
[[targets]]
name = "login"
url = "%SECURED_URL%"
timeout = "1s"
ca = "%SECURED_CA%"
[targets.oauth2]
token_url = "%TOKEN_URL%"
client_id = "rowpost"
client_secret = "%CLIENT_SECRET%"
ca = "%SECURED_CA%"
[targets.client_certificate]
certificate = "%CLIENT_CERTIFICATE%"
key = "%CLIENT_KEY%"
password = "%CLIENT_KEY_PASSWORD%"
[[targets]]
name = "identity"
url = "%BASIC_URL%"
timeout = "1s"
[targets.managed_identity]
resource = "api://example"
[notifications]
after_rounds = 2
[notifications.email]
connection = "%EMAIL_CONNECTION_STRING%"
sender = "%EMAIL_SENDER%"
recipients = ["throttled@example.com", "rejected@example.com", "fine@example.com"]
[[notifications.webhooks]]
url = "%ALERT_WEBHOOK_URL%"
[[notifications.webhooks]]
url = "%HOSTILE_HOOK%"
[retry]
max_delay = "20m"
window = "3h"
[watchdog]
schedule = "0 */5 * * * *"
[[relays]]
table = "dbo.Orders"
target = "api"
send = ["Code", "Customer", "Total", "Q"]
[[relays]]
table = "dbo.Items"
target = "hostile"
[[relays]]
name = "by-password"
table = "dbo.Items"
target = "basic"
[[relays]]
name = "by-token"
table = "dbo.Items"
target = "login"
[[relays]]
name = "by-identity"
table = "dbo.Items"
target = "identity"
"""
SAID = f"{VALUES['what the target said']} {VALUES['text']} {VALUES['number']} {KEYS['hostile']}"
ANSWERS = [
    f"HTTP/1.1 500 {SAID}\r\nContent-Length: 0\r\n\r\n".encode(),
    f"HTTP/1.1 302 Found\r\nLocation: //[{SAID}\r\nContent-Length: 0\r\n\r\n".encode(),
    f"HTTP/1.1 500 X\r\n{SAID}\r\nContent-Length: nought\r\n\r\n".encode(),
    f"HTTP/1.1 503 X\r\nRetry-After: {SAID}\r\nSet-Cookie: {SAID}; Expires=x\r\nContent-Encoding: gzip\r\n\r\n{SAID}".encode(),
    f"{SAID}\r\n\r\n".encode(),
    f"HTTP/1.1 429 {SAID}\r\nContent-Length: 999\r\n\r\n{SAID}".encode(),
    f"HTTP/1.1 422 X\r\nContent-Type: text/html; charset={SAID}\r\nContent-Length: {len(SAID)}\r\n\r\n{SAID}".encode(),
    b"",
]


TOKENS = [  # what the login and the identity endpoint answer, in turn
    Given(200, b'{"access_token": "%s", "expires_in": 2}'),
    Given(400, f'{{"error": "{SAID}", "error_description": "%s {SAID}"}}'.encode(), {"Content-Type": "application/json"}),
    Given(200, b'{"access_token": "%s\\r\\nX-Evil: 1"}'),
    Given(200, f"%s {SAID}".encode(), {"Content-Type": "application/json"}),
    Given(500, f"%s {SAID}".encode()),
]


def in_turn(token: str, answers: list[Given]) -> Callable[[Asked], Given]:
    """Answer with one after the other, and the token in each."""
    numbers = itertools.count()

    def answer(_: Asked) -> Given:
        given = answers[next(numbers) % len(answers)]
        return replace(given, body=given.body.replace(b"%s", token.encode()))

    return answer


@contextlib.contextmanager
def those_who_ask_who_calls(folder: Path) -> Iterator[dict[str, str]]:
    """A login, an identity endpoint and two targets, all hostile by turns: gives the settings that name them."""
    tls = issue("server", SERVERS).tls(folder)
    refusing = [Given(200), Given(401, SAID.encode()), Given(401, SAID.encode()), Given(500, SAID.encode())]
    secured, plain = HttpServer(in_turn("", refusing), tls), HttpServer(in_turn("", refusing))
    login, identity = HttpServer(in_turn(SECRETS["token of the login"], TOKENS), tls), IdentityEndpoint("identity-token-It67")
    identity.seconds = 1
    usual, odd = identity.answer, in_turn(SECRETS["token of the identity"], TOKENS)
    identity.answer = lambda asked: usual(asked) if len(identity.asked) % 3 == 1 else odd(asked)
    with secured, plain, login, identity:
        yield {
            **identity.settings(),
            "BASIC_URL": f"{plain.url}/rows",
            "SECURED_URL": f"{secured.url}/rows",
            "TOKEN_URL": f"{login.url}/token",
            "SECURED_CA": SERVERS.pem,
            "PASSWORD": SECRETS["password of the target"],
            "CLIENT_SECRET": SECRETS["secret of the client"],
            "SIGNING_SECRET": base64.b64encode(SECRETS["secret of signatures"].encode()).decode(),
            "CLIENT_CERTIFICATE": CLIENT.pem,
            "CLIENT_KEY": LOCKED_KEY,
            "CLIENT_KEY_PASSWORD": SECRETS["password of the client's key"],
        }
        for server in (secured, plain, login, identity):
            assert len(server.asked) >= 8, "each of them was asked, and has given each answer"


def hostile(server: RawServer) -> None:
    """Each connection gets the next of the answers; the last of them is a reset."""

    def handle(connection: Any, number: int) -> None:
        server.read_request(connection)
        answer = ANSWERS[number % len(ANSWERS)]
        if answer:
            connection.sendall(answer)
        else:
            reset(connection)

    server.handler = handle


@pytest.fixture
def relay(make_relay: Callable[..., Relay], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """Prepared, with the app's own login; its host does not run yet."""
    folder = tmp_path_factory.mktemp("servers")
    with RawServer() as target, RawServer() as hook, those_who_ask_who_calls(folder) as named:
        for each in (target, hook):
            hostile(each)
        made = make_relay(CONFIG, TABLES, start=False)
        stack = made.stack
        stack.start_services()
        at = stack.downstream.url.removeprefix("http://")
        secret_address = f"http://api-user-Zt82:api-pass-Lm93@{at}/rows?code=api-code-Vw54"
        stack.change_settings(
            named
            | {
                "SqlConnectionString": f"Server=127.0.0.1,{stack.sql.port};Database=rowpost;User ID=app;Password=sql-pass-Qk71;"
                "Encrypt=false",
                "DOWNSTREAM_URL": secret_address,
                "SECOND_KEY": SECRETS["header of the target"],
                "HOSTILE_URL": f"http://api-user-Zt82:api-pass-Lm93@127.0.0.1:{target.port}/rows?code=api-code-Vw54",
                "ALERT_WEBHOOK_URL": f"http://{at}/alerts?code=hook-code-Wb26",
                "HOSTILE_HOOK": f"http://127.0.0.1:{hook.port}/hook-path-Wp37?code=hook-code-Wb26",
            }
        )
        stack._extra["ALERT_WEBHOOK_URL"] = f"http://{at}/alerts?code=hook-code-Wb26"
        stack.prepare()
        made.execute(LOGIN)
        prepare(stack.connection, stack.config)
        yield made
        assert min(target.connections, hook.connections) >= len(ANSWERS), "each hostile answer was given"


def forms(text: str) -> set[bytes]:
    """The bytes of a text as they may stand somewhere: plain, escaped, encoded."""
    plain = text.encode()
    shifted = {base64.b64encode(b"x" * shift + plain)[(4 if shift else 0) : -4] for shift in range(3)}
    return {plain, quote(text).encode(), text.encode("utf-16-le"), plain.hex().encode(), *shifted}


def found(searched: dict[str, bytes], wanted: dict[str, str]) -> list[tuple[str, str]]:
    """Which of the wanted texts stand where."""
    return [
        (where, what)
        for where, content in searched.items()
        for what, text in wanted.items()
        if any(form in content for form in forms(text))
    ]


def fail_in_every_way(relay: Relay) -> list[requests.Response]:
    """All kinds of failures, one after the other; returns what the API answered meanwhile."""
    stack, answers = relay.stack, []
    host = stack.start_host()
    relay.advance(5)

    def ask(method: str, path: str, **options: Any) -> None:
        options["params"] = {**options.get("params", {}), "code": SECRETS["code of a caller of the API"]}
        answers.append(host.request(method, path, **options))

    row = "INSERT INTO dbo.Orders (Code, Customer, Total, Hidden, T) VALUES (?, ?, ?, ?, ?)"
    rest = (VALUES["text"], "98765.4321", VALUES["text that is not sent"])
    stack.downstream.add_rule(match={"key": {"Code": KEYS["poison"]}}, status=422, body=SAID)
    stack.downstream.add_rule(match={"path": "/alerts"}, status=500, body=SAID, times=3)
    stack.email.set_faults(
        [
            {"mailbox": "throttled@example.com", "kind": "throttle", "times": 3, "retry_after": 60, "code": "Throttled"},
            {"mailbox": "rejected@example.com", "kind": "reject", "code": "Rejected"},
        ]
    )
    relay.execute(row, KEYS["good"], *rest, "12")
    relay.execute(row, KEYS["poison"], *rest, "13")
    relay.execute(row, KEYS["unreadable"], *rest, VALUES["text that cannot be converted"])
    for number in range(len(ANSWERS)):
        relay.execute("INSERT INTO dbo.Items VALUES (?, ?)", f"{KEYS['hostile']}-{number}", VALUES["text"])
    relay.advance(minutes(10))
    assert [a for a in relay.posts() if a.status is not None and a.status < 300 and VALUES["text"] in str(a.body)]
    for mode in ("refuse", "slow"):
        stack.downstream.set_mode(mode, path="/rows", **({"seconds": 2.0} if mode == "slow" else {}))
        relay.execute("UPDATE dbo.Orders SET Customer = Customer + N'!' WHERE Code = ?", KEYS["good"])
        relay.advance(30)
    stack.downstream.set_mode("up")
    stack.email.set_mode("down", retry_after=60)
    for number, text in (
        (2627, f"The duplicate key value is ({KEYS['poison']})."),
        (2628, f"Truncated value: '{VALUES['text']}'."),
    ):
        for pattern in ("rowpost.Ledger", "CHANGETABLE"):
            stack.sql.inject(pattern=pattern, application="^rowpost", action="error", number=number, message=text, times=3)
        relay.execute("UPDATE dbo.Orders SET Total = Total + 0 WHERE Code IN (?, ?)", KEYS["good"], KEYS["poison"])
        relay.advance(minutes(12))
    for action in ("drop_before", "drop_after"):
        stack.sql.inject(pattern="rowpost", application="^rowpost", action=action, times=2)
        relay.execute("UPDATE dbo.Orders SET Total = Total + 0 WHERE Code = ?", KEYS["good"])
        relay.advance(minutes(2))
    host.add_durable_fault("error")
    relay.advance(minutes(12))
    host.clear_durable_faults()
    stack.email.set_mode("up")
    for path in ("relays", "health", "relays/dbo.Orders/columns", "relays/nobody/columns", "relays/dbo.Items", "audit"):
        ask("GET", f"/api/{path}")
    for content in (b"{", b"[" * 40000, b'{"columns": ["nobody"]}', b'{"columns": "\\ud800"}', b"\xff" * 100):
        ask("PUT", "/api/relays/dbo.Orders/columns", data=content)
    ask("GET", "/api/relays/dbo.Orders/rows", params={"limit": "9" * 5000})
    for order in ("retry", "replay", "resync", "resync"):
        ask("POST", f"/api/relays/dbo.Orders/{order}")
    relay.advance(minutes(3))
    stack.downstream.set_mode("slow", path="/rows", seconds=2.0)
    relay.execute("UPDATE dbo.Orders SET Total = Total + 0 WHERE Code = ?", KEYS["good"])
    relay.advance(1)
    host.kill()
    stack.downstream.set_mode("up")
    wrong = SECRETS["a setting that is wrong"]
    for settings in (
        {"DOWNSTREAM_URL": f"ftp://x:{wrong}@api.example.com/rows"},
        {"DOWNSTREAM_URL": f"@Microsoft.KeyVault(SecretUri=https://{wrong}.vault.azure.net/secrets/x)"},
        {"SqlConnectionString": f"Server=127.0.0.1,{stack.sql.port};Database=rowpost;User ID=app;Password={wrong};Encrypt=false"},
        {"SqlConnectionString": f"Server=127.0.0.1;Passwort={wrong}"},
        {"SECOND_KEY": f"{wrong}\n{wrong}"},
        {"EMAIL_CONNECTION_STRING": f"endpoint={wrong};accesskey={wrong}"},
        {"TOKEN_URL": f"https://{wrong}:x@login.example/"},
        {"CLIENT_SECRET": f"{wrong}\n{wrong}"},
        {"SIGNING_SECRET": wrong},
        {"CLIENT_KEY": wrong},
        {"CLIENT_KEY_PASSWORD": wrong},
    ):
        start_with(relay, settings)
    host = stack.start_host()
    relay.advance(minutes(10))
    relay.advance(hours=4)
    relay.execute("ALTER TABLE dbo.Items DISABLE CHANGE_TRACKING")
    relay.advance(hours=1)
    ask("GET", "/api/relays")
    return answers


def minutes(count: float) -> float:
    return 60 * count


def start_with(relay: Relay, settings: dict[str, str]) -> None:
    """Start the host with some settings that are wrong, look at what it does, and end it."""
    stack, before = relay.stack, dict(relay.stack._extra)
    stack.change_settings(settings)
    with contextlib.suppress(EmulatorError):  # a mistake that is found while the app is loaded ends the start
        stack.start_host()
        relay.advance(20)
    assert stack.host is not None
    stack.host.kill()
    stack._extra = before


def everything(relay: Relay, answers: list[requests.Response]) -> dict[str, bytes]:
    """All that people, and whoever may read logs and storage, can find."""
    stack, host = relay.stack, relay.stack.host
    assert host is not None
    searched = {f"answer {number} of {answer.url.split('?')[0]}": answer.content for number, answer in enumerate(answers)}
    searched["status"] = json.dumps(relay.get("/api/relays")).encode()
    searched["notices by webhook"] = json.dumps(relay.alerts()).encode()
    searched["notices by mail"] = repr(stack.email.messages()).encode()
    listed = host.request("GET", f"{INSTANCES}?showInput=true&top=1000").json()
    shown = [host.request("GET", f"{INSTANCES}/{each['instanceId']}?showHistory=true&showHistoryOutput=true") for each in listed]
    assert len(shown) > 5 and any(b"historyEvents" in answer.content for answer in shown)
    searched["instances"] = json.dumps(listed).encode() + b"".join(answer.content for answer in shown)
    for path in sorted(relay.directory.rglob("*")):
        if path.is_file() and not of_the_test(path):
            searched[f"file {path.relative_to(relay.directory)}"] = path.read_bytes()
    assert any(where.endswith("functions_host.log") for where in searched)
    for table in ("Ledger", "Notices", "NoticeRecipients", "Incidents", "IncidentHistory", "Relays", "Resyncs", "Lives"):
        rows = relay.execute(f"SELECT * FROM rowpost.{table}")
        searched[f"table {table}"] = repr([tuple(row) for row in rows]).encode()
    return searched


def of_the_test(path: Path) -> bool:
    """The database itself, and what the test or the emulator of SQL Server wrote."""
    return path.name.startswith(("sql_server", "tables.sql", "relay.toml", "keys.json"))


def test_no_secret_and_no_value_of_a_row_is_told(relay: Relay) -> None:
    answers = fail_in_every_way(relay)
    searched = everything(relay, answers)
    relay.execute("ALTER TABLE dbo.Items ENABLE CHANGE_TRACKING")  # a relay that cannot run shows nothing
    letters = [relay.get(f"/api/relays/dbo.{table}/rows?state=dead")["rows"] for table in ("Orders", "Items")]
    assert KEYS["poison"] in str(letters[0]) and len(letters[1]) == len(ANSWERS)
    told = {body["kind"] for body in relay.alerts()}
    assert {"alarm", "dead_letter", "unable"} <= told, told
    log = relay.host_log()
    for failure in ("422", "no answer in time", "245", "2627", "must be an http or https address"):
        assert failure in log or failure in str(searched["table Ledger"]), failure
    pages = [relay.get(f"/api/relays/dbo.{table}/{page}") for table in ("Orders", "Items") for page in ("groups", "timeline")]
    searched["dead letters"] = json.dumps([letters, pages]).encode()
    assert found(searched, SECRETS | VALUES) == []
    told_keys = {"table Ledger", "table Resyncs", "table Notices", "dead letters", "notices by webhook", "notices by mail"}
    assert found({where: content for where, content in searched.items() if where not in told_keys}, KEYS) == []
    assert found(searched, KEYS) != [], "the search finds what is there"


@pytest.mark.parametrize("text", ["row-customer-Cu61", "api-pass-Lm93", "98765.4321"])
def test_the_search_finds_a_text_however_it_is_written(text: str) -> None:
    wanted = {"it": text}
    for content in (
        f"x{text}y".encode(),
        json.dumps({"a": json.dumps({"b": text})}).encode(),
        *(base64.b64encode(f"{'u' * n}:{text}:v".encode()) for n in range(4)),
        f"-{text}-".encode("utf-16-le"),
        text.encode().hex().encode(),
        quote(f"?code={text}").encode(),
    ):
        assert found({"here": b"before " + content + b" after"}, wanted) == [("here", "it")], content
    assert found({"here": b"something else"}, wanted) == []
