"""Whoever starts, wakes, ends or removes a recovery at the same moment: nobody fails for it, and no id is used twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.harness.running_relay import INSTANCES, Relay, changed_config

REPLAY = "/api/relays/dbo.Orders/replay"
RETRY = "/api/relays/dbo.Orders/retry"


def instances(relay: Relay) -> dict[str, str]:
    """The recoveries so far, and their status."""
    found = relay.get(INSTANCES)
    return {each["instanceId"]: each["runtimeStatus"] for each in found if each["name"] == "recovery"}


def dead_row(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(3600, until=lambda: [row[1] for row in relay.ledger()] == ["dead"])
    relay.advance(300)


def test_parallel_orders_all_succeed_whoever_ends_the_recovery_meanwhile(make_relay: object) -> None:
    relay: Relay = make_relay(changed_config(max_delay='"1h"\nrejected = "dead_letter"'))  # type: ignore[operator]
    host = relay.stack.host
    assert host is not None
    dead_row(relay)
    relay.accept_all()

    def order(number: int) -> tuple[int, str]:
        if number % 4 == 3 and relay_instances:  # perhaps all were removed in the round before
            instance = relay_instances[number % len(relay_instances)]
            host.request("POST", f"{INSTANCES}/{instance}/terminate?reason=test")
            host.request("DELETE", f"{INSTANCES}/{instance}")
            return 202, "{}"
        answer = host.request("POST", REPLAY if number % 2 else RETRY)
        return answer.status_code, answer.text

    for _ in range(4):
        relay_instances = list(instances(relay))
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(order, range(24)))
        assert {status for status, _ in answers} == {202}, answers
    assert relay.advance(1200, until=lambda: relay.accepted(1) is not None and relay.ledger() == [])
    assert relay.advance(1200, until=lambda: "Running" not in instances(relay).values()), instances(relay)


def test_a_recovery_that_hung_and_could_not_be_ended_ends_by_itself_when_it_moves_again(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1, 2)
    assert relay.advance(hours=8, until=lambda: relay.status()["detached"] == 2)
    hung = relay.recovery()
    assert host.request("POST", f"{hung}/suspend?reason=test").status_code == 202
    host.add_durable_fault("error", pattern="/terminate")
    assert relay.advance(hours=2, until=lambda: relay.recovery() != hung)
    relay.advance(120)
    assert relay.get(hung)["runtimeStatus"] == "Suspended"
    assert relay.get(relay.recovery())["runtimeStatus"] == "Running"
    host.request("POST", f"{hung}/resume?reason=test")
    relay.advance(hours=1)
    assert relay.get(hung)["output"] == {"relay": "dbo.Orders", "replaced": True}
    relay.accept_all()
    assert relay.advance(hours=1, until=lambda: relay.ledger() == [])


def test_the_end_of_an_incident_is_told_although_the_recovery_hangs(relay: Relay) -> None:
    """Nothing waits any more: it is the recovery's next look that is overdue, and not a row."""
    host = relay.stack.host
    assert host is not None
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1, 2)
    assert relay.advance(hours=1, until=lambda: relay.alerts("alarm") != [])
    assert host.request("POST", f"{relay.recovery()}/suspend?reason=test").status_code == 202
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.ledger() == [])
    assert relay.advance(hours=2, until=lambda: relay.alerts("recovered") != [])


def test_an_instance_of_before_numbers_ends_by_itself(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(600, until=lambda: len(instances(relay)) == 1)
    old = "recovery-dbo_Orders"
    path = f"/runtime/webhooks/durabletask/orchestrators/recovery/{old}"
    assert host.request("POST", path, json={"relay": "dbo.Orders"}).status_code == 202
    relay.advance(30)
    assert relay.get(f"{INSTANCES}/{old}")["output"] == {"relay": "dbo.Orders", "replaced": True}
    assert relay.get(relay.recovery())["runtimeStatus"] == "Running"


def test_a_start_that_was_lost_is_made_up_for_under_another_id(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    host.add_durable_fault("drop_before", pattern="/orchestrators/recovery/", times=1)
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(600, until=lambda: "could not be started or woken" in relay.host_log())
    lost = relay.recovery()
    assert relay.advance(400, until=lambda: len(instances(relay)) == 1)
    assert relay.recovery() != lost
    relay.accept_all()
    assert relay.advance(600, until=lambda: relay.accepted(1) is not None)


def test_a_start_whose_answer_was_lost_counts(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    host.add_durable_fault("drop_after", pattern="/orchestrators/recovery/", times=1)
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(600, until=lambda: len(instances(relay)) == 1)
    relay.advance(600)
    assert list(instances(relay)) == [relay.recovery().rpartition("/")[2]]


def test_a_restored_database_gives_no_number_twice(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(600, until=lambda: len(instances(relay)) == 1)
    ((number,),) = relay.execute("SELECT RecoveryNumber FROM rowpost.Relays")
    relay.execute("UPDATE rowpost.Relays SET RecoveryNumber = ?, RecoveryBegun = DATEADD(day, -1, SYSUTCDATETIME())", number - 1)
    relay.advance(900)
    assert len(instances(relay)) == 2
    ((after,),) = relay.execute("SELECT RecoveryNumber FROM rowpost.Relays")
    assert after > number
    assert relay.get(relay.recovery())["runtimeStatus"] == "Running"
