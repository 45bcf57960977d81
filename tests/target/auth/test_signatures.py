"""Signatures of Standard Webhooks, as the package of that standard verifies them."""

from __future__ import annotations

import base64
import datetime as dt
import os

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from rowpost.config.credentials import SignatureConfig
from rowpost.rules.answer import Answer, Verdict
from tests.harness.http_server import Asked, Given, HttpServer
from tests.target.posting import deliverer, events

DELIVERED = Answer(Verdict.DELIVERED, 200)


def secret(count: int = 32) -> str:
    return f"whsec_{base64.b64encode(os.urandom(count)).decode()}"


def verified(asked: Asked, *secrets: str) -> list[bool]:
    found = []
    for each in secrets:
        try:
            Webhook(each).verify(asked.body, dict(asked.headers))
            found.append(True)
        except WebhookVerificationError:
            found.append(False)
    return found


def sent(*secrets: str, count: int = 1) -> list[Asked]:
    with HttpServer(lambda _: Given()) as api:
        sender = deliverer(api.url, signature=SignatureConfig(secrets=list(secrets)))
        assert sender.deliver(events(count)) == [DELIVERED] * count
        return api.asked


@pytest.mark.parametrize("length", [24, 25, 32, 64])
def test_who_knows_the_secret_verifies_what_was_sent(length: int) -> None:
    own, other = secret(length), secret(length)
    (asked,) = sent(own)
    assert verified(asked, own, other) == [True, False]


@pytest.mark.parametrize("form", ["{0}", "whsec_{0}", "whsec_{1}", " whsec_{0}\n"], ids=["bare", "usual", "unpadded", "blanks"])
def test_a_secret_may_be_written_in_each_form(form: str) -> None:
    text = base64.b64encode(os.urandom(32)).decode()
    (asked,) = sent(form.format(text, text.rstrip("=")))
    assert verified(asked, f"whsec_{text}") == [True]


def test_with_two_secrets_either_of_them_verifies() -> None:
    former, newer, other = secret(), secret(), secret()
    (asked,) = sent(newer, former)
    assert verified(asked, former, newer, other) == [True, True, False]
    assert len(asked.headers["webhook-signature"].split(" ")) == 2


def test_the_id_is_that_of_the_event_and_the_same_at_each_attempt() -> None:
    (event,), own, answers = events(), secret(), [Given(503), Given()]
    with HttpServer(lambda _: answers.pop(0)) as api:
        sender = deliverer(api.url, signature=SignatureConfig(secrets=[own]))
        sender.deliver([event])
        assert sender.deliver([event]) == [DELIVERED]
        assert [asked.headers["webhook-id"] for asked in api.asked] == [event.id] * 2
        assert [verified(asked, own) for asked in api.asked] == [[True], [True]]


def test_the_time_is_that_of_the_attempt_and_not_of_the_event() -> None:
    """Events of these tests are of March 2026: the package would refuse them as too old."""
    before = dt.datetime.now(dt.UTC).timestamp()
    (asked,) = sent(secret())
    assert int(before) <= int(asked.headers["webhook-timestamp"]) <= dt.datetime.now(dt.UTC).timestamp()


def test_each_event_has_its_own_signature() -> None:
    own = secret()
    asked = sent(own, count=3)
    assert len({each.headers["webhook-signature"] for each in asked}) == 3
    assert [verified(each, own) for each in asked] == [[True]] * 3


def test_what_was_changed_on_the_way_is_seen() -> None:
    own = secret()
    (asked,) = sent(own)
    changed = Asked(asked.method, asked.path, asked.headers, asked.body.replace(b"Orders", b"orders"))
    assert verified(changed, own) == [False]
