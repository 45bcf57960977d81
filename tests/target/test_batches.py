"""Requests with several events, at the wire: what is sent, and what each answer means for each event."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from emulators.downstream.api import Downstream
from rowpost.config.sections import Duration
from rowpost.http import answers as reading
from rowpost.rules.answer import Answer, Verdict
from rowpost.target.batches import batch_key
from rowpost.target.under_way import Care
from tests.harness.http_server import Asked, Given, HttpServer
from tests.harness.raw_server import RawServer
from tests.harness.requests import Seen, Sender, seen
from tests.target.posting import SHORT, deliverer, events

DELIVERED = Answer(Verdict.DELIVERED, 202)
REFUSED = Answer(Verdict.REJECTED, 422, "HTTP 422")


def sizes(api: Downstream) -> list[int]:
    """How many events each request had."""
    found: dict[int, int] = {}
    for attempt in api.attempts():
        found[attempt.request] = found.get(attempt.request, 0) + 1
    return list(found.values())


def refuse(api: Downstream, *numbers: int, status: int = 422, **values: Any) -> None:
    for number in numbers:
        api.add_rule(match={"key": {"Id": number}}, status=status, **values)


def own(answers: list[Answer]) -> list[Answer]:
    """Answers without the numbers of the requests that failed."""
    return [Answer(each.verdict, each.status, each.error, each.retry_after_seconds) for each in answers]


# --- what is sent ---


def requests_of(raw: RawServer) -> list[Seen]:
    return [seen(request) for request in raw.requests]


def test_cloud_events_go_as_a_batch_of_them(raw: RawServer) -> None:
    some = events(5)
    answers = deliverer(raw.url, batch=3, headers={"X-Own": "1"}).deliver(some)
    assert answers == [Answer(Verdict.DELIVERED, 200)] * 5
    first, second = requests_of(raw)
    assert first.headers["content-type"] == "application/cloudevents-batch+json" and first.headers["x-own"] == "1"
    assert [event["id"] for event in first.json] == [event.id for event in some[:3]]
    assert [json.dumps(event) for event in second.json] == [json.dumps(json.loads(event.body)) for event in some[3:]]
    assert not [name for name in first.headers if name.startswith("rowpost-")], "what is said of one event stands in it"


def test_one_event_is_sent_in_the_same_form(raw: RawServer) -> None:
    deliverer(raw.url, batch=10).deliver(events())
    (request,) = requests_of(raw)
    assert request.headers["content-type"] == "application/cloudevents-batch+json" and len(request.json) == 1


def test_the_key_of_a_request_is_that_of_its_events(raw: RawServer) -> None:
    sender, some = deliverer(raw.url, batch=10), events(4)
    for each in (some, list(reversed(some)), some[:3]):
        sender.deliver(each)
    keys = [request.headers["idempotency-key"] for request in requests_of(raw)]
    assert keys[0] == keys[1] == batch_key([event.id for event in some]) != keys[2]


def test_the_order_within_a_request_is_that_of_versions(raw: RawServer) -> None:
    some = events(6)
    deliverer(raw.url, batch=10).deliver([some[n] for n in (4, 0, 5, 2, 1, 3)])
    (request,) = requests_of(raw)
    assert [event["data"]["version"] for event in request.json] == list(range(101, 107))


def test_no_event_is_twice_in_a_request(raw: RawServer) -> None:
    (event,) = events()
    deliverer(raw.url, batch=10).deliver([event, event])
    assert [len(request.json) for request in requests_of(raw)] == [1, 1]


def test_a_request_has_so_many_bytes_at_most_unless_it_is_one_event(raw: RawServer) -> None:
    some = events(10)
    limit = len(some[0].body) * 3 + 10
    deliverer(raw.url, batch=100, max_batch_bytes=limit).deliver(some)
    requests = requests_of(raw)
    assert [len(request.json) for request in requests] == [3, 3, 3, 1]
    assert all(len(request.raw) <= limit for request in requests)
    raw.requests.clear()
    deliverer(raw.url, batch=100, max_batch_bytes=10).deliver(some[:3])
    assert [len(request.json) for request in requests_of(raw)] == [1, 1, 1]


TOML = """
[[targets]]
name = "api"
url = "{URL}"
batch = 10
%s
[[relays]]
table = "dbo.Orders"
%s
"""


def send(folder: Path, raw: RawServer, target: str, relay: str, *rows: int, deleted: int | None = None) -> list[Seen]:
    sender = Sender(TOML % (target, relay), folder, raw)
    some = [sender.event({"Id": n}, {"Id": n, "Name": "Änne"}) for n in rows]
    if deleted is not None:
        some.append(sender.event({"Id": deleted}))
    answers, requests = sender.send(*some)
    assert {answer.verdict for answer in answers} == {Verdict.DELIVERED}
    return requests


def test_other_formats_go_as_a_json_array(raw: RawServer, tmp_path: Path) -> None:
    (request,) = send(tmp_path, raw, 'format = "plain"', "", 1, 2, deleted=3)
    assert request.headers["content-type"] == "application/json"
    assert [(change["key"]["Id"], change["operation"]) for change in request.json] == [(1, "upsert"), (2, "upsert"), (3, "delete")]


def test_or_as_lines(raw: RawServer, tmp_path: Path) -> None:
    relay = 'format = "row"\ndelete = "POST /gone"\ndelete_body = \'{"gone": "{Id}"}\''
    requests = send(tmp_path, raw, 'batch_format = "ndjson"', relay, 1, 2, deleted=3)
    rows, gone = sorted(requests, key=lambda request: request.path)
    assert rows.headers["content-type"] == "application/x-ndjson" and rows.body.endswith(b"}\n")
    assert [json.loads(line) for line in rows.body.splitlines()] == [{"Id": 1, "Name": "Änne"}, {"Id": 2, "Name": "Änne"}]
    assert (gone.path, gone.body) == ("/gone", b'{"gone":3}\n')


def test_templates_share_a_request(raw: RawServer, tmp_path: Path) -> None:
    relay = 'upsert = "PUT /bulk"\nbody = \'{"event": "{$id}", "name": "{Name}"}\'\ndelete_body = \'{"gone": "{Id}"}\''
    requests = send(tmp_path, raw, "", relay, 1, 2, deleted=3)
    assert sorted((request.method, request.path, len(request.json)) for request in requests) == [
        ("POST", "/", 1),
        ("PUT", "/bulk", 2),
    ]


def test_a_deletion_with_a_request_of_its_own_goes_alone(raw: RawServer, tmp_path: Path) -> None:
    relay = 'format = "row"\nupsert = "POST /orders"\ndelete = "DELETE /orders/{Id}"'
    requests = sorted(send(tmp_path, raw, "", relay, 1, 2, deleted=3), key=lambda request: request.method)
    assert [(request.method, request.path, request.raw) for request in requests[:1]] == [("DELETE", "/orders/3", b"")]
    assert requests[0].headers["rowpost-version"] == "7"
    assert [(request.path, len(request.json)) for request in requests[1:]] == [("/orders", 2)]


def test_former_spellings_are_deleted_first_each_by_itself(raw: RawServer, tmp_path: Path) -> None:
    sender = Sender(TOML % ('format = "plain"\nconcurrency = 1', ""), tmp_path, raw)
    renamed = sender.event({"Id": "ABC"}, {"Id": "ABC"}, ({"Id": "abc"}, {"Id": "Abc"}))
    answers, requests = sender.send(renamed, sender.event({"Id": "x"}, {"Id": "x"}), sender.event({"Id": "y"}, {"Id": "y"}))
    assert {answer.verdict for answer in answers} == {Verdict.DELIVERED}
    said = [[(change["operation"], change["key"]["Id"]) for change in request.json] for request in requests]
    assert said == [
        [("upsert", "x"), ("upsert", "y")],
        [("delete", "abc")],
        [("delete", "Abc")],
        [("upsert", "ABC")],
    ]


def test_a_signature_is_of_the_whole_request(raw: RawServer, tmp_path: Path) -> None:
    secret = "whsec_" + "A" * 32
    (request,) = send(tmp_path, raw, f'[targets.signature]\nsecrets = ["{secret}"]', "", 1, 2)
    assert request.headers["webhook-id"] == request.headers["idempotency-key"]
    assert len(Webhook(secret).verify(request.raw, request.headers)) == 2


def test_long_requests_are_compressed(raw: RawServer, tmp_path: Path) -> None:
    (request,) = send(tmp_path, raw, "gzip = 50", "", 1, 2)
    assert request.headers["content-encoding"] == "gzip" and len(request.json) == 2


def test_a_401_is_answered_with_a_new_login_once(tmp_path: Path) -> None:
    tokens = iter(["old", "new"])

    def login(_: Asked) -> Given:
        token = {"access_token": next(tokens), "token_type": "Bearer", "expires_in": 3600}
        return Given(200, json.dumps(token).encode(), {"Content-Type": "application/json"})

    with HttpServer(login) as server, RawServer() as raw:
        given = iter([b"401 No", b"200 OK"])

        def once(connection: socket.socket, number: int) -> None:
            while raw.read_request(connection) is not None:
                connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % next(given))

        raw.handler = once
        oauth = f'[targets.oauth2]\ntoken_url = "{server.url}/token"\nclient_id = "me"\nclient_secret = "x"'
        requests = send(tmp_path, raw, oauth, "", 1, 2, 3)
        assert [(request.headers["authorization"], len(request.json)) for request in requests] == [
            ("Bearer old", 3),
            ("Bearer new", 3),
        ]


# --- answers for each event ---


@pytest.fixture
def each(api: Downstream, request: pytest.FixtureRequest) -> Downstream:
    api.set_settings(batch="per_event", per_event_status=getattr(request, "param", 207))
    return api


@pytest.mark.parametrize("each", [207, 200, 202], indirect=True)
def test_each_event_has_its_own_status(each: Downstream) -> None:
    refuse(each, 2)
    refuse(each, 3, status=503, retry_after=40)
    refuse(each, 5, status=429)
    answers = deliverer(each.url, batch=10).deliver(events(6))
    assert own(answers) == [
        DELIVERED,
        REFUSED,
        Answer(Verdict.TRANSIENT, 503, "HTTP 503", 40),
        DELIVERED,
        Answer(Verdict.TRANSIENT, 429, "HTTP 429"),
        DELIVERED,
    ]
    assert sizes(each) == [6], "and nothing is sent twice"


@pytest.mark.parametrize("each", [207, 200], indirect=True)
def test_an_event_that_the_answer_does_not_name_was_not_delivered(each: Downstream) -> None:
    refuse(each, 2, status=202, accept=True, omit=True)
    answers = deliverer(each.url, batch=10).deliver(events(3))
    missing = Answer(Verdict.TRANSIENT, each.settings.per_event_status, "the answer has no status for this event")
    assert own(answers) == [DELIVERED, missing, DELIVERED]


def test_events_without_an_id_are_told_by_their_places(each: Downstream, tmp_path: Path) -> None:
    toml = tmp_path / "x"
    toml.mkdir()
    with RawServer() as raw:
        sender = Sender(TOML % ('format = "plain"', ""), toml, raw)
    some = [sender.event({"Id": n}, {"Id": n}) for n in (1, 2, 3)]
    refuse(each, 2)
    assert own(deliverer(each.url, batch=10, format="plain").deliver(some)) == [DELIVERED, REFUSED, DELIVERED]


def body(status: int, content: bytes, kind: str = "application/json") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (status, kind.encode(), len(content), content)


SECRET = b"value-of-a-row"
UNCLEAR: dict[str, bytes] = {
    "no body": body(207, b""),
    "no JSON": body(207, b"<xml>" + SECRET),
    "no statuses": body(207, b'{"said": "' + SECRET + b'"}'),
    "deep": body(207, b"[" * 60_000),
    "too long": body(207, b" " * 400_000 + b"[]"),
    "cut off": b"HTTP/1.1 207 X\r\nContent-Length: 900\r\n\r\n[",
    "no end": b"HTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
    "no chunks": b"HTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET,
    "a success that is cut off": b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n[",
    "a success that is too long": body(200, b" " * 400_000),
}


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=UNCLEAR)
def test_an_answer_that_is_unclear_delivers_nothing(raw: RawServer, answer: bytes) -> None:
    raw.handler = raw.once(answer)
    answers = deliverer(raw.url, batch=10, timeout=Duration(2)).deliver(events(3))
    assert [answer.verdict for answer in answers] == [Verdict.TRANSIENT] * 3
    assert len({answer.shared for answer in answers}) == 1 and answers[0].shared > 0, "it is one failure"
    assert SECRET.decode() not in str(answers)


PLAIN: dict[str, bytes] = {
    "204": b"HTTP/1.1 204 No\r\n\r\n",
    "204 as JSON": b"HTTP/1.1 204 No\r\nContent-Type: application/json\r\n\r\n",
    "204 with a length": b"HTTP/1.1 204 No\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n",
    "204 with a body": body(204, b'{"rows": 3}'),
    "204 in chunks": b"HTTP/1.1 204 No\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "205 as JSON": b"HTTP/1.1 205 No\r\nContent-Type: application/json\r\n\r\n",
    "no body": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "text": body(200, b"thank you", "text/plain"),
    "other JSON": body(202, b'{"batch": 7}'),
    "a long page": body(200, b"x" * 400_000, "text/html"),
}


@pytest.mark.parametrize("answer", PLAIN.values(), ids=PLAIN)
def test_any_other_success_is_that_of_all(raw: RawServer, answer: bytes) -> None:
    raw.handler = raw.answering(answer)
    assert {each.verdict for each in deliverer(raw.url, batch=10).deliver(events(3))} == {Verdict.DELIVERED}


def test_an_answer_may_be_as_long_as_many_events_make_it(raw: RawServer) -> None:
    some = events(1000)
    said = json.dumps([{"id": event.id, "status": 200, "said": "x" * 1000} for event in some]).encode()
    assert len(said) > 5 * reading.BODY_BYTES
    raw.handler = raw.answering(body(207, said))
    sender = deliverer(raw.url, batch=1000)
    for _ in range(2):
        assert {answer.verdict for answer in sender.deliver(some)} == {Verdict.DELIVERED}
    assert raw.connections == 1


def test_what_an_answer_says_concerns_its_own_events_only(raw: RawServer) -> None:
    some = events(4)
    said = {"results": [{"id": event.id, "status": 200} for event in some]}
    raw.handler = raw.answering(body(207, json.dumps(said).encode()))
    answers = deliverer(raw.url, batch=2).deliver([*some[:2], *events(2, first=50)])
    assert [answer.verdict for answer in answers] == [Verdict.DELIVERED] * 2 + [Verdict.TRANSIENT] * 2


# --- bisection ---


@pytest.mark.parametrize("status", [400, 422])
def test_three_bad_rows_of_a_thousand_cost_32_requests_and_spare_their_neighbours(api: Downstream, status: int) -> None:
    bad = (126, 124, 998)
    refuse(api, *bad, status=status)
    answers = deliverer(api.url, batch=1000).deliver(events(1000))
    assert [number for number, answer in enumerate(answers, 1) if answer.verdict is not Verdict.DELIVERED] == sorted(bad)
    assert {answers[number - 1] for number in bad} == {Answer(Verdict.REJECTED, status, f"HTTP {status}")}
    assert api.counters()["requests"] <= 1 + 32
    assert {row.key["Id"] for row in api.state() if isinstance(row.key, dict)} == set(range(1, 1001)) - set(bad)
    assert api.counters()["repeated"] == 0


def test_a_row_whose_refusal_is_final_was_sent_alone(api: Downstream) -> None:
    refuse(api, 8)
    sender = deliverer(api.url, batch=10)
    sender.deliver(events(8))
    assert all(attempt.whole for attempt in api.attempts() if attempt.key == {"Id": 8}), "what its neighbours were told tells of it"
    api.reset()
    refuse(api, 8)
    sender.deliver(events(8), care=[Care(certain=True)] * 8)
    alone = [attempt for attempt in api.attempts() if attempt.key == {"Id": 8}][-1]
    assert (alone.status, alone.whole) == (422, False)


def test_a_row_that_was_refused_before_is_sent_alone(api: Downstream) -> None:
    refuse(api, 3)
    care = [Care(alone=n == 2) for n in range(10)]
    answers = deliverer(api.url, batch=10).deliver(events(10), care=care)
    assert answers[2] == REFUSED and answers.count(DELIVERED) == 9
    assert sorted(sizes(api)) == [1, 9]


def test_many_bad_rows_cost_hardly_more_than_single_posts(api: Downstream) -> None:
    api.add_rule(status=422)
    assert deliverer(api.url, batch=100).deliver(events(100)) == [REFUSED] * 100
    assert api.counters()["requests"] <= 1 + 125


def test_a_request_that_is_too_large_is_halved_and_the_next_one_is_smaller(api: Downstream) -> None:
    api.set_settings(batch_events=30)
    sender = deliverer(api.url, batch=100)
    assert sender.deliver(events(100)) == [DELIVERED] * 100
    assert sizes(api) == [100, 50, 50, 25, 25, 25, 25]
    sender.deliver(events(100, first=200))
    assert 413 not in {attempt.status for attempt in api.attempts(since=sum(sizes(api)[:7]))}


def test_so_it_is_if_it_has_too_many_bytes(api: Downstream) -> None:
    some = events(40)
    api.set_settings(batch_bytes=11 * len(some[0].body))
    sender = deliverer(api.url, batch=20)
    assert sender.deliver(some) == [DELIVERED] * 40
    before = api.counters()["events"]
    sender.deliver(events(40, first=300))
    assert 413 not in {attempt.status for attempt in api.attempts(since=before)}


def test_one_event_that_is_too_large_is_refused_and_makes_no_other_request_smaller(api: Downstream) -> None:
    refuse(api, 7, status=413)
    sender = deliverer(api.url, batch=64)
    answers = sender.deliver(events(64))
    assert answers[6] == Answer(Verdict.REJECTED, 413, "HTTP 413") and answers.count(DELIVERED) == 63
    before = len(sizes(api))
    sender.deliver(events(64, first=100))
    assert sizes(api)[before:] == [64]


def test_another_refusal_is_that_of_the_request_and_of_none_of_its_rows(api: Downstream) -> None:
    api.add_rule(status=404)
    sender = deliverer(api.url, batch=10)
    answers = sender.deliver(events(5))
    assert own(answers) == [Answer(Verdict.TRANSIENT, None, "HTTP 404 to a request with several events")] * 5
    assert sender.deliver(events(1)) == [Answer(Verdict.REJECTED, 404, "HTTP 404")], "alone it is that of the row"


# --- failures of the target ---


@pytest.mark.parametrize("values", [{"status": 503}, {"status": 500}, {"status": 401}, {"mode": "refuse"}])
def test_a_failure_is_that_of_all_its_events_and_counts_once(api: Downstream, values: dict[str, Any]) -> None:
    api.set_mode(**({"mode": "down"} | values))
    answers = deliverer(api.url, batch=10, breaker_failures=2).deliver(events(40))
    assert [answer.verdict for answer in answers] == [Verdict.TRANSIENT] * 20 + [Verdict.UNTRIED] * 20
    assert sizes(api) == [10, 10]
    assert [len({answer.shared for answer in answers[part : part + 10]}) for part in (0, 10)] == [1, 1]
    assert answers[0].shared != answers[10].shared


def test_no_answer_in_time_is_a_failure_too(raw: RawServer) -> None:
    raw.handler = raw.then_silence(b"")
    answers = deliverer(raw.url, batch=10, timeout=SHORT).deliver(events(3))
    assert own(answers) == [Answer(Verdict.TRANSIENT, None, "no answer in time")] * 3


def test_a_target_that_may_be_down_is_asked_for_one_event_first(api: Downstream) -> None:
    careful = [Care(careful=True)] * 40
    sender = deliverer(api.url, batch=10, breaker_failures=3)
    api.set_mode("down")
    answers = sender.deliver(events(40), care=careful)
    assert [answer.verdict for answer in answers] == [Verdict.TRANSIENT] * 3 + [Verdict.UNTRIED] * 37
    assert sizes(api) == [1, 1, 1]
    api.reset()
    assert sender.deliver(events(40), care=careful) == [DELIVERED] * 40
    assert sizes(api) == [1, 2, 4, 8, 10, 10, 5]


def test_an_event_at_which_the_target_fails_takes_fewer_others_along_each_time(api: Downstream) -> None:
    """What failed with others before is sent with few others."""
    refuse(api, 20, status=500)
    sender = deliverer(api.url, batch=100)
    waiting = {event.version: event for event in events(32)}
    care: list[Care] = [Care()] * 32
    for _ in range(5):
        answers = sender.deliver(list(waiting.values()), care=care)
        for event, answer in zip(list(waiting.values()), answers, strict=True):
            if answer.verdict is Verdict.DELIVERED:
                del waiting[event.version]
        care = [Care(careful=True)] * len(waiting)
    assert list(waiting) == [120]


def test_a_search_that_the_budget_ends_leaves_the_rest_untried(raw: RawServer) -> None:
    release = threading.Event()

    def refusing(connection: socket.socket, number: int) -> None:
        while raw.read_request(connection) is not None:
            if len(raw.requests) == 3:
                release.wait(10)
            connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % (b"200 OK" if len(raw.requests) == 2 else b"422 No"))

    raw.handler = refusing
    threading.Timer(0.8, release.set).start()
    answers = deliverer(raw.url, batch=8, batch_budget=Duration(0.4)).deliver(events(8))
    assert [answer.verdict for answer in answers] == [Verdict.DELIVERED] * 4 + [Verdict.UNTRIED] * 4
    assert len(raw.requests) == 3


def test_a_search_that_the_target_ends_counts_for_whom_it_sent(raw: RawServer) -> None:
    said = iter([b"422 No", b"200 OK", b"503 No"])

    def refusing(connection: socket.socket, number: int) -> None:
        while raw.read_request(connection) is not None:
            connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % next(said))

    raw.handler = refusing
    answers = deliverer(raw.url, batch=8).deliver(events(8))
    transient, untried = [Verdict.TRANSIENT] * 2, [Verdict.UNTRIED] * 2
    assert [answer.verdict for answer in answers] == [Verdict.DELIVERED] * 4 + transient + untried


def test_the_bound_of_concurrency_is_that_of_requests(raw: RawServer) -> None:
    together = threading.Barrier(3)

    def count(connection: socket.socket, number: int) -> None:
        while raw.read_request(connection) is not None:
            together.wait(20)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    raw.handler = count
    answers = deliverer(raw.url, batch=5, concurrency=3, timeout=Duration(30)).deliver(events(45))
    assert {answer.verdict for answer in answers} == {Verdict.DELIVERED}
    assert (raw.connections, len(raw.requests)) == (3, 9)
