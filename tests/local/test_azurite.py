"""The storage account that the app expects, on the real Azurite through the real storage SDKs.

What Durable Functions and the host do with it is done here by hand, since the host itself cannot run in a test: the
names are the ones that Durable's Azure Storage backend forms (DurableTask.AzureStorage), the rest is what it rests on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError
from azure.data.tables import TableServiceClient, UpdateMode
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from devtools.npm_tools import ACCOUNT, Azurite, NpmToolError, installed
from devtools.stack import ROOT

pytestmark = [pytest.mark.npm, pytest.mark.timeout(300)]  # the first run installs Azurite

QUEUE_MESSAGE_LIMIT_BYTES = 64 * 1024
_HOST_CONTAINERS = {"azure-webjobs-hosts", "azure-webjobs-secrets"}  # of the Functions host: locks, timers, keys


class TaskHub(NamedTuple):
    """The names that Durable's Azure Storage backend makes of a hub's name and its number of partitions."""

    tables: set[str]
    queues: set[str]
    containers: set[str]

    @classmethod
    def of(cls, name: str, partitions: int) -> TaskHub:
        low = name.lower()
        return cls(
            tables={f"{name}{kind}" for kind in ("Instances", "History", "Partitions")},
            queues={f"{low}-workitems", *(f"{low}-control-{number:02}" for number in range(partitions))},
            containers={f"{low}-{kind}" for kind in ("leases", "applease", "largemessages")},
        )


class Storage(NamedTuple):
    azurite: Azurite
    blobs: BlobServiceClient
    queues: QueueServiceClient
    tables: TableServiceClient


def connect(connection_string: str) -> tuple[BlobServiceClient, QueueServiceClient, TableServiceClient]:
    return (
        BlobServiceClient.from_connection_string(connection_string, retry_total=0),
        QueueServiceClient.from_connection_string(connection_string, retry_total=0),
        TableServiceClient.from_connection_string(connection_string, retry_total=0),
    )


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with Azurite(tmp_path_factory.mktemp("azurite")) as azurite:
        yield Storage(azurite, *connect(azurite.connection_string))


@pytest.fixture(scope="module")
def hub() -> TaskHub:
    """The hub of a host that runs on a machine like this one: host.json names none."""
    durable = json.loads((ROOT / "host.json").read_text())["extensions"]["durableTask"]
    return TaskHub.of(durable.get("hubName", "TestHubName"), durable["storageProvider"].get("partitionCount", 4))


@pytest.fixture(scope="module")
def made(storage: Storage, hub: TaskHub) -> TaskHub:
    """The hub and the host's containers, made in this Azurite."""
    for table in hub.tables:
        storage.tables.create_table(table)
    for queue in hub.queues:
        storage.queues.create_queue(queue)
    for container in hub.containers | _HOST_CONTAINERS:
        storage.blobs.create_container(container)
    return hub


def test_the_setting_in_local_settings_json_means_azurite_at_its_usual_ports() -> None:
    setting = json.loads((ROOT / "local.settings.json").read_text())["Values"]["AzureWebJobsStorage"]
    assert setting == "UseDevelopmentStorage=true"
    blobs, queues, _ = connect(setting)
    assert blobs.url.rstrip("/") == f"http://127.0.0.1:10000/{ACCOUNT}"
    assert queues.url.rstrip("/") == f"http://127.0.0.1:10001/{ACCOUNT}"
    assert blobs.account_name == queues.account_name == ACCOUNT


def test_the_task_hub_of_host_json_gets_the_names_that_durable_gives_it(storage: Storage, made: TaskHub) -> None:
    assert {table.name for table in storage.tables.list_tables()} == made.tables
    assert {queue.name for queue in storage.queues.list_queues()} == made.queues
    assert {container.name for container in storage.blobs.list_containers()} == made.containers | _HOST_CONTAINERS
    assert "testhubname-control-00" in made.queues and "TestHubNameHistory" in made.tables  # spelt out once


@pytest.mark.parametrize("name", ["Row post", "rowpost_"])
def test_azurite_refuses_the_queues_of_an_illegal_hub_name(storage: Storage, name: str) -> None:
    with pytest.raises(HttpResponseError):
        storage.queues.create_queue(f"{name.lower()}-workitems")


def test_making_the_hub_a_second_time_is_told_apart_from_a_failure(storage: Storage, made: TaskHub) -> None:
    with pytest.raises(ResourceExistsError):
        storage.queues.create_queue(min(made.queues), metadata={"another": "one"})
    with pytest.raises(ResourceExistsError):
        storage.tables.create_table(min(made.tables))


