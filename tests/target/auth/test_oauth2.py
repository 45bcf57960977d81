"""Client credentials of OAuth 2, against a login and an API that are built on Authlib: one token for many events and threads."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowpost.config.credentials import OAuth2Config
from rowpost.rules.answer import Answer, Verdict
from rowpost.target.delivery import Deliverer
from rowpost.target.time_budget import TimeBudget
from tests.harness.http_server import Asked, Given
from tests.harness.oauth_server import AUTHORITY, OAuth
from tests.harness.threads import everything_logged
from tests.target.posting import SHORT, deliverer, events

DELIVERED = Answer(Verdict.DELIVERED, 200)
SECRET = "secret-Se12"


@pytest.fixture
def oauth(tmp_path: Path) -> Iterator[OAuth]:
    with OAuth(tmp_path) as made:
        made.client("rowpost", SECRET)
        yield made


def caller(oauth: OAuth, target: dict[str, Any] | None = None, **section: Any) -> Deliverer:
    given = {"token_url": oauth.token_url, "client_id": "rowpost", "client_secret": SECRET, "ca": AUTHORITY.pem} | section
    return deliverer(oauth.url, oauth2=OAuth2Config(**given), **(target or {}))


def failed(text: str, retry_after: int | None = None) -> Answer:
    return Answer(Verdict.TRANSIENT, None, f"the token endpoint: {text}", retry_after)


def shown(oauth: OAuth) -> list[str | None]:
    return [asked.headers.get("Authorization") for asked in oauth.api.asked]


# --- one token ---


def test_one_token_serves_many_events(oauth: OAuth) -> None:
    sender = caller(oauth)
    assert sender.deliver(events(3)) + sender.deliver(events(2, 4)) == [DELIVERED] * 5
    assert shown(oauth) == ["Bearer token-1"] * 5
    (asked,) = oauth.login.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/oauth/token", b"grant_type=client_credentials")
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert [each for each in oauth.api.asked if SECRET.encode() in each.body or SECRET in str(each.headers)] == []


def test_many_threads_ask_for_one_token(oauth: OAuth) -> None:
    senders, ready = caller(oauth, {"concurrency": 8}), threading.Barrier(4)
    answers: list[Answer] = []

    def send(first: int) -> None:
        ready.wait(10)
        answers.extend(senders.deliver(events(8, first)))

    threads = [threading.Thread(target=send, args=(first,)) for first in (1, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [DELIVERED] * 32 and len(oauth.login.asked) == 1


def test_scope_and_further_fields_are_sent(oauth: OAuth) -> None:
    oauth.client("rowpost", SECRET, scope="orders.write orders.read")
    sender = caller(oauth, scope="orders.write", parameters={"audience": "https://api.example/ä&b"})
    assert sender.deliver(events()) == [DELIVERED]
    assert oauth.login.asked[0].body == (
        b"grant_type=client_credentials&audience=https%3A%2F%2Fapi.example%2F%C3%A4%26b&scope=orders.write"
    )
    assert oauth.tokens["token-1"].get_scope() == "orders.write"


@pytest.mark.parametrize("way", ["basic", "body"])
@pytest.mark.parametrize(("name", "secret"), [("a:b", "c:d%20+e f"), ("ключ", "пароль-ß-€-😀"), ("x&client_id=y", 'q"\\=&;')])
def test_id_and_secret_may_hold_any_character(oauth: OAuth, way: str, name: str, secret: str) -> None:
    oauth.client(name, secret, {"basic": "client_secret_basic", "body": "client_secret_post"}[way])
    sender = caller(oauth, client_id=name, client_secret=secret, client_authentication=way)
    assert sender.deliver(events()) == [DELIVERED]


# --- its time ---


def test_a_token_is_fetched_anew_before_its_time_is_over(oauth: OAuth) -> None:
    oauth.expires_in = 0.3
    oauth.api.answer = lambda _: Given()  # however slow this machine is
    sender = caller(oauth)
    for number in range(1, 5000):
        assert sender.deliver(events(1, number)) == [DELIVERED]
        if len(oauth.login.asked) == 3:
            break
    assert set(shown(oauth)) == {"Bearer token-1", "Bearer token-2", "Bearer token-3"}


@pytest.mark.parametrize(
    "told", [b"", b', "expires_in": "3599"', b', "expires_in": 0', b', "expires_in": null', b', "expires_in": 9e99']
)
def test_whatever_is_told_of_its_time_it_is_kept(oauth: OAuth, told: bytes) -> None:
    oauth.before = lambda _: Given(200, b'{"access_token": "abc"' + told + b"}")
    oauth.api.answer = lambda _: Given()
    sender = caller(oauth)
    assert sender.deliver(events(3)) == [DELIVERED] * 3
    assert shown(oauth) == ["Bearer abc"] * 3 and len(oauth.login.asked) == 1


# --- 401 ---


def test_a_token_that_is_refused_is_fetched_anew_and_the_request_repeated(oauth: OAuth) -> None:
    sender = caller(oauth)
    assert sender.deliver(events()) == [DELIVERED]
    oauth.revoke_all()
    assert sender.deliver(events(2, 2)) == [DELIVERED] * 2
    assert shown(oauth) == ["Bearer token-1", "Bearer token-1", "Bearer token-2", "Bearer token-2"]
    refused, repeated = oauth.api.asked[1:3]
    assert refused.body == repeated.body and refused.headers["Idempotency-Key"] == repeated.headers["Idempotency-Key"]


def test_a_second_401_is_the_answer(oauth: OAuth) -> None:
    oauth.refuses = True
    assert caller(oauth).deliver(events()) == [Answer(Verdict.TRANSIENT, 401, "HTTP 401")]
    assert shown(oauth) == ["Bearer token-1", "Bearer token-2"] and len(oauth.login.asked) == 2


def test_many_threads_that_are_refused_ask_for_one_new_token(oauth: OAuth) -> None:
    sender = caller(oauth, {"concurrency": 8})
    assert sender.deliver(events()) == [DELIVERED]
    oauth.revoke_all()
    all_there, take = threading.Barrier(8), oauth.api.answer

    def together(asked: Asked) -> Given:
        if asked.headers["Authorization"] == "Bearer token-1":
            all_there.wait(10)
        return take(asked)

    oauth.api.answer = together
    assert sender.deliver(events(8, 2)) == [DELIVERED] * 8
    assert len(oauth.login.asked) == 2


def test_403_is_no_reason_for_another_token(oauth: OAuth) -> None:
    oauth.api.answer = lambda _: Given(403)
    assert caller(oauth).deliver(events()) == [Answer(Verdict.TRANSIENT, 403, "HTTP 403")]
    assert len(oauth.login.asked) == 1


# --- no token ---


def test_a_login_that_is_down_is_the_targets_failure(oauth: OAuth) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    sender = caller(oauth, {"breaker_failures": 2}, token_url=f"https://127.0.0.1:{port}/token")
    refused = failed("connection failed or was closed by the token endpoint")
    assert sender.deliver(events(4)) == [refused, refused, Answer(Verdict.UNTRIED), Answer(Verdict.UNTRIED)]
    assert oauth.api.asked == []


def test_a_login_that_nobody_vouches_for_gets_no_secret(oauth: OAuth) -> None:
    text = "TLS failure: the certificate or the protocol of the token endpoint was not accepted"
    assert caller(oauth, ca=None).deliver(events()) == [failed(text)]
    assert oauth.login.asked == []


@pytest.mark.parametrize("way", ["basic", "body"])
def test_a_wrong_secret_is_told_by_the_code_alone(oauth: OAuth, way: str) -> None:
    oauth.client("rowpost", SECRET, {"basic": "client_secret_basic", "body": "client_secret_post"}[way])
    (answer,) = caller(oauth, client_secret="wrong", client_authentication=way).deliver(events())
    assert answer.verdict is Verdict.TRANSIENT and answer.error in (
        "the token endpoint: HTTP 400 invalid_client",
        "the token endpoint: HTTP 401 invalid_client",
    )
    assert oauth.api.asked == []


def test_a_slow_login_takes_no_longer_than_a_slow_target(oauth: OAuth) -> None:
    def never(_: Asked) -> Given:
        oauth.login.over.wait()
        return Given()

    oauth.before = never
    sender = caller(oauth, {"timeout": SHORT, "concurrency": 4})
    assert sender.deliver(events(4)) == [failed("no answer in time")] * 4
    assert len(oauth.login.asked) == 1, "all of them wait for the same answer"


def test_a_token_that_comes_when_time_is_over_sends_nothing(oauth: OAuth) -> None:
    begun, go = threading.Event(), threading.Event()

    def late(_: Asked) -> None:
        begun.set()
        go.wait(10)

    oauth.before = late
    budget, sender, answers = TimeBudget(60), caller(oauth), list[Answer]()
    thread = threading.Thread(target=lambda: answers.extend(sender.deliver(events(), budget)))
    thread.start()
    assert begun.wait(10)
    budget._end = 0.0  # the time of the batch is over
    go.set()
    thread.join(10)
    assert answers == [Answer(Verdict.UNTRIED)] and oauth.api.asked == []


SAID = "said-by-the-login"
GARBAGE = {
    "nothing": b"",
    "no JSON": f"<html>{SAID}</html>".encode(),
    "no object": b'["token"]',
    "nested deeply": b"[" * 100000,
    "no UTF-8": b'{"access_token": "\xff"}',
    "no token": b'{"token_type": "Bearer"}',
    "an empty token": b'{"access_token": ""}',
    "a number": b'{"access_token": 7}',
    "a line break": b'{"access_token": "abc\\r\\nX-Evil: 1"}',
    "a line break alone": b'{"access_token": "abc\\n"}',
    "a blank": b'{"access_token": "abc def"}',
    "a null character": b'{"access_token": "abc\\u0000"}',
    "another script": '{"access_token": "ключ"}'.encode(),
    "Latin-1": '{"access_token": "é"}'.encode(),
}


@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE)
def test_what_is_no_token_is_not_sent(oauth: OAuth, answer: bytes) -> None:
    oauth.before = lambda _: Given(200, answer)
    assert caller(oauth).deliver(events()) == [failed("an answer without a sound token")]
    assert oauth.api.asked == []


@pytest.mark.parametrize("token", ["a|b", "~!#$%&'()*+,-./:;<=>?@[]^_`{}", "eyJ.eyJ.sig==", "x" * 9000])
def test_every_visible_character_is_one_of_a_token(oauth: OAuth, token: str) -> None:
    oauth.before = lambda _: Given(200, b'{"token_type": "bearer", "access_token": "' + token.encode() + b'"}')
    oauth.api.answer = lambda _: Given()
    assert caller(oauth).deliver(events()) == [DELIVERED]
    assert shown(oauth) == [f"Bearer {token}"]


def test_another_kind_of_token_is_not_sent(oauth: OAuth) -> None:
    oauth.before = lambda _: Given(200, b'{"access_token": "abc", "token_type": "DPoP"}')
    assert caller(oauth).deliver(events()) == [failed("a token that is not of the type Bearer")]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Given(429, b"", {"Retry-After": "77"}), failed("HTTP 429", 77)),
        (Given(503, SAID.encode(), {"Retry-After": SAID}), failed("HTTP 503")),
        (Given(302, b"", {"Location": f"https://evil.example/{SAID}"}), failed("HTTP 302")),
        (Given(400, f'{{"error": "{SAID}", "error_description": "{SAID}"}}'.encode()), failed("HTTP 400")),
        (Given(400, b'{"error": ["invalid_client"]}'), failed("HTTP 400")),
        (Given(400, b'{"error": "invalid_scope"}'), failed("HTTP 400 invalid_scope")),
        (Given(200, b"x" * 200_000), failed("request failed (ConnectionError)")),
    ],
)
def test_what_else_a_login_answers_is_the_targets_failure_and_not_quoted(oauth: OAuth, given: Given, told: Answer) -> None:
    oauth.before = lambda _: given
    (answer,) = caller(oauth).deliver(events())
    if given.status != 200:
        assert answer == told
    assert answer.verdict is Verdict.TRANSIENT and answer.status is None and SAID not in repr(answer)


def test_neither_secret_nor_token_is_logged(oauth: OAuth) -> None:
    with everything_logged() as lines:
        sender = caller(oauth)
        sender.deliver(events(2))
        oauth.revoke_all()
        sender.deliver(events())
        oauth.before = lambda _: Given(400, b'{"error": "' + SAID.encode() + b'"}')
        oauth.refuses = True
        sender.deliver(events())
    basic = base64.b64encode(f"rowpost:{SECRET}".encode()).decode()
    own = [line for line in lines if not line.startswith("authlib")]  # the login's own, which is no part of the app
    assert [line for line in own if any(text in line for text in (SECRET, basic, "token-", SAID))] == []
