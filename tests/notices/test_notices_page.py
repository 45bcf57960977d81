"""docs/notices.md: each example is a file that loads, the kinds and the fields are all there, and each kind leads somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from rowpost.config.notifications import REPEATED, RUNBOOK, SECTIONS, NotificationsConfig
from rowpost.notices.channels import CHANNELS, recipients
from rowpost.notices.links import anchor, links_of
from rowpost.notices.message import Kind, Notice
from rowpost.rules.error_class import ERROR_CLASSES
from tests.config.relay_toml import load
from tests.notices.telling import KINDS, notice

PAGE = (Path(__file__).resolve().parents[2] / "docs/notices.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
BASE = '[[targets]]\nname = "api"\nurl = "https://api.example"\n[[relays]]\ntable = "dbo.Orders"\n'
SETTINGS = {
    "SqlConnectionString": "x",
    "EMAIL_CONNECTION_STRING": "x",
    "SMTP_PASSWORD": "x",
    "HOOK_TOKEN": "x",
    "HOOK_SECRET": f"whsec_{'A' * 43}=",
    "TEAMS_WORKFLOW_URL": "https://flow.example/x",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x",
    "PAGERDUTY_ROUTING_KEY": "0" * 32,
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_loads_with_the_settings_that_it_names(example: str, tmp_path: Path) -> None:
    named = {name: SETTINGS[name] for name in re.findall(r"%([A-Z_]+)%", example)}
    config = load(tomllib.loads(BASE + example), tmp_path, {"SqlConnectionString": "x", **named}).notifications
    assert recipients(config)


def test_each_channel_has_an_example() -> None:
    shown = {name for example in EXAMPLES for name in tomllib.loads(example)["notifications"]}
    assert shown == {*SECTIONS, *REPEATED} and len(shown) == len(CHANNELS)


def test_the_page_names_each_kind_and_each_field() -> None:
    missing = [
        name for name in (*KINDS, *Notice.__annotations__, "subject", "text", "console", "runbook") if f"`{name}`" not in PAGE
    ]
    assert missing == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_notice_leads_to_its_kind_or_to_its_error(kind: Kind) -> None:
    found = {anchor(kind, error) for error in (None, "HTTP 503", "HTTP 422", "no answer in time", "text of nobody's")}
    assert f"notice-{kind}" in found
    assert found - {f"notice-{kind}"} <= {f"error-{name}" for name in ERROR_CLASSES} - {"error-other"}
    assert len(found) == (4 if kind in ("alarm", "reminder", "dead_letter", "resync") else 1)


def test_the_links_fit_any_name_of_a_relay() -> None:
    config = NotificationsConfig(console_url="https://app.example/api/console", runbook_url="https://docs.example/runbook/")
    links = links_of(config, notice(relay="sales.Größe #1/2"))
    assert links.console == "https://app.example/api/console#/relays/sales.Gr%C3%B6%C3%9Fe%20%231%2F2"
    assert links.runbook == "https://docs.example/runbook/#error-server_error"
    assert [name for name, _ in links.clickable] == ["Console", "Runbook"]
    plain = links_of(NotificationsConfig(), notice("unable"))
    assert plain.console is None and plain.runbook == f"{RUNBOOK}#notice-unable" and plain.clickable == []
