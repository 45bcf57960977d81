"""The example of a consumer behind the whole app: through an outage its copy becomes the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from rowpost.config.sections import TargetConfig
from tests.harness.example_consumer import RunningConsumer, open_store
from tests.harness.running_relay import Relay, changed_config

SECRET = "whsec_" + "c2VjcmV0" * 5
BATCHES = [["batch = 5"], ["batch = 5", 'format = "plain"', 'batch_format = "ndjson"']]
MANNERS = [[], *(BATCHES if "batch" in TargetConfig.__struct_fields__ else [])]


@pytest.fixture
def consumer(tmp_path: Path) -> Iterator[RunningConsumer]:
    with RunningConsumer(open_store(str(tmp_path / "copy.db")), [SECRET]) as running:
        yield running


def copy(consumer: RunningConsumer) -> dict[int, tuple[str, Decimal]]:
    found = (json.loads(data) for data in consumer.store.rows("dbo.Orders").values())
    return {row["OrderId"]: (row["Customer"], Decimal(row["Total"])) for row in found}


def table(relay: Relay) -> dict[int, tuple[str, Decimal]]:
    return {row[0]: (row[1], row[2]) for row in relay.execute("SELECT OrderId, Customer, Total FROM dbo.Orders")}


@pytest.mark.parametrize("lines", MANNERS, ids=["single", "batch", "lines"][: len(MANNERS)])
def test_the_copy_is_the_table_after_an_outage(
    make_relay: Callable[..., Relay], consumer: RunningConsumer, lines: list[str]
) -> None:
    relay = make_relay(with_signatures(*lines), downstream_url=consumer.url)
    relay.insert(*range(1, 9))
    relay.advance(60, until=lambda: len(copy(consumer)) == 8)
    assert copy(consumer) == table(relay)
    consumer.stop()
    relay.execute("UPDATE dbo.Orders SET Total = 99.5 WHERE OrderId < 4")
    relay.advance(60)
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId IN (3, 4)")
    relay.insert(20, 21)
    relay.advance(hours=2)
    relay.execute("UPDATE dbo.Orders SET Total = 7 WHERE OrderId = 20")
    assert copy(consumer) != table(relay)
    consumer.start()
    assert relay.advance(hours=3, until=lambda: copy(consumer) == table(relay))
    relay.advance(60)
    assert relay.ledger() == [] and set(copy(consumer)) == {1, 2, 5, 6, 7, 8, 20, 21}


def test_a_resync_removes_what_does_not_exist(make_relay: Callable[..., Relay], consumer: RunningConsumer) -> None:
    relay = make_relay(with_signatures(), downstream_url=consumer.url)
    relay.insert(1, 2)
    relay.advance(60, until=lambda: len(copy(consumer)) == 2)
    relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 1")
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING")
    assert relay.stack.host is not None
    relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").raise_for_status()
    assert relay.advance(hours=3, until=lambda: copy(consumer) == table(relay))
    assert set(copy(consumer)) == {2}


def with_signatures(*lines: str) -> str:
    """CONFIG with a signature and compression of what is sent, and further lines of the target."""
    text = changed_config(timeout="\n".join(['"5s"', "gzip = 200", *lines]))
    return text.replace("[notifications]", f'[targets.signature]\nsecrets = ["{SECRET}"]\n[notifications]', 1)
