"""What docs/telemetry.md says is so: its table of metrics, its table of fields, and the settings that Bicep gives the app."""

from __future__ import annotations

import json
import re

import pytest

from rowpost.config.sections import TargetConfig, TelemetryConfig
from rowpost.target.delivery import Deliverer
from rowpost.telemetry.instruments import INSTRUMENTS
from rowpost.telemetry.journal import ATTEMPT_LINE, Doer, Journal
from tests.deploy.bicep import ROOT, document
from tests.target.posting import events

PAGE = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")


def rows(after: str) -> list[list[str]]:
    """The lines of the table behind a text, without its head."""
    table = PAGE.partition(after)[2].partition("\n\n")[0] if after.startswith("<!--") else PAGE.partition(after)[2].split("\n\n")[1]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.strip().splitlines()[2:]]


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    expected = [
        [f"`{name}`", each.kind, f"`{each.unit}`", each.what, ", ".join(f"`{attribute}`" for attribute in each.attributes)]
        for name, each in INSTRUMENTS.items()
    ]
    assert rows("<!-- metrics -->") == expected


def test_each_field_of_a_line_about_a_request_is_shown_and_explained(caplog: pytest.LogCaptureFixture) -> None:
    target = TargetConfig(name="api", url="http://127.0.0.1:9/")
    with caplog.at_level("INFO"), Journal(TelemetryConfig(), "dbo.Orders", target, Doer.TRIGGER) as journal:
        Deliverer(target).deliver(events(1), journal=journal)
    (line,) = [text for text in caplog.messages if text.startswith(ATTEMPT_LINE)]
    fields = list(json.loads(line.removeprefix(ATTEMPT_LINE)))
    shown = re.findall(r'"(\w+)":', PAGE.partition("relay_attempt {")[2].partition("}")[0])
    explained = [name for row in rows('4bf9…"}\n```') for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(explained) == sorted(fields) and shown == fields


def test_the_settings_of_the_page_are_those_of_bicep() -> None:
    settings = document(ROOT / "infra" / "app" / "functions.bicep")["variables"]["telemetrySettings"]["value"]
    assert {row[0].strip("`") for row in rows("as its requirements:")} == set(settings)
