"""Teams, Slack and PagerDuty: the bodies are what they take, whatever a notice says; and what they answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from rowpost.config.credentials import SignatureConfig
from rowpost.config.notifications import NotificationsConfig, PagerDutyConfig, SlackConfig, TeamsConfig, WebhookConfig
from rowpost.notices.message import Kind, Notice, subject
from tests.harness.chat_services import PagerDuty, Service, slack, teams
from tests.harness.http_server import Given, HttpServer
from tests.notices.telling import KINDS, SENT, notice, tell

KEY = "0123456789abcdef0123456789abcdef"
CONSOLE, RUNBOOK = "https://app.example/api/console", "https://docs.example/runbook"
SECRETS = [f"whsec_{letter * 42}=" for letter in ("A", "B", "C")]
CHANNELS = ("teams", "slack", "pagerduty")


def service(channel: str) -> Service:
    return {"teams": teams, "slack": slack, "pagerduty": lambda: PagerDuty(KEY)}[channel]()  # type: ignore[no-any-return, operator]


def told(channel: str, url: str, **values: Any) -> NotificationsConfig:
    hook: Any = {
        "teams": lambda: TeamsConfig(url=url),
        "slack": lambda: SlackConfig(url=url),
        "pagerduty": lambda: PagerDutyConfig(url=url, routing_key=KEY),
        "webhooks": lambda: WebhookConfig(url=url, **values),
    }[channel]()
    return NotificationsConfig(console_url=CONSOLE, runbook_url=RUNBOOK, **{channel: [hook]})


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_notice_is_taken(channel: str, kind: Kind) -> None:
    with service(channel) as server:
        assert tell(told(channel, f"{server.url}/services/hunter2"), notice(kind)) == SENT
    text = json.dumps(server.taken, ensure_ascii=False)
    assert kind == "recovered" and channel == "pagerduty" or RUNBOOK in text and CONSOLE in text and subject(notice(kind)) in text
    if "keys" in notice(kind):
        assert 'OrderId\\":7' in text


HOSTILE = st.text(max_size=50) | st.sampled_from(
    ["<!channel>", "[x](http://evil)", "*b*", "<http://evil|x>", "\\", '"', "\x00", "x" * 9000]
)


@given(
    kind=st.sampled_from(KINDS),
    relay=HOSTILE,
    error=HOSTILE,
    keys=st.lists(HOSTILE, max_size=5),
    columns=st.lists(HOSTILE, max_size=3),
    many=st.integers(2, 300),
)
@settings(max_examples=25, deadline=None)
def test_whatever_a_notice_says_fits_and_is_no_markup(
    kind: Kind, relay: str, error: str, keys: list[str], columns: list[str], many: int
) -> None:
    found = notice(kind, relay=relay, last_error=error, keys=keys, columns=columns)
    if kind == "digest":
        found["notices"] = [notice("alarm", relay=relay, last_error=error)] * many
    for channel in CHANNELS:
        with service(channel) as server:
            assert tell(told(channel, server.url), found) == SENT, channel
        if channel == "slack":
            (taken,) = server.taken
            marked = [each for block in taken["blocks"] for each in block.get("elements", []) if each["type"] == "mrkdwn"]
            assert "<!channel>" not in taken["text"] and all("//evil" not in each["text"] for each in marked)


def test_an_alarm_its_reminders_and_its_end_are_one_alert_of_pagerduty() -> None:
    with PagerDuty(KEY) as server:
        config = told("pagerduty", server.url)
        for kind, still_open in (("alarm", 1), ("reminder", 1), ("dead_letter", 2), ("recovered", 1)):
            assert tell(config, notice(kind)) == SENT  # type: ignore[arg-type]
            assert len(server.open) == still_open
    trigger, reminder, dead, resolve = server.taken
    assert trigger["dedup_key"] == reminder["dedup_key"] == resolve["dedup_key"] != dead["dedup_key"]
    assert [each["event_action"] for each in server.taken] == ["trigger", "trigger", "trigger", "resolve"]
    assert set(resolve) == {"routing_key", "event_action", "dedup_key"}
    assert server.open == [dead["dedup_key"]], "nobody but a person ends what was given up"


@pytest.mark.parametrize(
    ("kind", "severity"),
    [("alarm", "error"), ("gap", "critical"), ("unable", "critical"), ("columns", "warning"), ("test", "info")],
)
def test_the_severity_of_an_alert_is_that_of_its_kind(kind: Kind, severity: str) -> None:
    with PagerDuty(KEY) as server:
        assert tell(told("pagerduty", server.url), notice(kind)) == SENT
    assert server.taken[0]["payload"]["severity"] == severity


def test_the_same_trouble_of_another_day_is_the_same_alert() -> None:
    with PagerDuty(KEY) as server:
        for day in ("1", "2"):
            tell(told("pagerduty", server.url), notice("unable", id=f"notice-unable-{day}"))
        tell(told("pagerduty", server.url), notice("unable", relay="dbo.Others"))
    assert len(server.open) == 2


def test_a_test_leaves_no_alert_open() -> None:
    with PagerDuty(KEY) as server:
        assert tell(told("pagerduty", server.url), notice("test", relay="")) == SENT
        assert len(server.taken) == 2 and server.open == []


ANSWERS = [(400, True), (404, True), (410, True), (413, True), (403, False), (429, False), (500, False)]


@pytest.mark.parametrize("channel", [*CHANNELS, "webhooks"])
@pytest.mark.parametrize(("status", "final"), ANSWERS)
def test_what_no_try_can_mend_is_final_and_the_answer_is_not_quoted(channel: str, status: int, final: bool) -> None:
    with HttpServer(lambda asked: Given(status, b"secret", {"Retry-After": "45"})) as server:
        found = tell(told(channel, f"{server.url}/hunter2"), notice())
    assert found == {"sent": False, "final": final, "retry_after_seconds": 45, "error": f"HTTP {status}"}


def test_the_words_of_slack_are_told() -> None:
    with slack() as server:
        server.given = [Given(404, b"no_service"), Given(410, b"channel_is_archived\n")]
        errors = [tell(told("slack", server.url), notice())["error"] for _ in range(2)]
    assert errors == ["HTTP 404 no_service", "HTTP 410 channel_is_archived"]


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_channel_that_is_not_configured_any_more_ends_the_notice(channel: str) -> None:
    from rowpost.notices.channels import send

    found = send(NotificationsConfig(), notice(), {"channel": channel, "address": f"{channel} 1", "index": 0})
    assert found["final"] and "no longer configured" in str(found["error"])


# --- signed webhooks ---


def signed(url: str, secrets: list[str]) -> NotificationsConfig:
    return told("webhooks", url, signature=SignatureConfig(secrets=secrets))


def test_a_signed_webhook_is_verified_by_the_package_of_the_standard_and_secrets_rotate() -> None:
    with HttpServer(lambda asked: Given(204)) as server:
        assert tell(signed(server.url, SECRETS[:2]), notice()) == SENT
    (asked,) = server.asked
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert headers["webhook-id"] == notice()["id"], "the same for each try"
    for secret in SECRETS[:2]:
        document: Notice = Webhook(secret).verify(asked.body, headers)
        assert document["id"] == notice()["id"]
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRETS[2]).verify(asked.body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRETS[0]).verify(asked.body.replace(b"dbo.Orders", b"dbo.Others"), headers)


def test_a_webhook_without_a_signature_has_none_of_its_headers() -> None:
    with HttpServer(lambda asked: Given(204)) as server:
        assert tell(told("webhooks", server.url), notice()) == SENT
    assert not [name for name in server.asked[0].headers if name.lower().startswith("webhook-")]