@pytest.mark.parametrize("key", ["recovery-dbo_Orders", "notice-alarm-0f8c", "@table_columns@dbo_orders", "recovery-dbo_Größe"])
def test_instance_ids_and_entity_keys_are_legal_partition_keys(storage: Storage, made: TaskHub, key: str) -> None:
    instances = storage.tables.get_table_client("TestHubNameInstances")
    instances.upsert_entity({"PartitionKey": key, "RowKey": "", "RuntimeStatus": "Running"})
    found = list(instances.query_entities("PartitionKey eq @key", parameters={"key": key}))
    assert [entity["PartitionKey"] for entity in found] == [key]


def test_of_two_workers_that_write_history_the_slower_one_is_refused(storage: Storage, made: TaskHub) -> None:
    history = storage.tables.get_table_client("TestHubNameHistory")
    key = {"PartitionKey": "recovery-dbo_Orders", "RowKey": "sentinel"}
    history.create_entity({**key, "ExecutionId": "1"})
    seen = history.get_entity(key["PartitionKey"], key["RowKey"])
    first = [{**key, "ExecutionId": "2"}, {**key, "RowKey": "0000000000000001", "EventType": "TimerFired"}]
    history.submit_transaction(
        [
            (
                "update",
                first[0],
                {"mode": UpdateMode.MERGE, "etag": seen.metadata["etag"], "match_condition": MatchConditions.IfNotModified},
            ),
            ("create", first[1]),
        ]
    )
    with pytest.raises((ResourceModifiedError, HttpResponseError)) as refused:
        history.update_entity(
            {**key, "ExecutionId": "3"}, UpdateMode.MERGE, etag=seen.metadata["etag"], match_condition=MatchConditions.IfNotModified
        )
    assert refused.value.status_code == 412
    assert history.get_entity(key["PartitionKey"], key["RowKey"])["ExecutionId"] == "2"


def test_a_timers_message_stays_invisible_until_it_is_due(storage: Storage, made: TaskHub) -> None:
    control = storage.queues.get_queue_client("testhubname-control-00")
    control.send_message("due in an hour", visibility_timeout=3600)
    control.send_message("due now")
    received = list(control.receive_messages(messages_per_page=32, visibility_timeout=30))
    assert [message.content for message in received] == ["due now"]
    assert control.get_queue_properties().approximate_message_count == 2
    renewed = control.update_message(received[0], visibility_timeout=60)
    assert renewed.pop_receipt != received[0].pop_receipt
    with pytest.raises(HttpResponseError):  # whoever held it before cannot delete it any more
        control.delete_message(received[0].id, received[0].pop_receipt)
    control.delete_message(renewed)
    control.clear_messages()


def test_what_is_too_large_for_a_queue_fits_into_the_container_for_large_messages(storage: Storage, made: TaskHub) -> None:
    payload = "x" * (QUEUE_MESSAGE_LIMIT_BYTES + 1)
    with pytest.raises(HttpResponseError):
        storage.queues.get_queue_client("testhubname-workitems").send_message(payload)
    blob = storage.blobs.get_blob_client("testhubname-largemessages", "recovery-dbo_Orders/message-1.json.gz")
    blob.upload_blob(payload)
    assert blob.download_blob().readall() == payload.encode()


def test_a_partition_has_one_owner_until_its_lease_is_broken(storage: Storage, made: TaskHub) -> None:
    blob = storage.blobs.get_blob_client("testhubname-leases", "default/testhubname-control-00")
    blob.upload_blob(b"{}")
    lease = blob.acquire_lease(lease_duration=30)
    with pytest.raises(HttpResponseError) as refused:
        storage.blobs.get_blob_client("testhubname-leases", "default/testhubname-control-00").acquire_lease(lease_duration=30)
    assert refused.value.status_code == 409
    lease.renew()
    lease.break_lease(0)
    blob.acquire_lease(lease_duration=30).release()


def test_data_outlive_the_emulator(tmp_path: Path) -> None:
    with Azurite(tmp_path) as azurite:
        _, queues, _ = connect(azurite.connection_string)
        queues.create_queue("testhubname-workitems").send_message("kept")
        before = azurite.ports
    with azurite:
        assert azurite.ports == before
        _, queues, _ = connect(azurite.connection_string)
        assert queues.get_queue_client("testhubname-workitems").receive_message().content == "kept"


def test_a_tool_that_cannot_be_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NpmToolError, match="npm and node are needed"):
        installed(tmp_path)
