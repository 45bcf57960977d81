"""TLS off by mistake: told at start, for each address and for the database; nothing is told of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowpost.app import load_app
from tests.config.relay_toml import SETTINGS, load, shipped

SAFE = {  # settings under which nothing is exposed
    **SETTINGS,
    "SqlConnectionString": "Server=tcp:sql.example,1433;Database=rowpost;User ID=hidden-user;Password=hidden-sql;Encrypt=True",
}
WHERE = {"DOWNSTREAM_URL": "http://{}/hidden?code=hidden", "ALERT_WEBHOOK_URL": "HTTP://{}:8080/hidden"}
WHERE |= {"EMAIL_CONNECTION_STRING": "endpoint=http://{}/;accesskey=hidden"}
FIELDS = {"DOWNSTREAM_URL": "targets[0].url", "ALERT_WEBHOOK_URL": "notifications.webhooks[0].url"}
FIELDS |= {"EMAIL_CONNECTION_STRING": "notifications.email.connection"}
ELSEWHERE = ["api.example", "10.0.0.7", "128.0.0.1", "[fe80::1]", "[::]", "0.0.0.0", "localhost.example", "127.0.0.1.example"]
HERE = ["localhost", "LOCALHOST", "127.0.0.1", "127.8.7.6", "[::1]"]


def told_at_start(settings: dict[str, str], folder: Path, text: str | None = None) -> list[str]:
    load(text or shipped(), folder, settings)
    warnings = list(load_app(folder, settings).warnings)
    for told in warnings:
        assert "hidden" not in told and "//" not in told and "\n" not in told, "one line, and nothing of a setting's value"
    return warnings


def test_with_tls_everywhere_nothing_is_told(tmp_path: Path) -> None:
    assert told_at_start(SAFE, tmp_path) == []
    assert told_at_start(SETTINGS, tmp_path) == [], "both drivers encrypt, and verify, if nothing is said"


@pytest.mark.parametrize("setting", WHERE)
@pytest.mark.parametrize("host", ELSEWHERE)
def test_http_to_another_machine_is_told_at_start(setting: str, host: str, tmp_path: Path) -> None:
    (told,) = told_at_start(SAFE | {setting: WHERE[setting].format(host)}, tmp_path)
    assert told.startswith(f"{FIELDS[setting]}: http is not encrypted") and told.endswith("use an https address")


@pytest.mark.parametrize("host", HERE)
def test_http_to_this_machine_is_nobodys_business(host: str, tmp_path: Path) -> None:
    here = {setting: address.format(host) for setting, address in WHERE.items()}
    assert told_at_start(SAFE | here, tmp_path) == []


def test_the_endpoint_of_a_managed_identity_is_looked_at_too(tmp_path: Path) -> None:
    text = """
relays = [{ table = "dbo.Orders" }]
targets = [{ name = "api", url = "http://api.example/" }]
notifications.email = { sender = "a@example.com", recipients = ["b@example.com"], endpoint = "http://mail.example" }
notifications.webhooks = [{ url = "https://hooks.example" }, { url = "http://hooks.example" }]
"""
    fields = [told.partition(": ")[0] for told in told_at_start(SAFE, tmp_path, text)]
    assert fields == ["targets[0].url", "notifications.webhooks[1].url", "notifications.email.endpoint"]


CLEAR = "Encrypt is off: rows and password can be read on the way; set Encrypt=True"
TRUSTING = "TrustServerCertificate is on: any server can pose as yours; set TrustServerCertificate=False"


@pytest.mark.parametrize(
    ("pairs", "texts"),
    [
        ("Encrypt=False", [CLEAR]),
        ("encrypt=optional", [CLEAR]),
        ("Trust Server Certificate=yes", [TRUSTING]),
        ("Encrypt=True;TrustServerCertificate=True", [TRUSTING]),
        ("Encrypt=no;TrustServerCertificate=True", [CLEAR, TRUSTING]),
        ("Encrypt=Strict;TrustServerCertificate=True", []),
        ("Encrypt=Mandatory;TrustServerCertificate=False", []),
        ("Encrypt=False;Encrypt=True", []),
    ],
)
def test_a_connection_to_sql_server_without_tls_is_told_at_start(pairs: str, texts: list[str], tmp_path: Path) -> None:
    sql = f"Server=sql.example;Database=rowpost;User ID=hidden-user;Password=hidden-sql;{pairs}"
    assert told_at_start(SAFE | {"SqlConnectionString": sql}, tmp_path) == [f"SqlConnectionString: {text}" for text in texts]


SERVERS = [
    "tcp:sql.example,1433",
    "sql.example\\localhost",
    "10.0.0.7,1433",
    "2001:db8::1,1433",
    "localhost.example",
    "np:sql.example",
]
OURS = ["localhost", "tcp:localhost,1433", "TCP:127.0.0.1,1433", "127.8.7.6", "::1,1433", "tcp:::1", "localhost\\SQLEXPRESS", "."]
OURS += ["(local)", ".\\SQLEXPRESS", "tcp:[::1],1433"]


@pytest.mark.parametrize(("server", "count"), [*((server, 1) for server in SERVERS), *((server, 0) for server in OURS)])
def test_a_sql_server_on_this_machine_needs_no_tls(server: str, count: int, tmp_path: Path) -> None:
    sql = f"Server={server};Database=rowpost;User ID=hidden-user;Password=hidden-sql;Encrypt=False"
    assert len(told_at_start(SAFE | {"SqlConnectionString": sql}, tmp_path)) == count
