"""The whole app with every channel: an outage is told and ended everywhere, the channels are tried by a request, nothing leaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from rowpost.config.notifications import NotificationsConfig, SlackConfig, WebhookConfig
from rowpost.notices.testing import try_channels
from tests.harness.chat_services import PagerDuty, Service, slack, teams
from tests.harness.http_server import Given
from tests.harness.mail_server import MailServer
from tests.harness.running_relay import CONFIG, Relay

KEY = "hunter2hunter2hunter2hunter2hunt"
CHANNELS = """
[notifications.smtp]
host = "127.0.0.1"
port = {port}
security = "none"
sender = "rowpost@example.com"
recipients = ["ops@example.com"]
[[notifications.teams]]
url = "%TEAMS_URL%"
[[notifications.slack]]
url = "%SLACK_URL%"
[[notifications.pagerduty]]
routing_key = "%PAGERDUTY_KEY%"
url = "%PAGERDUTY_URL%"
"""


@dataclass
class People:
    """Those who are told."""

    mail: MailServer
    teams: Service
    slack: Service
    pagerduty: PagerDuty

    @property
    def config(self) -> str:
        return CONFIG.replace("[retry]", CHANNELS.format(port=self.mail.port) + "[retry]")

    @property
    def settings(self) -> dict[str, str]:
        return {
            "TEAMS_URL": f"{self.teams.url}/hunter2",
            "SLACK_URL": f"{self.slack.url}/services/hunter2",
            "PAGERDUTY_KEY": KEY,
            "PAGERDUTY_URL": f"{self.pagerduty.url}/v2/enqueue",
        }


@pytest.fixture
def people() -> Iterator[People]:
    with ExitStack() as stack:
        enter = stack.enter_context
        yield People(enter(MailServer()), enter(teams()), enter(slack()), enter(PagerDuty(KEY)))  # type: ignore[arg-type]


def test_an_outage_is_told_and_ended_everywhere_and_nothing_leaks(make_relay: Callable[..., Relay], people: People) -> None:
    pagerduty = people.pagerduty
    relay = make_relay(people.config, own_settings=people.settings)
    assert relay.stack.host is not None
    answer = relay.stack.host.request("POST", "/api/notices/test").json()
    tried = {each["channel"]: (each["recipient"], each["sent"], each["error"]) for each in answer["results"]}
    labels = {"smtp": "ops@example.com"} | {name: f"{name} 1" for name in ("webhook", "teams", "slack", "pagerduty")}
    assert answer["sent"] is True and tried == {name: (label, True, None) for name, label in labels.items()}
    assert pagerduty.open == [] and len(pagerduty.taken) == 2
    assert relay.execute("SELECT * FROM rowpost.Notices") == [], "a test is nobody's history"
    checks = relay.stack.host.request("GET", "/api/health").json()["checks"]
    reached = {check["name"]: check["healthy"] for check in checks if check["name"].startswith("channel")}
    assert reached == {"channel smtp": True} | {f"channel {name} 1": True for name in labels if name != "smtp"}
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1)
    relay.advance(hours=1)
    assert len(pagerduty.open) == 1 and len(people.mail.mails) == 2
    relay.accept_all()
    relay.advance(hours=2)
    assert pagerduty.open == [] and [each["event_action"] for each in pagerduty.taken[2:]] == ["trigger", "resolve"]
    assert [len(each) for each in (people.mail.mails, people.teams.taken, people.slack.taken)] == [3, 3, 3]
    searched = relay.host_log() + str(relay.execute("SELECT * FROM rowpost.NoticeRecipients"))
    searched += relay.stack.host.request("GET", "/runtime/webhooks/durabletask/instances?showInput=true&top=1000").text
    assert "slack 1" in searched and "hunter2" not in searched + str(answer)


def test_an_alert_is_not_triggered_when_its_incident_is_over(make_relay: Callable[..., Relay], people: People) -> None:
    pagerduty = people.pagerduty
    pagerduty.given = [Given(503)] * 1000
    relay = make_relay(people.config, own_settings=people.settings)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1)
    relay.advance(hours=1)
    relay.accept_all()
    relay.advance(hours=1)
    assert len(relay.alerts("recovered")) == 1 and pagerduty.taken == []
    pagerduty.given = []
    relay.advance(hours=3)
    assert [each["event_action"] for each in pagerduty.taken] == ["resolve"], "nobody would end what is triggered now"
    assert relay.execute("SELECT * FROM rowpost.NoticeRecipients WHERE State <> 'sent'") == []


def test_what_a_channel_answers_to_a_test_is_said() -> None:
    with slack() as server:
        server.given = [Given(404, b"no_service")]
        hook = WebhookConfig(url="http://127.0.0.1:9/")
        config = NotificationsConfig(slack=[SlackConfig(url=server.url)] * 2, webhooks=[hook])
        found = {each["recipient"]: each for each in try_channels(config)}
    assert [found[label]["sent"] for label in ("slack 1", "slack 2")].count(True) == 1
    errors = {each["error"] for each in found.values()}
    assert errors == {None, "HTTP 404 no_service", "connection failed or was closed by the webhook"}
    assert all(each["milliseconds"] >= 0 for each in found.values())


def test_without_channels_nothing_is_tried() -> None:
    assert try_channels(NotificationsConfig()) == []
