"""Batches and rates in relay.toml: what can be, and one clear error for each thing that cannot, with the field and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowpost.config.errors import ConfigError
from rowpost.config.loading import load_config
from rowpost.config.sections import Config, Rate

FILE = """
[[targets]]
name = "api"
url = "https://api.example"
{target}
[[relays]]
table = "dbo.Orders"
{relay}
"""


def load(folder: Path, target: str = "batch = 10", relay: str = "") -> Config:
    file = folder / "relay.toml"
    file.write_text(FILE.format(target=target, relay=relay), encoding="utf-8")
    return load_config(file, {})


def test_the_defaults(tmp_path: Path) -> None:
    target = load(tmp_path, "").targets[0]
    assert (target.batch, target.max_batch_bytes, target.batch_format, target.rate) == (1, 2**20, "array", None)


@pytest.mark.parametrize(
    ("target", "relay"),
    [
        ("batch = 10000\nmax_batch_bytes = 67108864", ""),
        ('batch = 10\nbatch_format = "ndjson"\nformat = "row"', 'delete = "DELETE /{Id}"'),
        ("batch = 10", 'upsert = "POST /{$table}/{$operation}"\nquery = { epoch = "{$epoch}" }'),
        ("batch = 10", 'delete = "POST /orders/{Id}/gone"'),
        ('batch = 10\nformat = "cloudevents-binary"', 'body = { a = "{Id}" }\ndelete_body = { a = "{Id}" }'),
        ('batch = 10\nformat = "cloudevents-binary"', 'body = { a = "{Id}" }\ndelete = "DELETE /orders/{Id}"'),
        ('batch = 1\nformat = "cloudevents-binary"', 'upsert = "PUT /orders/{Id}"'),
    ],
)
def test_what_can_be(tmp_path: Path, target: str, relay: str) -> None:
    load(tmp_path, target, relay)


@pytest.mark.parametrize(
    ("target", "relay", "told"),
    [
        ("batch = 0", "", r"targets\[0\]\.batch: expected `int` >= 1"),
        ("batch = 10001", "", r"targets\[0\]\.batch: expected `int` <= 10000"),
        ("batch = 2.5", "", r"targets\[0\]\.batch: expected `int`"),
        ("max_batch_bytes = 0", "", r"targets\[0\]\.max_batch_bytes: expected `int` >= 1"),
        ('batch_format = "csv"', "", r"targets\[0\]\.batch_format: expected one of 'array', 'ndjson'"),
        (
            "batch = 10",
            'upsert = "PUT /o/{Id}"',
            r"relays\[0\]\.upsert: has \{Id\}, which differs .* batch = 10.*remove the placeh",
        ),
        ("batch = 10", 'upsert = "PUT /o/{$id}"', r"relays\[0\]\.upsert: has \{\$id\}, which differs"),
        ("batch = 10", 'query = { v = "{$version}" }', r"relays\[0\]\.query\.v: has \{\$version\}, which differs .* batch = 1 "),
        ("batch = 10", 'headers = { X = "{Id}" }', r"relays\[0\]\.headers\.X: has \{Id\}, which differs"),
        (
            'batch = 10\nformat = "cloudevents-binary"',
            "",
            r'relays\[0\]\.target: is "cloudevents-binary".*use format = "cloudevents"',
        ),
        ("batch = 10", 'format = "cloudevents-binary"', r'relays\[0\]\.format: is "cloudevents-binary"'),
        (
            'batch = 10\nformat = "cloudevents-binary"',
            'body = { a = "{Id}" }\ndelete = "POST /gone"',
            r"relays\[0\]\.delete_body|relays\[0\]\.target",
        ),
        ('batch = 10\nbatch_format = "ndjson"', "", r'relays\[0\]\.target: is "cloudevents", of which .* or remove batch_format'),
    ],
)
def test_what_cannot_be(tmp_path: Path, target: str, relay: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(tmp_path, target, relay)


@pytest.mark.parametrize(
    ("text", "per_second"), [("50/s", 50), ("300/m", 5), ("5000/h", 5000 / 3600), ("0.5/s", 0.5), ("0.001/s", 0.001)]
)
def test_rates_are_events_in_a_time(tmp_path: Path, text: str, per_second: float) -> None:
    rate = load(tmp_path, f'rate = "{text}"').targets[0].rate
    assert rate is not None and rate.per_second == pytest.approx(per_second) and rate.written == text


@pytest.mark.parametrize("wrong", ['"50"', '"50/d"', '"0/s"', '"-1/s"', '"50 /s"', '"1e3/s"', '"9999999/s"', '""', "50", "true"])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match=r'targets\[0\]\.rate: .*such as "50/s", "300/m" or "5000/h"'):
        load(tmp_path, f"rate = {wrong}")


def test_a_rate_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"targets\[0\]\.rate"):
        load(tmp_path, "rate = { per_second = 5 }")
    with pytest.raises(ValueError, match="expected a number of events"):
        Rate.parse(None)
