"""A recipient gets so many notices in a time; what is above comes as one, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

from rowpost.config.connection_string import translate
from rowpost.database.connection import Database
from rowpost.database.notices import Turn, record_notice, record_told, start_telling, take_turn, tellings
from tests.harness.running_relay import CONFIG, Relay
from tests.notices.telling import notice

APP = "rowpost-local"
HOUR = 3600
PERSON = {"channel": "webhook", "address": "webhook 1", "index": 0}


def written(relay: Relay, name: str, kind: Any = "unable", people: Any = (PERSON,), **values: Any) -> str:
    """A notice of which somebody has begun to tell, as the first generation."""
    database = relay_database(relay)
    record_notice(database, APP, notice(kind, id=name, **values), people)
    for telling in tellings(database, APP):
        if telling.starts == 0:
            assert start_telling(database, telling)
    return name


def relay_database(relay: Relay) -> Database:
    settings = relay.stack.settings
    return Database(translate(settings["SqlConnectionString"], "SqlConnectionString", settings["ODBC_DRIVER"]))


def test_turns_are_taken_held_joined_and_given_together(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    database = relay_database(relay)
    names = [written(relay, f"n{number}") for number in range(6)]

    def turn(name: str, number: int = 1) -> Turn:
        return take_turn(database, name, number, 1, (2, HOUR))

    assert [len(turn(name).documents) for name in names[:2]] == [1, 1]
    assert turn(names[0]).documents, "a turn that was taken stays taken: whoever asked may not have got the answer"
    relay.advance(60)
    held = turn(names[2])
    assert not held.over and HOUR - 120 < held.wait_seconds <= HOUR and held.documents == []
    assert turn(names[3]).over and turn(names[4]).over, "they join the one that waits"
    relay.advance(held.wait_seconds + 1)
    assert turn(names[5]).over, "also when it could be told: it comes after those that wait"
    told = turn(names[2])
    assert [document["id"] for document in told.documents] == names[2:]
    states = dict(relay.execute("SELECT Notice, State FROM rowpost.NoticeRecipients"))
    assert [states[name] for name in names] == ["waiting"] * 3 + ["digest"] * 3
    late = written(relay, "late")
    assert [each["id"] for each in turn(late).documents] == [late], "who comes when it was begun does not join it"
    result = {"notice": names[2], "number": 1, "state": "sent", "tries": 1, "wait": 0, "error": None}
    record_told(database, result)
    states = dict(relay.execute("SELECT Notice, State FROM rowpost.NoticeRecipients"))
    assert [states[name] for name in names[2:]] == ["sent"] * 4
    ((done,),) = relay.execute("SELECT COUNT(*) FROM rowpost.Notices WHERE DoneAt IS NOT NULL")
    assert done == 4
    assert take_turn(database, names[2], 1, 1, (2, HOUR)).over and take_turn(database, late, 1, 2, (2, HOUR)).over


def test_each_recipient_has_a_throttle_of_its_own(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    database = relay_database(relay)
    people = [PERSON, {"channel": "webhook", "address": "webhook 2", "index": 1}]
    first, second = written(relay, "a", people=people), written(relay, "b", people=people)
    turns = [take_turn(database, name, number, 1, (1, HOUR)) for name in (first, second) for number in (1, 2)]
    assert [len(each.documents) for each in turns] == [1, 1, 0, 0]
    assert take_turn(database, written(relay, "c"), 1, 1, None).documents, "without a limit nobody waits"


def test_an_end_waits_for_its_beginning_where_the_other_side_puts_them_together(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    database = relay_database(relay)
    alarm = written(relay, "alarm", "alarm", incident="i")
    end = written(relay, "end", "recovered", incident="i")
    assert take_turn(database, end, 1, 1, None, ordered=True).wait_seconds == 60
    assert take_turn(database, end, 1, 1, None).documents, "elsewhere it does not"
    assert take_turn(database, alarm, 1, 1, None).ended, "there is no such incident any more"
    record_told(database, {"notice": alarm, "number": 1, "state": "sent", "tries": 1, "wait": 0, "error": None})
    assert take_turn(database, end, 1, 1, None, ordered=True).documents


def test_many_notices_come_as_one_digest_and_each_is_told_once(make_relay: Callable[..., Relay]) -> None:
    config = CONFIG.replace("after_rounds = 3", 'after_rounds = 3\nthrottle = "1/h"')
    relay = make_relay(config)
    for order in (1, 2):  # each is given up at another hour
        relay.reject(order)
        relay.insert(order)
        relay.advance(hours=1.5)
    relay.advance(hours=10)
    for minute in range(3):
        relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
        relay.advance(400)
        relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
        relay.advance(400 + minute)
    relay.accept_all()
    relay.advance(hours=6)
    single = [each["id"] for each in relay.alerts() if each["kind"] != "digest"]
    digests = relay.alerts("digest")
    joined = [each["id"] for digest in digests for each in digest["notices"]]
    assert digests and sorted(single + joined) == sorted(name for (name,) in relay.execute("SELECT Notice FROM rowpost.Notices"))
    assert relay.execute("SELECT * FROM rowpost.NoticeRecipients WHERE State <> 'sent'") == []
    assert digests[0]["subject"].endswith("notices in one, since there were many")
    times = [datetime.fromisoformat(each.at) for each in relay.stack.downstream.attempts() if each.path == "/alerts"]
    assert all((later - earlier).total_seconds() >= 3599 for earlier, later in pairwise(times))
