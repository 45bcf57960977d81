"""What a relay would send, before it sends anything: over HTTP, and by ``dev.py preview`` with and without a database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.devtools.commands import URL, dev, written
from tests.harness.running_relay import Relay, changed_config

RELAY = """"dbo.Orders"
send = ["OrderId", "Customer", "Total"]
watch = ["Total"]
upsert = "PUT /orders/{OrderId}"
delete = "DELETE /orders/{OrderId}"
[relays.headers]
X-Tenant = "%DOWNSTREAM_API_KEY%"
"""


def test_the_preview_has_the_settings_and_a_sample_without_secrets(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table=RELAY))
    found = relay.get("/api/preview/dbo.Orders")
    assert relay.posts() == []
    settings, sample = found["configuration"], found["sample"]
    assert settings["relay"]["watch"] == ["Total"] and settings["retry"]["window"] == 12 * 3600
    assert settings["target"]["headers"] == {"X-Api-Key": "…"} and settings["relay"]["headers"] == {"X-Tenant": "…"}
    assert relay.stack.settings["DOWNSTREAM_API_KEY"] not in json.dumps(found)
    assert found["columns"][0] == {"name": "OrderId", "type": "int", "key": True}
    assert (sample["upsert"]["method"], sample["delete"]["method"]) == ("PUT", "DELETE")
    assert sample["upsert"]["url"].endswith("/rows/orders/1") and sample["delete"]["body"] is None
    assert "Secret" not in json.dumps(sample)
    relay.insert(1)
    relay.advance(5)
    sent = relay.stack.downstream.attempts()[-1]
    assert {name for name in sample["upsert"]["headers"] if name.startswith("Rowpost")} <= {*sent.headers}


def test_the_command_works_with_a_database_and_without_one(relay: Relay, tmp_path: Path) -> None:
    written(tmp_path / "relay.toml", f"[[relays]]\ntable = {RELAY}")
    settings = {**URL, "DOWNSTREAM_API_KEY": "secret", "SqlConnectionString": relay.stack.settings["SqlConnectionString"]}
    done = dev("preview", "--config", "relay.toml", cwd=tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    asked = json.loads(done.stdout)
    assert asked["sample"]["upsert"]["url"] == "https://api.example/rows/orders/1" and "secret" not in done.stdout
    offline = dev("preview", "dbo.Orders", "--config", "relay.toml", "--no-database", cwd=tmp_path)
    assert offline.returncode == 0, offline.stderr
    guessed = json.loads(offline.stdout)
    assert guessed["sample"]["upsert"]["url"].endswith("/orders/a")
    assert [column["name"] for column in guessed["columns"]] == ["OrderId", "Customer", "Total"]
    wrong = dev("preview", "dbo.Nothing", "--config", "relay.toml", "--no-database", cwd=tmp_path)
    assert wrong.returncode == 1 and "there is no relay 'dbo.Nothing'" in wrong.stderr
